//! Projects in temporary directories, and the recorded data beside the workspace.
#![allow(dead_code, reason = "each test crate uses its part")]

use std::path::{Path, PathBuf};
use std::{env, fs};

use tempfile::TempDir;

/// A small configuration that loads.
pub const CONFIG: &str = "core: {version: 2, arch: armel}\nenv: {igloo_init: /sbin/init}\npseudofiles: {}\nnvram: {}\nlib_inject: {}\nstatic_files: {}\nplugins: {core: {}, netbinds: {}}\n";

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

/// A file of the recorded data, or nothing (said loudly) where that is not at hand.
pub fn shared(path: &str) -> Option<PathBuf> {
    let root = env::var_os("ROOKERY_SHARED").map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let path = root.join(path);
    if !path.exists() {
        eprintln!("SKIPPED: {} is not there; set ROOKERY_SHARED to the recorded data", path.display());
        return None;
    }
    Some(path)
}
