//! The sources of a tool, as they were last seen.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What package managers write while they build.
const LOCKS: [&str; 3] = ["Cargo.lock", "go.sum", "package-lock.json"];
/// Most files that are looked at.
const MAX_FILES: usize = 10_000;

/// When each file was written, and its size.
pub(super) type Sources = BTreeMap<PathBuf, (SystemTime, u64)>;

/// All files of the project in `dir`, but for hidden ones and what its `.gitignore` names: what
/// builds write.
pub(super) fn of(dir: &Path) -> Sources {
    let ignored = std::fs::read_to_string(dir.join(".gitignore")).unwrap_or_default();
    let ignored: BTreeSet<PathBuf> = ignored
        .lines()
        .map(|line| dir.join(line.trim().trim_matches('/')))
        .collect();
    let mut sources = Sources::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).into_iter().flatten();
        for entry in entries.filter_map(Result::ok) {
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            if name.starts_with('.') || LOCKS.contains(&&*name) || ignored.contains(&path) {
                continue;
            }
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            if metadata.is_dir() {
                folders.push(path);
            } else if let Ok(written) = metadata.modified()
                && sources.len() < MAX_FILES
            {
                sources.insert(path, (written, metadata.len()));
            }
        }
    }
    sources
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_a_build_writes_is_not_a_source() {
        let dir = tempfile::tempdir().expect("a directory");
        let write = |path: &str| {
            let file = dir.path().join(path);
            fs::create_dir_all(file.parent().expect("a folder")).expect("made");
            fs::write(file, path).expect("written");
        };
        fs::write(dir.path().join(".gitignore"), "/target\n/my_tool.wasm\n").expect("written");
        write("src/lib.rs");
        let before = of(dir.path());
        assert_eq!(before.len(), 1);
        for built in ["target/a.o", "my_tool.wasm", ".git/index", "Cargo.lock"] {
            write(built);
            assert_eq!(of(dir.path()), before, "{built}");
        }
        write("src/more.rs");
        assert_ne!(of(dir.path()), before);
    }
}
