//! The tools that came with the program: one directory of components, each a tool of its file's
//! name.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::{cache, component_file};

/// The directory of the built-in tools, and their names.
///
/// The names come from the files, so they are known before a component is loaded, and belong to the
/// built-in tools also where one of them is denied or not among the directories that are served.
pub(crate) struct BuiltIn {
    /// Canonical.
    dir: Option<PathBuf>,
    names: BTreeSet<String>,
}

impl BuiltIn {
    pub(crate) fn in_dir(dir: Option<&Path>) -> Self {
        let dir = dir.and_then(|dir| dir.canonicalize().ok());
        let files = dir
            .as_deref()
            .and_then(|dir| component_file::wasm_files(dir).ok())
            .unwrap_or_default();
        Self {
            dir,
            names: files
                .iter()
                .map(|file| component_file::name(file))
                .collect(),
        }
    }

    /// Whether `file` is one of them.
    pub(crate) fn holds(&self, file: &Path) -> bool {
        let Ok(file) = std::path::absolute(file) else {
            return false;
        };
        let dir = file.parent().and_then(|dir| dir.canonicalize().ok());
        self.dir.is_some() && dir == self.dir
    }

    pub(super) fn names(&self) -> &BTreeSet<String> {
        &self.names
    }

    /// The file of the built-in tool `name`.
    pub(super) fn file(&self, name: &str) -> Option<PathBuf> {
        let dir = self.dir.as_deref().filter(|_| self.names.contains(name))?;
        Some(dir.join(format!("{name}.wasm")))
    }

    /// Whether the component of this digest is the built-in tool `name` itself, copied to another
    /// place.
    pub(super) fn is_copied(&self, name: &str, digest: &str) -> bool {
        self.file(name)
            .and_then(|file| component_file::read(&file).ok())
            .is_some_and(|bytes| cache::digest(&bytes) == digest)
    }
}
