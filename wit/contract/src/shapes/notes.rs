//! What `notes` gives.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A note as it is now.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Note {
    /// How often it was written; 0 where it is not there.
    #[serde(default)]
    pub revision: u32,
    /// Null where it is not there.
    #[serde(default)]
    pub note: Value,
}
