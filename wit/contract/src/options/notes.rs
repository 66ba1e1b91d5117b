//! Options of `notes`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::number;

/// `notes.write`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NoteOptions {
    /// The revision that the writer has read; any by default.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "number::optional"
    )]
    pub expected: Option<u32>,
}

impl NoteOptions {
    /// The most bytes of a note.
    pub const MAX_BYTES: usize = 65_536;
    /// The most notes of a component that a project keeps.
    pub const MAX_NOTES: usize = 16;
    /// The most characters of a name.
    pub const MAX_NAME: usize = 64;
}
