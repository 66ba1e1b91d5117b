//! Files are opened in one place: `regular.rs` refuses what is none, and waits for nothing
//! (docs/architecture.md, invariant 12).

use std::fs;
use std::path::{Path, PathBuf};

/// What opens or reads a file by its path, whatever is there.
const OPENING: [&str; 6] = [
    "File::open(",
    "File::create(",
    "fs::read(",
    "fs::read_to_string(",
    "fs::copy(",
    "OpenOptions",
];
/// Lines that open something else: the machine's own files, and new ones in directories of our own.
const EXCEPT: [&str; 4] = [
    "/proc/",
    "join(\"cmdline\")",
    "/dev/null",
    // A new file, which is made and not opened, of an unpacked archive.
    "let opened: std::io::Result<File> = OpenOptions::new()",
];

fn sources(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                sources(&path)
            } else {
                vec![path]
            }
        })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

#[test]
fn files_are_opened_in_one_place() {
    let host = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let rooms = ["project/src", "records/src", "runs/src"];
    let mut found = Vec::new();
    for path in rooms.iter().flat_map(|room| sources(&host.join(room))) {
        let in_tests = path.components().any(|part| part.as_os_str() == "tests");
        if path.ends_with("regular.rs") || path.ends_with("tests.rs") || in_tests {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        // Tests stand at the end of a file.
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let opens = |line: &&str| {
            OPENING.iter().any(|opening| line.contains(opening))
                && !line.starts_with("use ")
                && !EXCEPT.iter().any(|allowed| line.contains(allowed))
        };
        found.extend(
            code.lines()
                .filter(opens)
                .map(|line| format!("{}: {}", path.display(), line.trim())),
        );
    }
    assert!(found.is_empty(), "use `regular` instead:\n{found:#?}");
}
