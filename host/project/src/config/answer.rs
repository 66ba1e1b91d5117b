//! What a change answers.

use std::path::Path;

use rookery_contract::shapes::Change;

use super::files::PATCH;
use super::load::Loaded;
use super::templates::{map_strings, restore};
use super::view;
use crate::ground::yaml::value::{Map, Value};

/// A change that was made, or would be.
pub struct Answer<'a> {
    pub dir: &'a Path,
    pub changed: bool,
    pub dry_run: bool,
    /// The patch after it.
    pub patch: &'a Value,
    /// The project after it, unless that does not load.
    pub loaded: Option<&'a Loaded>,
    pub touched: &'a [Vec<String>],
    pub revision: Option<u64>,
    pub warnings: Vec<String>,
}

impl Answer<'_> {
    pub fn into_change(mut self) -> Change {
        let mut effective = Vec::new();
        if let Some(loaded) = self.loaded {
            if self.patch.as_map().is_some_and(|map| !Map::is_empty(map)) {
                self.warnings.extend(view::not_applied(loaded));
            }
            for path in self.touched {
                let key = view::effective_key(loaded, self.patch, path, &mut self.warnings);
                effective.push(key);
            }
            for warning in &loaded.warnings {
                if !self.warnings.contains(warning) {
                    self.warnings.push(warning.clone());
                }
            }
        }
        Change {
            project_dir: self.dir.to_string_lossy().into_owned(),
            patch_file: self.dir.join(PATCH).to_string_lossy().into_owned(),
            changed: self.changed,
            dry_run: self.dry_run,
            patch: map_strings(self.patch.clone(), restore).to_json(),
            effective,
            loads: self.loaded.is_some(),
            revision: self.revision,
            warnings: self.warnings,
            truncated: false,
            effective_total: None,
            next: None,
        }
    }
}
