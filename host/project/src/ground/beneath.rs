//! Directories held open, and what lies below them: the kernel itself keeps a path from leading
//! out.
//!
//! Invariant 9: the kernel resolves paths below the roots.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::{Error, Result};

/// Open a directory, to open others from it.
pub(crate) fn open_dir(dir: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(dir, flags, Mode::empty()).map_err(|e| Error::io("open", dir, &e.into()))
}

/// Open `path` below `dir`, or `dir` itself when `path` is empty. Links may be followed, but not
/// out of `dir`.
pub(crate) fn open_beneath(
    dir: &OwnedFd,
    path: impl AsRef<OsStr>,
    flags: OFlags,
) -> Result<OwnedFd, Errno> {
    let path = if path.as_ref().is_empty() {
        OsStr::new(".")
    } else {
        path.as_ref()
    };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    // A concurrent rename makes the kernel answer EAGAIN; trying again is what its manual asks for.
    for _ in 0..16 {
        match rustix::fs::openat2(dir, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            result => return result,
        }
    }
    Err(Errno::AGAIN)
}
