//! Options of `run-results`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::number;

/// The longest time that a search or a query may ask for, in milliseconds.
const MAX_TIMEOUT_MS: u32 = 30_000;
/// Their time by default, in milliseconds.
const TIMEOUT_MS: u32 = 10_000;

/// `run-results.read-csv`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CsvOptions {
    /// The column names of a file without header.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// By column: the list of values that it may have.
    #[serde(rename = "where", skip_serializing_if = "Map::is_empty")]
    pub only: Map<String, Value>,
    /// At most this many rows: 1000 by default, and never more than [`Self::MAX_ROWS`].
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "number::optional"
    )]
    pub limit: Option<u32>,
    /// Skip this many rows first.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "number::optional"
    )]
    pub offset: Option<u32>,
}

impl CsvOptions {
    /// The most rows of one answer.
    pub const MAX_ROWS: u32 = 100_000;

    /// How many rows to give.
    pub fn rows(&self) -> u32 {
        self.limit.unwrap_or(1000).min(Self::MAX_ROWS)
    }
}

/// `results.runs`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RunListOptions {
    /// At most this many runs: 100 by default, and never more than [`Self::MAX_RUNS`].
    #[serde(deserialize_with = "number::saturating")]
    pub limit: u32,
    /// Skip this many runs first.
    #[serde(deserialize_with = "number::saturating")]
    pub offset: u32,
}

impl RunListOptions {
    /// The most runs of one answer.
    pub const MAX_RUNS: u32 = 1000;
}

impl Default for RunListOptions {
    fn default() -> Self {
        Self {
            limit: 100,
            offset: 0,
        }
    }
}

/// `run-results.search`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SearchOptions {
    /// At most this many matches: 100 by default, and never more than [`Self::MAX_MATCHES`].
    #[serde(deserialize_with = "number::saturating")]
    pub limit: u32,
    /// Keep the last matches, not the first; by default true.
    pub from_end: bool,
    /// Cut lines after this many bytes; by default 500.
    #[serde(deserialize_with = "number::saturating")]
    pub max_line_bytes: u32,
    /// Ignore the difference between upper and lower case; by default false.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub case_insensitive: bool,
    /// Lines to give before and after each match: none by default, and never more than
    /// [`Self::MAX_CONTEXT`].
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "number::optional"
    )]
    pub context: Option<u32>,
    /// Give up after this many milliseconds: 10 s by default, and never more than 30 s.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "number::optional"
    )]
    pub timeout_ms: Option<u32>,
    /// Search only so many bytes at the beginning and at the end of a file that is more than twice
    /// as long: all of it by default.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "number::optional"
    )]
    pub ends_bytes: Option<u32>,
}

impl Default for SearchOptions {
    fn default() -> Self {
        Self::newest(100)
    }
}

impl SearchOptions {
    /// The most matches of one answer.
    pub const MAX_MATCHES: u32 = 10_000;
    /// The most lines of context on either side.
    pub const MAX_CONTEXT: u32 = 50;

    /// The newest `limit` matches.
    pub fn newest(limit: u32) -> Self {
        Self {
            limit,
            from_end: true,
            max_line_bytes: 500,
            case_insensitive: false,
            context: None,
            timeout_ms: None,
            ends_bytes: None,
        }
    }

    /// How long to search, in milliseconds.
    pub fn timeout_ms(&self) -> u32 {
        self.timeout_ms.unwrap_or(TIMEOUT_MS).min(MAX_TIMEOUT_MS)
    }
}

/// `run-results.query`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct QueryOptions {
    /// At most this many rows: 100 by default, and never more than [`Self::MAX_ROWS`].
    #[serde(deserialize_with = "number::saturating")]
    pub limit: u32,
    /// Give up after this long: 10 s, and no more than 30 s.
    #[serde(deserialize_with = "number::saturating")]
    pub timeout_ms: u32,
    /// At most this many bytes of values: 1 MiB by default, and never more than
    /// [`Self::MAX_BYTES`].
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "number::optional"
    )]
    pub max_bytes: Option<u32>,
}

impl Default for QueryOptions {
    fn default() -> Self {
        Self::rows(100)
    }
}

impl QueryOptions {
    /// The most rows of one answer.
    pub const MAX_ROWS: u32 = 10_000;
    /// The most bytes of all values together.
    pub const MAX_BYTES: u32 = 8 << 20;

    /// At most `limit` rows, within ten seconds.
    pub fn rows(limit: u32) -> Self {
        Self {
            limit,
            timeout_ms: TIMEOUT_MS,
            max_bytes: None,
        }
    }

    /// How long the query may take, in milliseconds.
    pub fn timeout_ms(&self) -> u32 {
        self.timeout_ms.min(MAX_TIMEOUT_MS)
    }

    /// How many bytes all values may have.
    pub fn bytes(&self) -> u32 {
        self.max_bytes.unwrap_or(1 << 20).min(Self::MAX_BYTES)
    }
}
