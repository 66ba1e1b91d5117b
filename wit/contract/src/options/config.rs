//! Options of `config-mutation`.

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
