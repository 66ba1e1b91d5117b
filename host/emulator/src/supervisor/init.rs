//! The guest's init, as its parent sees it.

use std::os::fd::BorrowedFd;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, WaitId, WaitIdOptions};

/// How the guest's init ended; `None` where it has not.
pub fn ended(init: Pid) -> Option<String> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    let status = rustix::process::waitid(WaitId::Pid(init), options)
        .ok()
        .flatten()?;
    Some(match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => format!("init exited with status {code}"),
        (None, Some(signal)) => format!("init was killed by signal {signal}"),
        (None, None) => "init ended".to_owned(),
    })
}

/// What is ready of a descriptor now.
pub fn readiness(fd: BorrowedFd<'_>) -> PollFlags {
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    match rustix::event::poll(&mut fds, Some(&Timespec::default())) {
        Ok(_) => fds.first().map_or(PollFlags::empty(), PollFd::revents),
        Err(_) => PollFlags::empty(),
    }
}
