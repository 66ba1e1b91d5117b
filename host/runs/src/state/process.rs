//! Which process supervises a run, told apart from a later process with the same number.

use std::fs;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, PidfdFlags, Signal};
use serde::{Deserialize, Serialize};

/// A process, for as long as this machine is up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) pid: u32,
    /// When it started, in clock ticks since the machine did.
    started: u64,
    boot: String,
}

impl Identity {
    /// This process.
    pub(crate) fn own() -> Self {
        let pid = std::process::id();
        Self {
            pid,
            started: start_time(pid).unwrap_or_default(),
            boot: boot_id(),
        }
    }

    pub(crate) fn is_alive(&self) -> bool {
        start_time(self.pid) == Some(self.started) && self.boot == boot_id()
    }

    /// A handle on it that no other process can slip into; `None` once it is gone.
    pub(crate) fn handle(&self) -> Option<Handle> {
        let pid = Pid::from_raw(i32::try_from(self.pid).ok()?)?;
        let fd = rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok()?;
        self.is_alive().then_some(Handle(fd))
    }
}

/// A process that can be waited for and signalled, whoever its parent is.
pub(crate) struct Handle(OwnedFd);

impl Handle {
    /// Wait until it has ended, or for `timeout`; whether it has ended.
    pub(crate) fn wait(&self, timeout: Duration) -> bool {
        let timeout = rustix::time::Timespec {
            tv_sec: timeout.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        };
        let mut fds = [PollFd::new(&self.0, PollFlags::IN)];
        matches!(rustix::event::poll(&mut fds, Some(&timeout)), Ok(ready) if ready > 0)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        if let Err(error) = rustix::process::pidfd_send_signal(&self.0, signal) {
            tracing::debug!(%error, "cannot signal the supervisor");
        }
    }
}

/// The start time of a live process, in clock ticks since boot. A zombie is not alive.
fn start_time(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the name in parentheses, and may hold any character.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X" | "x") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .unwrap_or_default()
        .trim()
        .to_owned()
}

/// Seconds since the machine started, also while it slept: the same clock in every process.
pub(crate) fn uptime() -> f64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(
        now.tv_sec.try_into().unwrap_or_default(),
        now.tv_nsec.try_into().unwrap_or_default(),
    )
    .as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recycled_pid_is_another_process() {
        let own = Identity::own();
        assert!(own.is_alive() && own.handle().is_some());
        let earlier = Identity {
            started: own.started - 1,
            ..own.clone()
        };
        assert!(!earlier.is_alive() && earlier.handle().is_none());
        let before_the_reboot = Identity {
            boot: "another".into(),
            ..own
        };
        assert!(!before_the_reboot.is_alive());
    }

    #[test]
    fn a_zombie_is_dead() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let identity = Identity {
            pid: child.id(),
            started: 0,
            boot: boot_id(),
        };
        let deadline = std::time::Instant::now() + Duration::from_secs(5);
        while start_time(identity.pid).is_some() && std::time::Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
        assert_eq!(start_time(identity.pid), None);
        child.wait().unwrap();
    }
}
