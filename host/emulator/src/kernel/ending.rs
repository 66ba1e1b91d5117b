//! Waiting for processes that were killed: the kernel takes them apart, which has no bound of its
//! own.

use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, WaitOptions};

/// Wait for a child to be gone, at most for `limit`, which is less than a second; whether it is.
pub fn await_end(child: Pid, limit: Duration) -> bool {
    let until = Instant::now() + limit;
    loop {
        let ended = rustix::process::waitpid(Some(child), WaitOptions::NOHANG);
        if !matches!(ended, Ok(None) | Err(Errno::INTR)) {
            return true;
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        let timeout = Timespec {
            tv_sec: 0,
            tv_nsec: left.subsec_nanos().into(),
        };
        match rustix::process::pidfd_open(child, PidfdFlags::empty()) {
            Ok(pidfd) => {
                let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
                let _ = rustix::event::poll(&mut fds, Some(&timeout));
            }
            // No descriptor is left.
            Err(_) => std::thread::sleep(left.min(Duration::from_millis(5))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(
        clippy::zombie_processes,
        reason = "it is waited for by what is tested"
    )]
    fn an_end_is_waited_for_and_not_for_ever() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let pid = Pid::from_child(&child);
        let short = Duration::from_millis(20);
        assert!(!await_end(pid, short));
        child.kill().unwrap();
        assert!(await_end(pid, Duration::from_millis(999)));
        assert!(
            await_end(pid, short),
            "who is gone already is not waited for"
        );
    }
}
