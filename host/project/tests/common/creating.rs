//! Making projects below a root, and looking at what is there.

use std::fs;
use std::path::Path;

use crate::edge::Roots;
use rookery_project::{Cancel, Error};
use serde_json::Value;

/// A new project in `output`, both below `root`.
pub fn create(root: &Path, rootfs: &str, output: &str) -> Result<Value, Error> {
    Roots::new([root.to_owned()])
        .unwrap()
        .create(rootfs, output, &Cancel::default())
}

/// Names in a directory, hidden ones included.
pub fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
