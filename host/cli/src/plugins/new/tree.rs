//! Files that are to be written.

use std::collections::BTreeMap;
use std::path::Path;

use include_dir::Dir;

/// By their paths in the project.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// All files of `dir` in the folder `below`.
pub(super) fn put(files: &mut Files, dir: &Dir, below: &str) {
    for file in dir.files() {
        let path = Path::new(below).join(file.path());
        files.insert(path.to_string_lossy().into_owned(), file.contents().into());
    }
    for dir in dir.dirs() {
        put(files, dir, below);
    }
}
