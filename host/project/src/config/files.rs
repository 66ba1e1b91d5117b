//! Which files a configuration consists of, and reading them without leaving the project.

use std::fs;
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

use super::refusal::{Kind, Refusal};
use crate::ground::{beneath, regular, yaml};
pub use crate::penguin::project::MAIN;

/// The file that Rookery's changes go to.
pub const PATCH: &str = "patch_90_mcp.yaml";

const MAX_BYTES: u64 = 8 << 20;

/// Text of a file of the project, or nothing where it does not exist.
pub fn read(project: &Path, file: &str) -> Result<Option<String>, Refusal> {
    let refuse = |problem: String| Refusal::new(Kind::File, file, problem);
    let unreadable = |error: &Error| match error.kind() {
        ErrorKind::CrossesDevices => Refusal::new(
            Kind::Outside,
            file,
            "lies outside the project directory, or is reached through a link that leaves it or \
             is absolute; copy it into the project, or link to it relatively",
        ),
        ErrorKind::FileTooLarge => refuse(format!("is larger than {} MiB", MAX_BYTES >> 20)),
        _ => refuse(format!("cannot be read: {error}")),
    };
    let dir = beneath::open_dir(project)
        .map_err(|error| refuse(format!("the project directory: {error}")))?;
    let opened = match regular::open_beneath(&dir, file) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|error| unreadable(&error))?,
    };
    let bytes = regular::read_all(opened, MAX_BYTES).map_err(|error| unreadable(&error))?;
    yaml::decode(&bytes)
        .map(Some)
        .map_err(|error| Refusal::yaml(file, &error))
}

/// Names in a directory, in byte order; none where there is no such directory.
pub fn names(dir: &Path, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| wanted(name))
        .collect();
    names.sort_unstable();
    names
}

/// How a patch that a configuration lists is called relative to the project.
pub fn relative(project: &Path, listed: &str) -> String {
    let path = Path::new(listed)
        .strip_prefix(project)
        .map_or_else(|_| PathBuf::from(listed), Path::to_path_buf);
    let path = path.strip_prefix(".").unwrap_or(&path);
    path.to_string_lossy().into_owned()
}

/// Whether a name ends in a dot and exactly this, as Python's patterns see it.
pub fn has_extension(name: &str, extension: &str) -> bool {
    name.strip_suffix(extension)
        .is_some_and(|stem| stem.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_link_is_followed_as_far_as_the_project_goes() {
        let root = tempfile::tempdir().unwrap();
        let project = root.path().join("p");
        fs::create_dir(&project).unwrap();
        fs::write(project.join("base.yaml"), "env: {}\n").unwrap();
        fs::write(root.path().join("other.yaml"), "env: {}\n").unwrap();
        for (name, to) in [
            ("near.yaml", PathBuf::from("base.yaml")),
            ("far.yaml", PathBuf::from("../other.yaml")),
            ("absolute.yaml", project.join("base.yaml")),
        ] {
            symlink(to, project.join(name)).unwrap();
        }
        assert!(matches!(read(&project, "near.yaml"), Ok(Some(_))));
        assert_eq!(read(&project, "absent.yaml"), Ok(None));
        for outside in ["far.yaml", "absolute.yaml", "../other.yaml", "/etc/passwd"] {
            let refused = read(&project, outside).unwrap_err();
            assert_eq!(refused.kind, Kind::Outside, "{outside}");
        }
    }
}
