//! The archive of a firmware.

use std::fs;

use rookery_project::{Cancel, unpack};

/// Unpack it: nothing is made but below the directory that was named.
pub fn body(data: &[u8]) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let archive = dir.path().join("archive");
    fs::write(&archive, data).expect("a file of a temporary directory");
    let _ = unpack(&archive, &dir.path().join("root"), &Cancel::default());
    let names = fs::read_dir(dir.path()).expect("the temporary directory");
    for name in names.flatten().map(|entry| entry.file_name()) {
        assert!(
            name == "archive" || name == "root",
            "{} was made",
            name.display()
        );
    }
}
