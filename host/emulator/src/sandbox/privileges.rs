//! What a supervisor gives up that was started as root, once the guest's user is mapped.
//!
//! It keeps its user, so that the result files are that user's, but no capability. What it still
//! can do beyond the rights of its user, it can do to the guest's user namespace only, which is its
//! own (`user_namespaces(7)`). Files it opens with the rights of the guest's user, so that a path
//! of the guest's leads to nothing which the guest could not open itself; except the run's own
//! files, in [`Privileges::as_self`].
//!
//! The cost: a project in a directory that is closed to root without capabilities, such as another
//! user's home of mode 0700, cannot be run as root.

use std::os::fd::BorrowedFd;
use std::path::Path;
use std::rc::Rc;

use rookery_project::{Error, Result};
use rustix::fs::{Access, AtFlags, CWD};
use rustix::io::Errno;
use rustix::thread::{CapabilitiesSecureBits, CapabilitySet, CapabilitySets, Gid, Uid};

use crate::kernel::process;
use rookery_records::event::Event;
use rookery_runs::backend::{Control, Request};

/// The rights of a supervisor during a run. A process that had them can have no other run as root.
#[derive(Debug)]
pub struct Privileges {
    /// The guest's user, where that is another than the supervisor's.
    guest: Option<u32>,
}

impl Privileges {
    /// Give up every capability for good, and take the rights of the user `guest` to files.
    pub fn give_up(guest: u32) -> Result<Self> {
        let own = rustix::process::geteuid().as_raw();
        let other = (own != guest).then_some(guest);
        let done = match other {
            Some(guest) => leave_root(guest),
            None => Ok(()),
        };
        done.and_then(|()| rustix::thread::set_no_new_privs(true))
            .map_err(|error| Error::Backend(format!("cannot give up root's rights: {error}")))?;
        let privileges = Self { guest: other };
        privileges.take_guests();
        match other {
            Some(guest) if process::file_user() != guest => Err(Error::Backend(
                "cannot give up root's rights to files".into(),
            )),
            _ => Ok(privileges),
        }
    }

    /// Do something to the run's own files.
    pub fn as_self<T>(&self, work: impl FnOnce() -> T) -> T {
        if self.guest.is_some() {
            process::set_file_user(0);
        }
        let done = work();
        self.take_guests();
        done
    }

    fn take_guests(&self) {
        if let Some(guest) = self.guest {
            process::set_file_user(guest);
        }
    }

    /// Whether result files can still be written; else why not and what helps.
    pub fn check_results(&self, directory: &Path) -> Result<()> {
        let access = Access::WRITE_OK | Access::EXEC_OK;
        let found = self.as_self(|| rustix::fs::accessat(CWD, directory, access, AtFlags::EACCESS));
        match found {
            Err(Errno::ACCESS) if self.guest.is_some() => Err(Error::Denied(format!(
                "{} cannot be written by root without capabilities, and a run that is started as \
                 root gives its capabilities up; start it as the user who owns the project, or \
                 move the project to where root owns the directories",
                directory.display()
            ))),
            _ => Ok(()),
        }
    }
}

impl Drop for Privileges {
    /// What follows a run is the run's own.
    fn drop(&mut self) {
        if self.guest.is_some() {
            process::set_file_user(0);
        }
    }
}

/// The guest's user stays among the saved ones: that is how the rights to files can be its, and
/// root's again, without a capability (`setfsuid(2)`).
fn leave_root(guest: u32) -> std::result::Result<(), Errno> {
    let (root, root_group) = (Uid::ROOT, Gid::ROOT);
    rustix::thread::set_thread_groups(&[])?;
    rustix::thread::set_thread_res_gid(root_group, root_group, Gid::from_raw(guest))?;
    rustix::thread::set_thread_res_uid(root, root, Uid::from_raw(guest))?;
    rustix::thread::set_capabilities_secure_bits(
        CapabilitiesSecureBits::NO_ROOT
            | CapabilitiesSecureBits::NO_ROOT_LOCKED
            | CapabilitiesSecureBits::KEEP_CAPS_LOCKED
            | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE
            | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED,
    )?;
    let none = CapabilitySet::empty();
    rustix::thread::set_capabilities(
        None,
        CapabilitySets {
            effective: none,
            permitted: none,
            inheritable: none,
        },
    )
}

/// A run's control, whose files are not the guest's.
pub struct OwnFiles<'a> {
    /// Where events go.
    pub control: &'a mut dyn Control,
    /// With whose rights.
    pub privileges: Rc<Privileges>,
}

impl Control for OwnFiles<'_> {
    fn event(&mut self, event: Event) {
        self.privileges.as_self(|| self.control.event(event));
    }

    fn requests(&self) -> BorrowedFd<'_> {
        self.control.requests()
    }

    fn next_request(&mut self) -> Option<Request> {
        self.privileges.as_self(|| self.control.next_request())
    }

    fn lasts(&mut self, timeout_s: u64) {
        self.privileges.as_self(|| self.control.lasts(timeout_s));
    }
}
