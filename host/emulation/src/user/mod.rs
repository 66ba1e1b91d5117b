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
        if Self::becomes_another_user() {
            UNPRIVILEGED_UID
        } else {
            rustix::process::geteuid().as_raw()
        }
    }

    /// Whether a guest runs as another user than its supervisor: where that is root, and not merely the root of a user namespace in which
    /// nobody else is (`user_namespaces(7)`).
    pub(crate) fn becomes_another_user() -> bool {
        rustix::process::geteuid().is_root()
            && ["/proc/self/uid_map", "/proc/self/gid_map"]
                .iter()
                .all(|map| std::fs::read_to_string(map).is_ok_and(|map| is_mapped(&map)))
    }
}

/// Whether a map of users or of groups has the one as whom guests run.
fn is_mapped(map: &str) -> bool {
    map.lines().any(|line| {
        let mut numbers = line
            .split_whitespace()
            .map_while(|number| number.parse::<u64>().ok());
        let (first, _, count) = (numbers.next(), numbers.next(), numbers.next());
        first.zip(count).is_some_and(|(first, count)| {
            (first..first.saturating_add(count)).contains(&u64::from(UNPRIVILEGED_UID))
        })
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_mapped_for_a_machines_root_and_not_for_that_of_an_own_namespace() {
        assert!(is_mapped("         0          0 4294967295\n"));
        assert!(is_mapped("0 1000 1\n1 100000 65536\n"));
        assert!(!is_mapped("         0       1000          1\n"));
        assert!(!is_mapped("0 100000 65534\n") && !is_mapped(""));
    }
}
