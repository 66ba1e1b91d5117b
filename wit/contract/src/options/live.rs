//! Options of what changes or watches a running guest.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::number;

/// The request of `live.hook`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HookOptions {
    /// `syscall` or `function`.
    pub kind: String,
    /// A system call, or `/path/of/a/file:symbol` in the guest.
    pub target: String,
    /// What is printed at every call.
    pub action: String,
    /// Only in processes of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<String>,
}

/// `live.unhook`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UnhookOptions {
    /// All of the run's, where none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hook_id: Option<u32>,
}

/// `live.hook-output`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HookOutputOptions {
    /// Whose.
    pub hook_id: u32,
    /// In bytes; a negative one counts from the end.
    #[serde(default)]
    pub offset: i64,
    /// 64 KiB by default, and at most 1 MiB.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "number::optional"
    )]
    pub max_bytes: Option<u32>,
}

/// The request of `live.control-plugin`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PluginOptions {
    /// What to do.
    pub op: PluginOp,
    /// With which plugin; of no meaning to `list`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// What is done with an analysis plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum PluginOp {
    List,
    Enable,
    Disable,
    Load,
}

impl PluginOp {
    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Enable => "enable",
            Self::Disable => "disable",
            Self::Load => "load",
        }
    }
}

/// The request of `live.snapshot`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SnapshotOptions {
    /// What to do.
    pub action: SnapshotAction,
    /// The snapshot's name; by default the configured one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

/// What is done with the state of a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum SnapshotAction {
    Save,
    Load,
}
