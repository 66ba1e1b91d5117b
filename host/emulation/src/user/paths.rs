//! Guest paths: made absolute, normalised, and resolved inside the guest's root as the guest would resolve them.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags};
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

/// `/proc/self` and its kin, which mean another process when the supervisor resolves them, spelled with the guest's own pid.
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

/// Open an absolute guest path below `root`, links followed inside it, as `flags` say (`O_PATH` to look only).
///
/// `pid` is the guest's own pid there, for `/proc/self`.
pub fn open(root: impl AsFd, path: &str, pid: u32, flags: OFlags) -> Result<OwnedFd, Errno> {
    let mut path = own_proc(path, pid);
    for _ in 0..8 {
        let result = open_once(root.as_fd(), &path, flags);
        if !matches!(result, Err(Errno::NOENT | Errno::LOOP)) || flags.contains(OFlags::NOFOLLOW) {
            return result;
        }
        // A link to `/proc/self/…` resolves for the guest but not for us: follow one step by hand.
        let Ok(link) = open_once(root.as_fd(), &path, OFlags::PATH | OFlags::NOFOLLOW) else {
            return result;
        };
        let Ok(target) = rustix::fs::readlinkat(&link, "", Vec::new()) else {
            return result;
        };
        path = own_proc(&join(parent(&path), &target.to_string_lossy()), pid);
    }
    Err(Errno::LOOP)
}

fn open_once(root: impl AsFd, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let relative = path.trim_start_matches('/');
    let relative = if relative.is_empty() { "." } else { relative };
    // A named pipe must not make the supervisor wait, nor a terminal become its own.
    let flags = if flags.contains(OFlags::PATH) {
        flags
    } else {
        flags | OFlags::NONBLOCK | OFlags::NOCTTY
    };
    rustix::fs::openat2(
        root,
        relative,
        flags | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::IN_ROOT,
    )
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

/// Open for reading what a descriptor of ours refers to.
pub fn reopen(fd: impl AsFd) -> Result<OwnedFd, Errno> {
    use std::os::fd::AsRawFd;
    rustix::fs::open(
        format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd()),
        OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY,
        Mode::empty(),
    )
}

/// The status of what a descriptor refers to.
pub fn status(fd: impl AsFd) -> Result<rustix::fs::Stat, Errno> {
    rustix::fs::statat(fd, "", AtFlags::EMPTY_PATH)
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

    #[test]
    fn links_never_lead_out_of_the_root() {
        let root = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("../../../../etc/passwd", root.path().join("up")).unwrap();
        std::os::unix::fs::symlink("/inside", root.path().join("absolute")).unwrap();
        std::fs::write(root.path().join("inside"), "x").unwrap();
        let dir = std::fs::File::open(root.path()).unwrap();
        let exists = |path| open(&dir, path, 1, OFlags::PATH).map(drop);
        assert_eq!(exists("/up"), Err(Errno::NOENT));
        assert_eq!(exists("/absolute"), Ok(()));
        assert_eq!(exists("/absolute/x"), Err(Errno::NOTDIR));
    }
}
