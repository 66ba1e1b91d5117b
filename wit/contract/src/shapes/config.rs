//! What `config`, `config-mutation` and `creation` give.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Next;

/// `config.effective`: the configuration that a run would see.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EffectiveConfig {
    /// Every layer merged.
    pub config: Map<String, Value>,
    /// The files that were merged, in order.
    #[serde(default)]
    pub layers: Vec<String>,
    /// What is unusual about them.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// `config.lookup`: one key and where its value comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Lookup {
    /// The path, one key an element.
    pub path: Vec<String>,
    /// Its value.
    #[serde(default)]
    pub value: Value,
    /// The last file that sets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_by: Option<String>,
    /// Every file that sets it.
    #[serde(default)]
    pub layers: Vec<Layer>,
}

/// One file that sets a key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Layer {
    /// The file, relative to the project.
    pub file: String,
    /// The value there.
    #[serde(default)]
    pub value: Value,
}

/// `config.patch`: the patch that changes go to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Patch {
    /// Its absolute path.
    pub patch_file: String,
    /// Whether the file is there.
    #[serde(default)]
    pub exists: bool,
    /// What it holds.
    #[serde(default)]
    pub patch: Value,
    /// The same as YAML text.
    #[serde(default)]
    pub yaml: String,
    /// What keeps it from being effective.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Its changes, the newest first.
    #[serde(default)]
    pub history: Vec<Revision>,
    /// The revision before, where the project loads with it.
    #[serde(default)]
    pub undo: Option<u64>,
}

/// One change of the patch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Revision {
    /// Its number, for `reset_patch`.
    pub revision: u64,
    /// When it was made.
    #[serde(default)]
    pub time: String,
    /// What it did.
    #[serde(default)]
    pub change: String,
}

/// What a function of `config-mutation` did; the answer of every change tool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a field of the answer"
)]
pub struct Change {
    /// The project, absolute.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub project_dir: String,
    /// The patch, absolute.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub patch_file: String,
    /// False where the patch already had this change.
    #[serde(default)]
    pub changed: bool,
    /// Whether nothing was written.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// How many keys the patch sets.
    #[serde(default)]
    #[schemars(skip)]
    pub patch_keys: usize,
    /// What each touched key now is, and what it was.
    #[serde(default)]
    pub effective: Vec<Effective>,
    /// Its number in the history, for `reset_patch`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    /// What keeps it from being effective.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Whether the project loads with it; where it does not, `warnings` say why.
    #[serde(default = "yes", skip_serializing)]
    #[schemars(skip)]
    pub loads: bool,
    /// Whether an answer leaves parts out; the patch file has all. Set by the tool, as are the
    /// fields below.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    /// How many keys were touched, where `effective` holds fewer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_total: Option<usize>,
    /// What to call next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Next>,
}

fn yes() -> bool {
    true
}

impl Change {
    /// The change as the host gives it, with the whole patch after it.
    pub fn told<'a, P>(&'a self, patch: &'a P) -> ToldChange<'a, P> {
        let effective = self.effective.iter().map(|key| ToldEffective {
            path: &key.path,
            old: &key.old,
            value: &key.value,
            set_by: key.set_by.as_deref(),
            overridden: key.overridden,
        });
        ToldChange {
            project_dir: &self.project_dir,
            patch_file: &self.patch_file,
            changed: self.changed,
            dry_run: self.dry_run,
            patch,
            patch_keys: self.patch_keys,
            effective: effective.collect(),
            loads: self.loads,
            revision: self.revision.unwrap_or(0),
            warnings: &self.warnings,
        }
    }
}

/// A [`Change`] as the host gives it: with the fields that say nothing, which the answers of tools
/// leave out, with `loads`, which is for tools, and with `patch`, which may be large: a [`Change`]
/// does not read it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ToldChange<'a, P> {
    project_dir: &'a str,
    patch_file: &'a str,
    changed: bool,
    dry_run: bool,
    patch: &'a P,
    patch_keys: usize,
    effective: Vec<ToldEffective<'a>>,
    loads: bool,
    revision: u64,
    warnings: &'a [String],
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
struct ToldEffective<'a> {
    path: &'a str,
    #[serde(skip_serializing_if = "Value::is_null")]
    old: &'a Value,
    value: &'a Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    set_by: Option<&'a str>,
    overridden: bool,
}

/// What one touched key now is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Effective {
    /// Dotted path.
    pub path: String,
    /// Its value before the change; absent where no layer set it.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub old: Value,
    /// Its value; absent where no layer sets it.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub value: Value,
    /// The last file that sets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_by: Option<String>,
    /// Whether a file that is applied later sets another value.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub overridden: bool,
}

/// `creation.init-project`: a new project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NewProject {
    /// Its absolute directory.
    pub project_dir: String,
    /// The guest's architecture.
    #[serde(default)]
    pub arch: String,
    /// The init that was chosen.
    pub init: Option<String>,
    /// All that were found, best first.
    #[serde(default)]
    pub init_candidates: Vec<InitCandidate>,
    /// Number of files in the root filesystem.
    #[serde(default)]
    pub files: u64,
    /// What is unusual about it.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// A program that could be the guest's init.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InitCandidate {
    /// Guest path.
    pub path: String,
    /// Why it could be.
    #[serde(default)]
    pub why: String,
}
