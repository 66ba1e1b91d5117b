//! Options of `config-mutation` and `creation`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `config-mutation.apply`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ApplyOptions {
    /// Check and show, write nothing.
    pub dry_run: bool,
    /// Dotted paths whose old value in the patch is dropped first.
    pub replace: Vec<String>,
    /// Change the guest of this run, and not the patch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
}

/// `config-mutation.set`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SetOptions {
    /// Check and show, write nothing.
    pub dry_run: bool,
}

/// `config-mutation.remove`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RemoveOptions {
    /// Check and show, write nothing.
    pub dry_run: bool,
}

/// `config-mutation.reset`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ResetOptions {
    /// Check and show, write nothing.
    pub dry_run: bool,
    /// Go back to this revision; 0 is no patch. Left out, the patch is dropped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_revision: Option<u64>,
}

/// `creation.init-project`. An option that a newer tool has is not refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct InitOptions {
    /// Who makes the project.
    pub with: Maker,
}

/// Who makes a project: `auto` is Penguin's own `init` where Penguin is, and Rookery where it is
/// not, or fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)] // each would make the schema larger, which agents read
pub enum Maker {
    #[default]
    Auto,
    Penguin,
    Rookery,
}
