//! Projects in temporary directories.
#![allow(dead_code, reason = "each test crate uses its part")]

use std::fs;

use crate::edge::Project;
use rookery_project::Result;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The file that changes go to.
pub const PATCH: &str = "patch_90_mcp.yaml";

/// A small configuration that loads.
pub const CONFIG: &str = "core: {version: 2, arch: armel}\nenv: {igloo_init: /sbin/init}\n\
    pseudofiles: {}\nnvram: {}\nlib_inject: {}\nstatic_files: {}\n\
    plugins: {core: {}, netbinds: {}}\n";

/// A project directory with these files.
pub fn project(files: &[(impl AsRef<str>, impl AsRef<str>)]) -> TempDir {
    let dir = TempDir::new().unwrap();
    for (path, text) in files {
        let path = dir.path().join(path.as_ref());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text.as_ref()).unwrap();
    }
    dir
}

/// A small project and its directory.
pub struct Fixture {
    /// The directory; it goes with this.
    pub dir: TempDir,
    /// The project in it.
    pub project: Project,
}

/// The small project with these files, or instead of its own.
pub fn fixture(files: &[(&str, &str)]) -> Fixture {
    let mut all = vec![("config.yaml", CONFIG)];
    all.retain(|(name, _)| !files.iter().any(|(other, _)| other == name));
    all.extend_from_slice(files);
    let dir = project(&all);
    let project = Project::at(dir.path()).unwrap();
    Fixture { dir, project }
}

impl Fixture {
    /// Apply a fragment with no options.
    pub fn apply(&self, fragment: Value) -> Result<Value> {
        self.project.apply(fragment, &json!({}))
    }

    /// The patch file.
    pub fn text(&self) -> Option<String> {
        fs::read_to_string(self.dir.path().join(PATCH)).ok()
    }

    /// The effective value at a path.
    pub fn value(&self, path: &str) -> Value {
        self.project.lookup(path).unwrap()["value"].clone()
    }

    /// The fragment is refused, the message names what it should, and nothing was written.
    pub fn refuses(&self, fragment: Value, named: &str) {
        let before = self.text();
        let shown = fragment.to_string();
        match self.apply(fragment) {
            Ok(answer) => panic!("{shown} was accepted: {answer}"),
            Err(error) => assert!(error.to_string().contains(named), "{shown}: {error}"),
        }
        assert_eq!(self.text(), before, "{shown} was written");
        self.project.effective().unwrap();
    }
}
