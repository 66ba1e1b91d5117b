//! Options of sockets by their numbers (`setsockopt(2)`), and how much one holds.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::io::Errno;

/// Set an option to what the kernel takes for it.
pub fn set(socket: BorrowedFd<'_>, level: i32, option: i32, value: &[u8]) -> Result<(), Errno> {
    let length = libc::socklen_t::try_from(value.len()).map_err(|_| Errno::INVAL)?;
    // SAFETY: the kernel reads `length` bytes of `value`, which has as many.
    let set = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            value.as_ptr().cast(),
            length,
        )
    };
    match set {
        0 => Ok(()),
        _ => Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)),
    }
}

/// How much of what was sent by a socket nobody has received yet, as the kernel counts it: 0 where
/// all was (`SIOCOUTQ`).
pub fn unread(socket: impl AsFd) -> Result<u32, Errno> {
    let mut held: libc::c_int = 0;
    let socket = socket.as_fd().as_raw_fd();
    // SAFETY: the kernel writes one `int`.
    match unsafe { libc::ioctl(socket, libc::TIOCOUTQ, &raw mut held) } {
        0 => u32::try_from(held).map_err(|_| Errno::INVAL),
        _ => Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)),
    }
}
