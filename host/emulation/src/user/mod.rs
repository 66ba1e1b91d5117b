//! The embedded backend: the firmware's own init under the distribution's qemu-user, in fresh namespaces, supervised through seccomp
//! user notification. Needs no root, no container, and touches nothing global.
//!
//! [`UserBackend::run`] prepares what the guest needs (`rootfs`, `qemu`, `devices`), forks the process that builds the guest's
//! world and becomes its init (`sandbox`), and then answers (`supervisor`, `handlers`) the system calls that the `filter` sends.

mod arch;
mod command;
mod confine;
mod console;
mod datagrams;
mod devices;
mod ending;
mod filter;
mod firmware_dev;
mod first_program;
mod forward;
mod guest;
mod handlers;
mod host;
mod inside;
mod interfaces;
mod ioctl_table;
mod limits;
mod listening;
mod mem;
mod mounts;
mod netlink;
mod notify;
mod paths;
mod private;
mod privileges;
mod proc_dir;
mod process_file;
mod procs;
mod program;
mod pump;
mod qemu;
mod reach;
pub mod rootfs;
mod sandbox;
mod signals;
mod static_files;
mod supervisor;
mod sys;
mod view;
mod world;

use rookery_project::Result;

use crate::backend::{Availability, Backend, Control, Outcome};
use crate::plan::Plan;

/// The backend's name.
const NAME: &str = "user";

/// What `uname -r` says where the plan names no kernel.
const DEFAULT_KERNEL_RELEASE: &str = "4.10.0";

/// As whom the guest's root runs on the host where the supervisor is root: `nobody`.
const UNPRIVILEGED_UID: u32 = 65534;

/// The embedded backend.
#[derive(Debug, Clone, Copy, Default)]
pub struct UserBackend;

impl UserBackend {
    /// The user of the host as whom a guest's root runs.
    pub fn guest_uid() -> u32 {
        let uid = rustix::process::geteuid();
        if uid.is_root() {
            UNPRIVILEGED_UID
        } else {
            uid.as_raw()
        }
    }
}

impl Backend for UserBackend {
    fn name(&self) -> &'static str {
        NAME
    }

    fn probe(&self) -> Availability {
        host::availability()
    }

    fn run(&self, plan: &Plan, control: &mut dyn Control) -> Result<Outcome> {
        supervisor::run(plan, control)
    }
}

pub(crate) use sys::process::usual_signals;
