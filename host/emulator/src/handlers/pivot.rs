//! `pivot_root`, and a mount that is moved to the root: what the sandbox keeps at the guest's root
//! goes along to the new one.

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::mount::UnmountFlags;

use crate::guest::access::{HasMounts, HasNamespaces, Paths};
use crate::handlers::chroot::{Kept, bring};
use crate::kernel::{enter, paths};
use crate::process::call::{Action, Call};
use crate::process::path_arg::PathArg;
use crate::sandbox::programs::LAUNCHER_PATH;

/// A firmware moves `/proc`, `/sys` and `/dev` itself or mounts them anew; the sandbox's own are
/// the only ones there are.
const KEPT: &[Kept] = &[
    ("/proc", true),
    ("/sys", true),
    ("/dev", true),
    ("/.rookery", true),
    (LAUNCHER_PATH, false),
];

/// Where `pivot_root` has the place for the old root.
const OLD_ROOT: PathArg = PathArg {
    directory: None,
    path: 1,
};

/// `pivot_root`.
pub fn pivot_root(guest: &mut (impl Paths + HasMounts + HasNamespaces), call: &Call) -> Action {
    match carry_out(guest, call) {
        Ok(()) => Action::Return(0),
        Err(errno) => errno.into(),
    }
}

fn carry_out(
    guest: &mut (impl Paths + HasMounts + HasNamespaces),
    call: &Call,
) -> Result<(), Errno> {
    let (new, old) = (
        guest.path(call, PathArg::FIRST)?,
        guest.path(call, OLD_ROOT)?,
    );
    let (new, new_name) = new_root(guest, call, &new)?;
    let old = guest.view(call).ok_or(Errno::SRCH)?.find_directory(&old)?;
    let old_name = paths::of_descriptor(&old).ok_or(Errno::INVAL)?;
    // Where the old root will be seen from the new one.
    let aside = old_name.strip_prefix(&new_name).unwrap_or_default();
    if !aside.starts_with('/') {
        return Err(Errno::INVAL);
    }
    let pivoted = enter::run(&guest.namespaces(), || {
        pivot(&new, &old_name)?;
        for (path, _) in KEPT {
            detach(&format!("{}{path}", aside.trim_start_matches('/')));
        }
        Ok(())
    });
    guest.procs().roots().changed();
    pivoted?;
    guest.mounts().pivot(&new_name, Some(aside));
    Ok(())
}

/// What is mounted at `new` becomes the root, and nobody sees the old one any more: `mount` with
/// `MS_MOVE` onto `/`, as `switch_root` has it.
pub(super) fn replace_root(
    guest: &mut (impl Paths + HasMounts + HasNamespaces),
    call: &Call,
    new: &str,
) -> Result<(), Errno> {
    let (new, name) = new_root(guest, call, new)?;
    let pivoted = enter::run(&guest.namespaces(), || {
        // The old one comes to be on top of the new one (`pivot_root(2)`), and is taken away.
        pivot(&new, ".")?;
        detach(".");
        Ok(())
    });
    guest.procs().roots().changed();
    pivoted?;
    guest.mounts().pivot(&name, None);
    Ok(())
}

/// The directory that is to be the root, and its name.
fn new_root(guest: &mut impl Paths, call: &Call, path: &str) -> Result<(OwnedFd, String), Errno> {
    let chrooted = guest
        .caller(call)
        .is_none_or(|record| record.is_in_chroot());
    let view = guest.view(call).ok_or(Errno::SRCH)?;
    let new = view.find_directory(path)?;
    let name = paths::of_descriptor(&new).ok_or(Errno::INVAL)?;
    if chrooted || name == "/" {
        return Err(Errno::INVAL);
    }
    Ok((new, name))
}

/// The kernel itself refuses a new root on which nothing is mounted.
fn pivot(new: &OwnedFd, old: &str) -> Result<(), Errno> {
    rustix::process::fchdir(new)?;
    let mut brought = Vec::new();
    let result =
        bring(KEPT, new, &mut brought).and_then(|()| rustix::process::pivot_root(".", old));
    if result.is_err() {
        brought.into_iter().for_each(detach);
    }
    result
}

/// Take a mount away. What cannot be taken away stays visible twice, which harms nobody.
fn detach(path: &str) {
    let _ = rustix::mount::unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW);
}
