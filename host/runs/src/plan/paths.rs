//! Paths that a configuration names: in the guest, and on the host.

use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use rookery_project::regular;

/// A guest path that can be used: absolute, without `..` and NUL, shorter than `PATH_MAX`.
pub(crate) fn is_guest_path(path: &str) -> bool {
    path.starts_with('/')
        && path.len() < 4096
        && !path.contains('\0')
        && Path::new(path)
            .components()
            .all(|part| part != Component::ParentDir)
}

/// The real path of `name`, which is relative to the project or absolute; `None` where it leads out
/// of the project or to nothing.
pub(crate) fn in_project(project_dir: &Path, name: &str) -> Option<PathBuf> {
    let path = project_dir.join(name).canonicalize().ok()?;
    let project_dir = project_dir.canonicalize().ok()?;
    path.starts_with(project_dir).then_some(path)
}

/// The files of the project that `name` stands for; its last component may hold `*` and `?`.
pub(crate) fn expand(project_dir: &Path, name: &str) -> Vec<PathBuf> {
    let (directory, pattern) = name.rsplit_once('/').unwrap_or((".", name));
    if !pattern.contains(['*', '?']) {
        return in_project(project_dir, name).into_iter().collect();
    }
    let Some(directory) = in_project(
        project_dir,
        if directory.is_empty() { "/" } else { directory },
    ) else {
        return Vec::new();
    };
    let Ok(entries) = std::fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut found: Vec<_> = entries
        .flatten()
        // As a shell has it, a wildcard does not stand for a leading dot.
        .filter(|entry| {
            entry
                .file_name()
                .to_str()
                .is_some_and(|name| !name.starts_with('.') && matches(pattern, name))
        })
        .filter_map(|entry| in_project(project_dir, entry.path().to_str()?))
        .collect();
    found.sort();
    found
}

/// Whether `name` matches `pattern`, in which `*` stands for any text and `?` for one character.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    // Row by row of the table "the first i of the pattern match the first j of the name".
    let mut row: Vec<bool> = std::iter::once(true)
        .chain(name.iter().map(|_| false))
        .collect();
    for wanted in pattern {
        let mut next = vec![wanted == '*' && row.first() == Some(&true)];
        for (character, pair) in name.iter().zip(row.windows(2)) {
            let (&[before, above] | &[before, above, ..]) = pair else {
                continue;
            };
            let left = next.last() == Some(&true);
            next.push(if wanted == '*' {
                above || left
            } else {
                before && (wanted == '?' || wanted == *character)
            });
        }
        row = next;
    }
    row.last() == Some(&true)
}

/// The first `limit` bytes of a file, and whether there is more.
pub(crate) fn read_head(path: &Path, limit: usize) -> std::io::Result<(Vec<u8>, bool)> {
    let mut bytes = Vec::new();
    regular::open(path)?
        .take(u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1))
        .read_to_end(&mut bytes)?;
    let more = bytes.len() > limit;
    bytes.truncate(limit);
    Ok((bytes, more))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_as_in_a_shell() {
        for (pattern, name, expected) in [
            ("*", "x", true),
            ("*", "", true),
            ("*.sh", "a.sh", true),
            ("*.sh", "a.sh.bak", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("a*b*c", "aXbXbXc", true),
            ("a*b*c", "aXc", false),
            ("x", "", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn host_paths_stay_in_the_project() {
        let project = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "x").unwrap();
        std::fs::create_dir(project.path().join("files")).unwrap();
        for name in ["b.sh", "a.sh", ".hidden.sh", "c.txt"] {
            std::fs::write(project.path().join("files").join(name), "x").unwrap();
        }
        std::os::unix::fs::symlink(
            outside.path().join("secret"),
            project.path().join("files/link.sh"),
        )
        .unwrap();
        let names = |pattern: &str| -> Vec<String> {
            expand(project.path(), pattern)
                .iter()
                .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
                .collect()
        };
        assert_eq!(names("files/*.sh"), ["a.sh", "b.sh"]);
        assert_eq!(names("./files/c.txt"), ["c.txt"]);
        assert_eq!(names("files/none"), Vec::<String>::new());
        for escape in [
            "../../etc/passwd",
            "/etc/passwd",
            "/etc/pass*",
            "files/link.sh",
            "files/../../*",
        ] {
            assert_eq!(names(escape), Vec::<String>::new(), "{escape}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_named_lies_in_the_project(name: String, climbs in 0..6_usize) {
            let project = tempfile::tempdir().unwrap();
            let root = project.path().canonicalize().unwrap();
            for path in expand(&root, &format!("{}{name}*", "../".repeat(climbs))) {
                assert!(path.starts_with(&root), "{path:?}");
            }
        }
    }
}
