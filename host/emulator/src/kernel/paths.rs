//! Guest paths as text: made absolute, normalised, taken apart.

use std::os::fd::AsFd;

use rustix::fs::{AtFlags, CWD};
use rustix::io::Errno;

/// The path with `.`, `..` and repeated slashes resolved by the text alone; absolute.
pub fn normalise(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// `path` as seen from the directory `base`.
pub fn join(base: &str, path: &str) -> String {
    if path.starts_with('/') {
        normalise(path)
    } else {
        normalise(&format!("{base}/{path}"))
    }
}

/// The directory part of a normalised path.
pub fn parent(path: &str) -> &str {
    match path.rsplit_once('/') {
        None | Some(("", _)) => "/",
        Some((parent, _)) => parent,
    }
}

/// The last part of a path.
pub fn basename(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Whether `path` is `directory` or lies below it.
pub fn is_below(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What an absolute path is called once `new` is the root and the old root is seen at `aside`.
pub fn after_pivot(path: &str, new: &str, aside: &str) -> String {
    if is_below(path, new) {
        normalise(path.get(new.len()..).unwrap_or_default())
    } else {
        normalise(&format!("{aside}{path}"))
    }
}

/// `/proc/self` and its kin, which mean another process when the supervisor resolves them, spelled
/// with the guest's own pid.
pub fn own_proc(path: &str, pid: u32) -> String {
    let Some(rest) = path.strip_prefix("/proc/") else {
        return path.to_owned();
    };
    let (first, tail) = rest
        .split_once('/')
        .map_or((rest, String::new()), |(first, tail)| {
            (first, format!("/{tail}"))
        });
    match first {
        "self" | "thread-self" => format!("/proc/{pid}{tail}"),
        "mounts" | "net" => format!("/proc/{pid}/{first}{tail}"),
        _ => path.to_owned(),
    }
}

/// The process, as the guest numbers it, below whose directory in `/proc` a path is.
pub fn process(path: &str) -> Option<u32> {
    let first = path.strip_prefix("/proc/")?.split('/').next()?;
    first.parse().ok()
}

/// Whether the text of a link of `/proc` is the path of a file that still has one.
pub fn is_path(link: &str) -> bool {
    link.starts_with('/') && !link.starts_with("/memfd:") && !link.ends_with(" (deleted)")
}

/// The inode of a socket, from the text of its link of `/proc`.
pub fn socket(link: &str) -> Option<u64> {
    let inode = link.strip_prefix("socket:[")?.strip_suffix(']')?;
    inode.parse().ok()
}

/// The guest path behind an open descriptor of ours, links resolved.
pub fn of_descriptor(fd: impl AsFd) -> Option<String> {
    use std::os::fd::AsRawFd;
    let link = rustix::fs::readlinkat(
        CWD,
        format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd()),
        Vec::new(),
    )
    .ok()?;
    link.into_string().ok().filter(|path| path.starts_with('/'))
}

/// The status of what a descriptor refers to.
pub fn status(fd: impl AsFd) -> Result<rustix::fs::Stat, Errno> {
    rustix::fs::statat(fd, "", AtFlags::EMPTY_PATH)
}

/// Whether a path belongs to the machine rather than to the file system.
pub fn is_machine(path: &str) -> bool {
    ["/dev", "/proc", "/sys"]
        .iter()
        .any(|directory| is_below(path, directory))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normalised_by_their_text() {
        for (base, path, expected) in [
            ("/", "a", "/a"),
            ("/etc", "../dev//null", "/dev/null"),
            ("/etc", "/./dev/../../sys/", "/sys"),
            ("/", "..", "/"),
            ("/a/b", ".", "/a/b"),
        ] {
            assert_eq!(join(base, path), expected);
        }
        assert_eq!(parent("/a/b"), "/a");
        assert_eq!(parent("/a"), "/");
        assert!(
            is_below("/dev/null", "/dev")
                && is_below("/dev", "/dev")
                && !is_below("/device", "/dev")
        );
    }

    #[test]
    fn a_process_means_itself_by_proc_self() {
        assert_eq!(own_proc("/proc/self/maps", 7), "/proc/7/maps");
        assert_eq!(own_proc("/proc/net/dev", 7), "/proc/7/net/dev");
        assert_eq!(own_proc("/proc/mounts", 7), "/proc/7/mounts");
        assert_eq!(own_proc("/proc/mtd", 7), "/proc/mtd");
        assert_eq!(own_proc("/dev/self", 7), "/dev/self");
    }
}
