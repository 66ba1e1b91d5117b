//! Mounts. The guest has no right to mount; the supervisor does it for it, or says that it was
//! done.

use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Mode, OFlags, Statx, StatxFlags};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags, UnmountFlags};

use crate::files::image_mount::move_to;
use crate::files::mounts::{files_in, is_own};
use crate::guest::access::{
    Callers, HasDevices, HasImages, HasKept, HasMounts, HasNamespaces, HasPlan, Paths,
};
use crate::handlers::image_mount::MountsImages;
use crate::handlers::{image_mount, pivot};
use crate::kernel::{enter, paths};
use crate::process::call::{Action, Call};
use crate::process::path_arg::PathArg;
use crate::process::view::View;
use rookery_records::event::What;

/// Whether a kernel could have a file system of this name: `jffs2`, `fuse.sshfs`.
fn is_name(fstype: &str) -> bool {
    const NAME_MAX: usize = 32;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    fstype.len() <= NAME_MAX && fstype.bytes().all(fits)
}

/// What becomes of a mount that succeeds.
enum Done {
    /// It is there.
    Mounted,
    /// It only seems so.
    Faked,
    /// The caller waits for it.
    Later,
}

/// Where `mount` has its target.
const TARGET: PathArg = PathArg {
    directory: None,
    path: 1,
};

/// `mount`.
pub fn mount<'a>(guest: &mut (impl MountsImages + HasPlan<'a> + HasKept), call: &Call) -> Action {
    let target = match guest.raw_path(call, TARGET) {
        Ok(target) => target,
        Err(errno) => return errno.into(),
    };
    let request = Request {
        source: guest.string(call, 0).unwrap_or_default(),
        fstype: guest.string(call, 2).unwrap_or_default(),
        flags: call.arg(3),
        options: guest.string(call, 4).unwrap_or_default(),
        target,
    };
    let result = carry_out(guest, call, &request);
    if matches!(result, Ok(Done::Later)) {
        return Action::Later;
    }
    let faked = matches!(result, Ok(Done::Faked));
    let code = result
        .as_ref()
        .map_or_else(|errno| -errno.raw_os_error(), |_| 0);
    guest.report_call(
        call,
        What::Mount {
            source: request.source,
            target: request.target,
            fstype: request.fstype,
            result: code,
            faked,
        },
    );
    result.map_or_else(Action::from, |_| Action::Return(0))
}

struct Request {
    source: String,
    target: String,
    fstype: String,
    flags: u64,
    options: String,
}

fn carry_out<'a>(
    guest: &mut (impl MountsImages + HasPlan<'a> + HasKept),
    call: &Call,
    request: &Request,
) -> Result<Done, Errno> {
    let at = guest.view(call).ok_or(Errno::SRCH)?.find(&request.target)?;
    let real = paths::of_descriptor(&at).unwrap_or_else(|| request.target.clone());
    if request.flags & libc::MS_REMOUNT != 0 {
        image_mount::remount(guest, &at, request.flags & libc::MS_RDONLY != 0)?;
        return Ok(Done::Mounted);
    }
    if request.flags & PROPAGATION != 0 {
        return Ok(Done::Mounted);
    }
    if real == "/" && request.flags & libc::MS_MOVE != 0 {
        let source = guest.path(call, PathArg::FIRST)?;
        pivot::replace_root(guest, call, &source)?;
        return Ok(Done::Mounted);
    }
    if is_own(&real) {
        guest.mounts().redo(&real);
        return Ok(Done::Mounted);
    }
    if request.flags & (libc::MS_BIND | libc::MS_MOVE) != 0 {
        let source = guest.path(call, PathArg::FIRST)?;
        let moves = request.flags & libc::MS_MOVE != 0;
        return bind(guest, call, &source, &at, &real, moves);
    }
    match request.fstype.as_str() {
        "tmpfs" | "ramfs" => mount_tmpfs(guest, request, &at),
        "proc" => bind(guest, call, "/proc", &at, &real, false),
        "sysfs" => bind(guest, call, "/sys", &at, &real, false),
        "devpts" => bind(guest, call, "/dev/pts", &at, &real, false),
        "" => Err(Errno::INVAL),
        // Whichever the firmware's own kernel has: the directory stays as it is, and what is
        // written there lasts as long as the run.
        other if is_name(other) => {
            has_room(guest)?;
            let on = mount_of(&at)?;
            if let Some(image) = image_mount::find(guest, call, other)? {
                let asked = image_mount::Request {
                    source: &request.source,
                    target: &request.target,
                    fstype: other,
                    read_only: request.flags & libc::MS_RDONLY != 0,
                    at,
                    real,
                };
                let done = image_mount::begin(guest, call, image, asked)?;
                return Ok(if done { Done::Mounted } else { Done::Later });
            }
            guest.mounts().fake(&request.source, &real, other, on);
            Ok(Done::Faked)
        }
        _ => Err(Errno::NODEV),
    }
}

