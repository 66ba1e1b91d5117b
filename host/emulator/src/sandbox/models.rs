//! The file system of the models, made by the process that builds the guest's world: only in the
//! guest's user namespace it may be, and belongs to it.

use std::fmt::Display;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
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

/// Make the file system, without a place in the guest's tree (`fsmount(2)`).
pub fn mount(device: OwnedFd) -> Result<Mounted, String> {
    let made = || {
        let context = fsopen("fuse", FsOpenFlags::FSOPEN_CLOEXEC)?;
        for (option, value) in [
            ("source", "rookery"),
            ("fd", &device.as_raw_fd().to_string()),
            ("rootmode", "40755"),
            ("user_id", "0"),
            ("group_id", "0"),
        ] {
            fsconfig_set_string(&context, option, value)?;
        }
        // Every process of the guest's user namespace, whatever user it has become.
        fsconfig_set_flag(&context, "allow_other")?;
        fsconfig_create(&context)?;
        let limits = MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, limits)
    };
    match made() {
        Ok(root) => Ok(Mounted { device, root }),
        Err(error) => Err(said("mounting it", &error)),
    }
}

fn said(what: &str, error: &impl Display) -> String {
    format!("{what}: {error}")
}
