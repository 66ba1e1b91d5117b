//! `chroot`: what programs are started with must be in the new root, too.

use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, OpenTreeFlags};

use crate::guest::access::{HasNamespaces, Paths};
use crate::kernel::enter;
use crate::process::call::{Action, Call};
use crate::process::path_arg::PathArg;
use crate::sandbox::programs::LAUNCHER_PATH;

/// What the sandbox keeps at the guest's root: where it is, and whether that is a directory.
pub(super) type Kept = (&'static str, bool);

const PROGRAMS: &[Kept] = &[(LAUNCHER_PATH, false), ("/.rookery", true)];

/// `chroot`. The kernel carries it out; where the programs cannot be brought along, nothing can be
/// executed there.
pub fn chroot(guest: &mut (impl Paths + HasNamespaces), call: &Call) -> Action {
    let path = guest.path(call, PathArg::FIRST);
    // The kernel reads the path again: another thread may have made one of it by then.
    guest.procs().roots().begins(call.thread());
    let (Ok(path), Some(view)) = (path, guest.view(call)) else {
        return Action::Continue;
    };
    if let Ok(at) = view.find_directory(&path)
        && let Err(error) = enter::run(&guest.namespaces(), || {
            bring(PROGRAMS, &at, &mut Vec::new())
        })
    {
        tracing::debug!(%error, path, "the launcher cannot be brought into a new root");
    }
    Action::Continue
}

/// Show `kept` below `at` as at the root, and note the names of what was not there before.
pub(super) fn bring(
    kept: &[Kept],
    at: &OwnedFd,
    brought: &mut Vec<&'static str>,
) -> Result<(), Errno> {
    for (path, is_directory) in kept {
        let name = path.trim_start_matches('/');
        let own = rustix::fs::statat(CWD, *path, AtFlags::SYMLINK_NOFOLLOW)?;
        if rustix::fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|there| (there.st_dev, there.st_ino) == (own.st_dev, own.st_ino))
        {
            continue;
        }
        let placed = if *is_directory {
            rustix::fs::mkdirat(at, name, Mode::from_raw_mode(0o755))
        } else {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            rustix::fs::openat(at, name, flags, Mode::from_raw_mode(0o644)).map(drop)
        };
        placed.or_else(|errno| match errno {
            Errno::EXIST => Ok(()),
            errno => Err(errno),
        })?;
        let copy = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_RECURSIVE;
        let tree = rustix::mount::open_tree(CWD, *path, copy)?;
        let from = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        rustix::mount::move_mount(&tree, "", at, name, from)?;
        brought.push(name);
    }
    Ok(())
}