const PROPAGATION: u64 = libc::MS_PRIVATE | libc::MS_SHARED | libc::MS_SLAVE | libc::MS_UNBINDABLE;

/// Show a directory or a file at another place, or move what is mounted on it there.
fn bind(
    guest: &mut (impl Callers + HasMounts + HasNamespaces),
    call: &Call,
    source: &str,
    at: &OwnedFd,
    target: &str,
    moves: bool,
) -> Result<Done, Errno> {
    let from = guest.view(call).ok_or(Errno::SRCH)?.find(source)?;
    let source = paths::of_descriptor(&from).unwrap_or_else(|| source.to_owned());
    if moves && is_own(&source) {
        return Ok(Done::Faked);
    }
    // Elsewhere it could not be told any more whose it is.
    if guest.is_of_process(&from) {
        return Err(Errno::INVAL);
    }
    has_room(guest)?;
    enter::run(&guest.namespaces(), || attach(&from, at, !moves))?;
    if moves {
        guest.mounts().unbind(&source);
    }
    let source = guest.mounts().canonical(source);
    guest.mounts().bind(target, &source);
    Ok(Done::Mounted)
}

fn attach(from: &OwnedFd, at: &OwnedFd, copy: bool) -> Result<(), Errno> {
    if copy {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_EMPTY_PATH
            | OpenTreeFlags::AT_RECURSIVE;
        let tree = rustix::mount::open_tree(from, "", flags)?;
        return move_to(&tree, at);
    }
    move_to(from, at)
}

/// The guest's mounts as the kernel knows them. `NOSPC` where there are too many for one more.
fn has_room(guest: &mut (impl Callers + HasMounts)) -> Result<String, Errno> {
    let table = guest.init().text("mountinfo").map_err(|_| Errno::NOSPC)?;
    if table.lines().count() < KERNELS_MAX && !guest.mounts().is_full() {
        Ok(table)
    } else {
        Err(Errno::NOSPC)
    }
}

/// Mounts of the guest that the kernel may come to know; a bind of what holds binds can double
/// them.
const KERNELS_MAX: usize = 512;

/// Where a mount is: the directory that holds it, and its name there. As long as something is
/// mounted on a name, nobody can give it to anything else (`rename(2)`: `EBUSY`).
struct Place {
    parent: OwnedFd,
    name: String,
}

impl Place {
    /// The place of what is at `at`, or of what was mounted on it.
    fn of(guest: &mut impl Callers, at: &OwnedFd) -> Result<Self, Errno> {
        let path = paths::of_descriptor(at).ok_or(Errno::INVAL)?;
        let is_directory = paths::status(at)?.st_mode & libc::S_IFMT == libc::S_IFDIR;
        let parent = if is_directory {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            rustix::fs::openat(at, "..", flags, Mode::empty())?
        } else {
            let root = guest.init().target("root")?;
            View::new(root, 1).find_directory(paths::parent(&path))?
        };
        let name = paths::basename(&path).to_owned();
        Ok(Self { parent, name })
    }

    fn status(&self) -> Result<Statx, Errno> {
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
        rustix::fs::statx(&self.parent, &self.name, flags, StatxFlags::MNT_ID)
    }
}

/// The kernel's number of the mount that a file is on.
fn mount_of(file: &OwnedFd) -> Result<u64, Errno> {
    let status = rustix::fs::statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)?;
    Ok(status.stx_mnt_id)
}

fn mount_tmpfs(
    guest: &mut (impl Callers + HasMounts + HasNamespaces),
    request: &Request,
    at: &OwnedFd,
) -> Result<Done, Errno> {
    let option = |name: &str| {
        request
            .options
            .split(',')
            .filter_map(|option| option.split_once('='))
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    };
    let table = has_room(guest)?;
    let wanted = option("size").and_then(bytes);
    let size = guest.mounts().room(wanted, &table).ok_or(Errno::NOMEM)?;
    let mode = option("mode")
        .and_then(|mode| u32::from_str_radix(mode, 8).ok())
        .map_or(0o1777, |mode| mode & 0o7777);
    let mut attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    if request.flags & libc::MS_NOEXEC != 0 {
        attributes |= MountAttrFlags::MOUNT_ATTR_NOEXEC;
    }
    if request.flags & libc::MS_RDONLY != 0 {
        attributes |= MountAttrFlags::MOUNT_ATTR_RDONLY;
    }
    enter::run(&guest.namespaces(), || {
        let context = rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        let set =
            |name: &str, value: &str| rustix::mount::fsconfig_set_string(&context, name, value);
        // The name is shown only; one that the kernel does not take is left out.
        let _ = set("source", &request.source);
        set("size", &size.to_string())?;
        set("nr_inodes", &files_in(size).to_string())?;
        set("mode", &format!("{mode:o}"))?;
        rustix::mount::fsconfig_create(&context)?;
        let mount = rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
        move_to(&mount, at)
    })?;
    let mounted = Place::of(guest, at).and_then(|place| place.status());
    let device = mounted.map_or(0, |status| {
        libc::makedev(status.stx_dev_major, status.stx_dev_minor)
    });
    guest.mounts().took(device, size);
    Ok(Done::Mounted)
}

