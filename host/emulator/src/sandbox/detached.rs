//! File systems of the guest's that have no place in its tree (`fsmount(2)`): the supervisor opens
//! files there for it. They are made by the process that builds the guest's world, because only
//! there they belong to the guest's user namespace.

use std::fmt::Display;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen,
};

use crate::models::Mounted;

/// Open the kernel's device for file systems of processes. The guest's user may not be allowed to:
/// this comes before the child becomes that user.
pub fn open_device() -> Result<OwnedFd, String> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    rustix::fs::open("/dev/fuse", flags, Mode::empty()).map_err(|error| said("/dev/fuse", &error))
}

/// The file system of the models, which a process serves through the device.
pub fn models(device: OwnedFd) -> Result<Mounted, String> {
    let number = device.as_raw_fd().to_string();
    let options = [
        ("fd", number.as_str()),
        ("rootmode", "40755"),
        ("user_id", "0"),
        ("group_id", "0"),
    ];
    // Every process of the guest's user namespace may use it, whatever user it has become.
    match make("fuse", &options, Some("allow_other")) {
        Ok(root) => Ok(Mounted { device, root }),
        Err(error) => Err(said("mounting it", &error)),
    }
}

/// A file system in memory of so many bytes; its root.
pub fn memory(bytes: u64) -> Result<OwnedFd, String> {
    let size = bytes.to_string();
    let options = [
        ("size", size.as_str()),
        ("mode", "0755"),
        ("nr_inodes", "1k"),
    ];
    make("tmpfs", &options, None).map_err(|error| said("mounting one", &error))
}

fn make(kind: &str, options: &[(&str, &str)], flag: Option<&str>) -> Result<OwnedFd, Errno> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, "source", "rookery")?;
    for (option, value) in options {
        fsconfig_set_string(&context, *option, *value)?;
    }
    if let Some(flag) = flag {
        fsconfig_set_flag(&context, flag)?;
    }
    fsconfig_create(&context)?;
    let limits = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, limits)
}

fn said(what: &str, error: &impl Display) -> String {
    format!("{what}: {error}")
}
