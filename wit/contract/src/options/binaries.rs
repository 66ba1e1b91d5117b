//! Options of `binaries`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::number;
use crate::shapes::SymbolSide;

/// Which symbols `binaries.symbols` gives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WhichSymbols {
    /// All of them.
    #[default]
    All,
    /// What another library has to give.
    Imported,
    /// What others can use.
    Exported,
    /// The rest.
    Local,
}

impl WhichSymbols {
    /// Whether a symbol of this side is one of them.
    pub fn has(self, side: SymbolSide) -> bool {
        match self {
            Self::All => true,
            Self::Imported => side == SymbolSide::Imported,
            Self::Exported => side == SymbolSide::Exported,
            Self::Local => side == SymbolSide::Local,
        }
    }
}

/// `binaries.symbols`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SymbolOptions {
    /// A regular expression that names have to match.
    pub pattern: String,
    /// Which of them.
    pub which: WhichSymbols,
    /// At most this many: 200 by default, and never more than [`Self::MAX_SYMBOLS`].
    #[serde(deserialize_with = "number::saturating")]
    pub limit: u32,
    /// Skip this many first.
    #[serde(deserialize_with = "number::saturating")]
    pub offset: u32,
}

impl SymbolOptions {
    /// The most symbols of one answer.
    pub const MAX_SYMBOLS: u32 = 10_000;
}

impl Default for SymbolOptions {
    fn default() -> Self {
        Self {
            pattern: String::new(),
            which: WhichSymbols::All,
            limit: 200,
            offset: 0,
        }
    }
}

/// `binaries.strings`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StringOptions {
    /// A regular expression that strings have to match.
    pub pattern: String,
    /// The fewest characters of a string: 6 by default, and no fewer than [`Self::MIN_CHARS`].
    #[serde(deserialize_with = "number::saturating")]
    pub min: u32,
    /// At most this many: 200 by default, and never more than [`Self::MAX_STRINGS`].
    #[serde(deserialize_with = "number::saturating")]
    pub limit: u32,
    /// Skip this many first.
    #[serde(deserialize_with = "number::saturating")]
    pub offset: u32,
}

impl StringOptions {
    /// The fewest characters of a string that can be asked for.
    pub const MIN_CHARS: u32 = 4;
    /// The most strings of one answer.
    pub const MAX_STRINGS: u32 = 10_000;
}

impl Default for StringOptions {
    fn default() -> Self {
        Self {
            pattern: String::new(),
            min: 6,
            limit: 200,
            offset: 0,
        }
    }
}
