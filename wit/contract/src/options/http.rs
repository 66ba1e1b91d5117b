//! Options of `http`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::number;
use super::running::Payload;

/// `http.request`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpOptions {
    /// Its host is an address inside the guest.
    pub url: String,
    /// `GET`, where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// By their names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// By default nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Payload>,
    /// How many are followed: 5 by default, and at most [`Self::MAX_REDIRECTS`].
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "number::optional"
    )]
    pub redirects: Option<u32>,
    /// Give up after this many milliseconds, redirects included: 10 s by default, and at most as
    /// for `live.reach`.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "number::optional"
    )]
    pub timeout_ms: Option<u32>,
    /// Keep at most this many bytes of the answer's body, as of `live.reach`.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "number::optional"
    )]
    pub max_bytes: Option<u32>,
}

impl HttpOptions {
    /// Where nothing is said.
    pub const TIMEOUT_MS: u32 = 10_000;
    /// Where nothing is said.
    pub const REDIRECTS: u32 = 5;
    /// The most redirects that are followed.
    pub const MAX_REDIRECTS: u32 = 20;

    /// Ask for a page.
    pub fn get(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            ..Self::default()
        }
    }

    /// How many redirects are followed.
    pub fn redirects(&self) -> u32 {
        let redirects = self.redirects.unwrap_or(Self::REDIRECTS);
        redirects.min(Self::MAX_REDIRECTS)
    }
}
