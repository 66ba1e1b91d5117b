//! `chroot`: what programs are started with must be in the new root, too.

use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, OpenTreeFlags};

use super::super::guest::Guest;
use super::super::notify::{Action, Call};
use super::super::sandbox::LAUNCHER_PATH;
use super::super::{inside, paths};

/// Files or directories of the guest's first root.
const PROGRAMS: &[(&str, bool)] = &[(LAUNCHER_PATH, false), ("/.rookery", true)];

/// `chroot`. The kernel carries it out; where the programs cannot be brought along, nothing can be executed there.
pub fn chroot(guest: &mut Guest<'_>, call: &Call) -> Action {
    let Ok(path) = guest.path(call, None, 0) else {
        return Action::Continue;
    };
    let Some((root, pid)) = guest.view(call) else {
        return Action::Continue;
    };
    if let Ok(at) = paths::open(&root, &path, pid, OFlags::PATH | OFlags::DIRECTORY)
        && let Err(error) = inside::run(&guest.pidfd, || bring_programs(&at))
    {
        tracing::debug!(%error, path, "the launcher cannot be brought into a new root");
    }
    Action::Continue
}

fn bring_programs(at: &OwnedFd) -> Result<(), Errno> {
    for (path, is_directory) in PROGRAMS {
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
    }
    Ok(())
}
