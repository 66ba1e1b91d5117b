//! What a change answers.

use std::path::Path;

use rookery_contract::shapes::{Change, Effective};
use serde::Serialize;
use serde_json::Value as Json;

use super::files::PATCH;
use super::load::Loaded;
use super::templates::{holds_template, map_strings, restore};
use super::{paths, view};
use crate::ground::yaml::value::{Map, Value};

/// A change that was made, or would be, and the patch after it.
#[derive(Debug, Clone, PartialEq)]
pub struct Changed {
    /// What it did.
    pub change: Change,
    patch: Value,
}

impl Changed {
    /// The change with every field, as the contract has it.
    pub fn told(&self) -> impl Serialize + '_ {
        self.change.told(&self.patch)
    }
}

/// What a [`Changed`] is made of.
pub struct Answer<'a> {
    pub dir: &'a Path,
    pub changed: bool,
    pub dry_run: bool,
    /// The patch after it.
    pub patch: Value,
    /// The configuration before it, unless that did not load.
    pub before: Option<&'a Value>,
    /// The project after it, unless that does not load.
    pub loaded: Option<&'a Loaded>,
    pub touched: &'a [Vec<String>],
    pub revision: Option<u64>,
    pub warnings: Vec<String>,
}

impl Answer<'_> {
    pub fn into_changed(mut self) -> Changed {
        let mut effective = Vec::new();
        if let Some(loaded) = self.loaded {
            if self.patch.as_map().is_some_and(|map| !Map::is_empty(map)) {
                self.warnings.extend(view::not_applied(loaded));
            }
            for path in self.touched {
                let key = view::effective_key(loaded, &self.patch, path, &mut self.warnings);
                let old = self.before.and_then(|before| paths::get(before, path));
                effective.push(Effective {
                    old: old.map_or(Json::Null, Value::to_json),
                    ..key
                });
            }
            for warning in &loaded.warnings {
                if !self.warnings.contains(warning) {
                    self.warnings.push(warning.clone());
                }
            }
        }
        let change = Change {
            project_dir: self.dir.to_string_lossy().into_owned(),
            patch_file: self.dir.join(PATCH).to_string_lossy().into_owned(),
            changed: self.changed,
            dry_run: self.dry_run,
            patch_keys: paths::count_leaves(&self.patch),
            effective,
            loads: self.loaded.is_some(),
            revision: self.revision,
            warnings: self.warnings,
            truncated: false,
            effective_total: None,
            next: None,
        };
        let patch = as_meant(self.patch);
        Changed { change, patch }
    }
}

/// The patch with its strings as they reach the guest.
fn as_meant(patch: Value) -> Value {
    if holds_template(&patch) {
        map_strings(patch, restore)
    } else {
        patch
    }
}
