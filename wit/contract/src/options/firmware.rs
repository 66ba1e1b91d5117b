//! Options of `root-filesystem`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::number;

/// `root-filesystem.list-directory`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ListOptions {
    /// At most this many entries: 1000 by default, and never more than [`Self::MAX_ENTRIES`].
    #[serde(deserialize_with = "number::saturating")]
    pub limit: u32,
    /// Skip this many entries first.
    #[serde(deserialize_with = "number::saturating")]
    pub offset: u32,
}

impl ListOptions {
    /// The most entries of one listing.
    pub const MAX_ENTRIES: u32 = 10_000;
}

impl Default for ListOptions {
    fn default() -> Self {
        Self {
            limit: 1000,
            offset: 0,
        }
    }
}

/// Where `root-filesystem.search` looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// In the paths of the files.
    Path,
    /// In what the files hold.
    Content,
}

/// `root-filesystem.search`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FindOptions {
    /// Where to look; by default in the content.
    pub r#in: Place,
    /// The directory to look below.
    pub under: String,
    /// At most this many matches: 100 by default, and never more than [`Self::MAX_MATCHES`].
    #[serde(deserialize_with = "number::saturating")]
    pub limit: u32,
}

impl FindOptions {
    /// The most matches of one answer.
    pub const MAX_MATCHES: u32 = 10_000;
}

impl Default for FindOptions {
    fn default() -> Self {
        Self {
            r#in: Place::Content,
            under: "/".to_owned(),
            limit: 100,
        }
    }
}
