//! What `live` gives of what changes or watches a running guest.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `live.hook`: the hook that was made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hooked {
    /// Its number, in this run.
    pub hook_id: u32,
    /// What it costs, or does not see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// `live.hooks`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hooks {
    /// Those there are.
    pub hooks: Vec<Hook>,
    /// The kinds of hooks that the run's backend has, and those that it lacks.
    pub ways: Vec<HookWay>,
}

/// One hook.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)]
pub struct Hook {
    pub hook_id: u32,
    pub kind: String,
    pub target: String,
    pub action: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<String>,
    /// How much it has printed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// How a kind of hook works.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)]
pub struct HookWay {
    pub kind: String,
    /// Whether the backend has it.
    pub offered: bool,
    pub how: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<String>,
}

/// `live.unhook`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unhooked {
    /// The hooks that are gone.
    pub removed: Vec<u32>,
}

/// `live.hook-output`: the guest's text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HookOutput {
    /// Bytes that are not UTF-8 are replaced.
    pub text: String,
    /// Where it begins.
    pub offset: u64,
    /// Where more follows, or will.
    pub next_offset: u64,
    /// How much there is.
    pub bytes: u64,
}

/// `live.control-plugin`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PluginControl {
    /// Plugins of the run's configuration, and those that may be changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plugins: Vec<GuestPlugin>,
    /// What was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// An analysis plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GuestPlugin {
    /// By which Penguin knows it.
    pub name: String,
    /// Whether the operator allows to change it.
    pub allowed: bool,
    /// Whether the run was started with it.
    pub configured: bool,
}

/// `live.snapshot`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Snapshotted {
    /// Its name.
    pub tag: String,
    /// What was done, which need not be complete.
    pub message: String,
    /// What to know before it is used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// `live.snapshots`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Snapshots {
    /// What was saved, as far as files say.
    pub snapshots: Vec<Snapshot>,
    /// Whether this run can save one.
    pub can_save: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// The state of a guest that was saved.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Snapshot {
    /// Its name.
    pub tag: String,
    /// When it was scheduled, where this run did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saved_at: Option<String>,
    /// Whether this run can go back to it.
    pub loadable: bool,
}
