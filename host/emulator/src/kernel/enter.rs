//! Work that only a process inside the guest's namespaces can do: done by a child that enters them
//! and ends.

use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::process::{Signal, WaitOptions};
use rustix::thread::{Gid, Uid};

use crate::kernel::passing::{packet_pair, receive_with_fd, send_with_fd};
use crate::kernel::{process, shortage};

/// The namespaces to enter for anything but running a guest program.
const NAMESPACES: i32 = libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC;

/// Those to enter for what concerns mounts only.
pub const MOUNTS: i32 = libc::CLONE_NEWUSER | libc::CLONE_NEWNS;

/// Run `work` as the guest's root, with all capabilities there. It must end soon: the guest waits.
pub fn run(guest: &OwnedFd, work: impl FnOnce() -> Result<(), Errno>) -> Result<(), Errno> {
    let Ok(child) = process::fork_into(0) else {
        return Err(shortage::of("fork")(Errno::AGAIN));
    };
    let Some(child) = child else {
        let result = enter(guest, NAMESPACES).and_then(|()| work());
        process::leave(result.err().map_or(0, Errno::raw_os_error));
    };
    match rustix::process::waitpid(Some(child), WaitOptions::empty()) {
        Ok(Some((_, status))) => match status.exit_status() {
            Some(0) => Ok(()),
            Some(errno) => Err(Errno::from_raw_os_error(errno)),
            None => Err(Errno::IO),
        },
        _ => Err(Errno::IO),
    }
}

/// As [`run`], work that makes a file or a socket; it enters the `namespaces` only.
pub fn make(
    guest: &OwnedFd,
    namespaces: i32,
    work: impl FnOnce() -> Result<OwnedFd, Errno>,
) -> Result<OwnedFd, Errno> {
    let code = |error: std::io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
    let (ours, theirs) = packet_pair().map_err(|error| shortage::of("socketpair")(code(error)))?;
    let Some(child) = process::fork_into(0).map_err(|error| shortage::of("fork")(code(error)))?
    else {
        let made = enter(guest, namespaces).and_then(|()| work());
        let sent =
            made.and_then(|made| send_with_fd(&theirs, b"made", Some(made.as_fd())).map_err(code));
        process::leave(sent.err().map_or(0, Errno::raw_os_error));
    };
    drop(theirs);
    match rustix::process::waitpid(Some(child), WaitOptions::empty()) {
        Ok(Some((_, status))) if status.exit_status() == Some(0) => {}
        Ok(Some((_, status))) => {
            return Err(Errno::from_raw_os_error(
                status.exit_status().unwrap_or(libc::EIO),
            ));
        }
        _ => return Err(Errno::IO),
    }
    let received = receive_with_fd(&ours, &mut [0; 8]).map_err(code)?;
    received
        .1
        .ok_or_else(|| shortage::of("recvmsg")(Errno::MFILE))
}

/// Join namespaces of the guest as its root. The caller must have a single thread, and dies with
/// the process that forked it.
pub fn enter(guest: &OwnedFd, namespaces: i32) -> Result<(), Errno> {
    let code = |error: std::io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
    process::join(guest.as_fd(), namespaces).map_err(code)?;
    rustix::thread::set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT)?;
    rustix::thread::set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT)?;
    // Both the change of namespace and that of user clear it.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
}
