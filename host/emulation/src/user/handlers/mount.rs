//! Mounts. The guest has no right to mount; the supervisor does it for it, or says that it was done.

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
};

use super::super::guest::Guest;
use super::super::notify::{Action, Call};
use super::super::{inside, mem, paths};
use crate::event::What;

/// Where the sandbox's own mounts are: they stay.
const OWN: &[&str] = &["/proc", "/sys", "/dev", "/dev/pts", "/.rookery", "/.q", "/"];

/// Memory of one file system that the guest mounts.
const SIZE: &str = "64m";

/// `mount`.
pub fn mount(guest: &mut Guest<'_>, call: &Call) -> Action {
    let target = match guest.path(call, None, 1) {
        Ok(target) => target,
        Err(errno) => return errno.into(),
    };
    let text = |guest: &mut Guest<'_>, index: usize| -> String {
        let memory = guest
            .caller(call)
            .and_then(super::super::procs::Record::memory);
        memory
            .and_then(|memory| memory.string(call.arg(index), mem::PATH_MAX))
            .map(|s| mem::text(&s))
            .unwrap_or_default()
    };
    let (source, fstype) = (text(guest, 0), text(guest, 2));
    let flags = call.arg(3);
    let (result, faked) = carry_out(guest, call, &target, &fstype, flags);
    let code = result.map_or_else(|errno| -errno.raw_os_error(), |()| 0);
    guest.report_call(
        call,
        What::Mount {
            source,
            target,
            fstype,
            result: code,
            faked,
        },
    );
    result.map_or_else(Action::from, |()| Action::Return(0))
}

/// The outcome, and whether it is only pretended.
fn carry_out(
    guest: &mut Guest<'_>,
    call: &Call,
    target: &str,
    fstype: &str,
    flags: u64,
) -> (Result<(), Errno>, bool) {
    let Some((root, pid)) = guest.view(call) else {
        return (Err(Errno::SRCH), false);
    };
    let at = match paths::open(&root, target, pid, OFlags::PATH | OFlags::DIRECTORY)
        .or_else(|_| paths::open(&root, target, pid, OFlags::PATH))
    {
        Ok(at) => at,
        Err(errno) => return (Err(errno), false),
    };
    let real = paths::of_descriptor(&at).unwrap_or_else(|| target.to_owned());
    if OWN.contains(&real.as_str()) || flags & (libc::MS_REMOUNT | PROPAGATION) != 0 {
        return (Ok(()), true);
    }
    if flags & (libc::MS_BIND | libc::MS_MOVE) != 0 {
        let Ok(source) = guest.path(call, None, 0) else {
            return (Err(Errno::FAULT), false);
        };
        let from = match paths::open(&root, &source, pid, OFlags::PATH) {
            Ok(from) => from,
            Err(errno) => return (Err(errno), false),
        };
        let moves = flags & libc::MS_MOVE != 0;
        if moves && paths::of_descriptor(&from).is_some_and(|from| OWN.contains(&from.as_str())) {
            return (Ok(()), true);
        }
        return (
            inside::run(&guest.pidfd, || attach(&from, &at, !moves)),
            false,
        );
    }
    match fstype {
        "tmpfs" | "ramfs" => (inside::run(&guest.pidfd, || mount_tmpfs(&at)), false),
        "overlay" | "overlayfs" => (Err(Errno::NODEV), false),
        // Flash, disks, control groups, debugging: the directory stays as it is.
        _ => (Ok(()), true),
    }
}

const PROPAGATION: u64 = libc::MS_PRIVATE | libc::MS_SHARED | libc::MS_SLAVE | libc::MS_UNBINDABLE;

fn attach(from: &std::os::fd::OwnedFd, at: &std::os::fd::OwnedFd, copy: bool) -> Result<(), Errno> {
    let both = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    if copy {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_EMPTY_PATH
            | OpenTreeFlags::AT_RECURSIVE;
        let tree = rustix::mount::open_tree(from, "", flags)?;
        return rustix::mount::move_mount(&tree, "", at, "", both);
    }
    rustix::mount::move_mount(from, "", at, "", both)
}

fn mount_tmpfs(at: &std::os::fd::OwnedFd) -> Result<(), Errno> {
    let context = rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_set_string(&context, "size", SIZE)?;
    rustix::mount::fsconfig_set_string(&context, "mode", "0755")?;
    rustix::mount::fsconfig_create(&context)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    let mount = rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
    let both = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(&mount, "", at, "", both)
}

/// `umount2`: of what the guest mounted itself; anything else only seems to go.
pub fn unmount(guest: &mut Guest<'_>, call: &Call) -> Action {
    let target = match guest.path(call, None, 0) {
        Ok(target) => target,
        Err(errno) => return errno.into(),
    };
    let Some((root, pid)) = guest.view(call) else {
        return Errno::SRCH.into();
    };
    let at = match paths::open(&root, &target, pid, OFlags::PATH) {
        Ok(at) => at,
        Err(errno) => return errno.into(),
    };
    if paths::of_descriptor(&at).is_none_or(|real| OWN.contains(&real.as_str())) {
        return Action::Return(0);
    }
    let result = inside::run(&guest.pidfd, || {
        rustix::process::fchdir(&at)?;
        rustix::mount::unmount(".", UnmountFlags::DETACH)
    });
    match result {
        // No mount point: one that was only pretended.
        Ok(()) | Err(Errno::INVAL) => Action::Return(0),
        Err(errno) => errno.into(),
    }
}