/// A size as `mount` takes it: `64m`. A share of the memory, or none, is left to us.
fn bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match text.get(digits.len()..)? {
        "" => 1,
        "k" | "K" => 1 << 10,
        "m" | "M" => 1 << 20,
        "g" | "G" => 1 << 30,
        _ => return None,
    };
    digits
        .parse::<u64>()
        .ok()?
        .checked_mul(unit)
        .filter(|bytes| *bytes > 0)
}

/// `umount2`: of what the guest mounted itself; the sandbox's own mounts only seem to go.
pub fn unmount(
    guest: &mut (impl Paths + HasMounts + HasDevices + HasNamespaces + HasImages),
    call: &Call,
) -> Action {
    match take_down(guest, call) {
        Ok(()) => Action::Return(0),
        Err(errno) => errno.into(),
    }
}

fn take_down(
    guest: &mut (impl Paths + HasMounts + HasDevices + HasNamespaces + HasImages),
    call: &Call,
) -> Result<(), Errno> {
    let target = guest.raw_path(call, PathArg::FIRST)?;
    let at = guest.view(call).ok_or(Errno::SRCH)?.find(&target)?;
    let real = paths::of_descriptor(&at).ok_or(Errno::INVAL)?;
    let wanted = mount_of(&at)?;
    match guest.mounts().undo(&real, wanted) {
        Some(true) => return Ok(()),
        Some(false) => return Err(Errno::INVAL),
        None => {}
    }
    let lazily = call.int(1) & libc::MNT_DETACH != 0;
    let device = paths::status(&at).map(|status| status.st_dev)?;
    let mount = |status: Statx| status.stx_mnt_id;
    let place = Place::of(guest, &at)?;
    // The kernel refuses while anybody holds it.
    drop(at);
    // What is mounted below the source came along.
    let flags = if lazily || guest.mounts().is_bound(&real) {
        UnmountFlags::DETACH
    } else {
        UnmountFlags::empty()
    };
    let result = enter::run(&guest.namespaces(), || {
        // The guest may have renamed since what was found: only this mount is meant.
        if place.status().map(mount)? != wanted {
            return Err(Errno::INVAL);
        }
        rustix::process::fchdir(&place.parent)?;
        rustix::mount::unmount(place.name.as_str(), flags | UnmountFlags::NOFOLLOW)
    });
    if result.is_ok() {
        let lasts = image_mount::unmounted(guest, device);
        if !guest.mounts().is_bound(&real) && !lasts {
            guest.devices().forget(device);
        }
        guest.mounts().unbind(&real);
        if flags.contains(UnmountFlags::DETACH) {
            guest.mounts().detached(device);
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::testing::{Part, pointer};

    #[test]
    fn a_file_system_that_the_sandbox_cannot_mount_seems_mounted_whatever_its_type() {
        let mut guest = Part::new(|_| ());
        let mut mount_as = |fstype: &std::ffi::CStr, target: &std::ffi::CStr| {
            let arguments = [pointer(c"/dev/mtdblock4"), pointer(target), pointer(fstype)];
            let call = guest.call(libc::SYS_mount, &arguments);
            (mount(&mut guest, &call), guest.reported.pop())
        };
        let (action, what) = mount_as(c"jffs2", c"/tmp");
        assert!(matches!(action, Action::Return(0)));
        assert!(
            matches!(what, Some(What::Mount { faked: true, .. })),
            "{what:?}"
        );
        let (action, _) = mount_as(c"vendorfs", c"/tmp");
        assert!(matches!(action, Action::Return(0)));
        let (action, what) = mount_as(c"no type", c"/tmp");
        assert!(matches!(action, Action::Fail(Errno::NODEV)));
        assert!(
            matches!(what, Some(What::Mount { faked: false, .. })),
            "{what:?}"
        );
        let (action, _) = mount_as(c"jffs2", c"/no/such/directory");
        assert!(matches!(action, Action::Fail(Errno::NOENT)));
        assert!(
            guest
                .mounts()
                .table("")
                .contains("/dev/mtdblock4 /tmp jffs2")
        );
    }

    #[test]
    fn sizes_are_read_as_mount_reads_them() {
        assert_eq!(bytes("64m"), Some(64 << 20));
        assert_eq!(bytes("512K"), Some(512 << 10));
        assert_eq!((bytes("50%"), bytes("0"), bytes("m")), (None, None, None));
    }
}
