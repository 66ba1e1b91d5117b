//! An interface whose other end is a file (`Documentation/networking/tuntap.rst` of the kernel).
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;

const DEVICE: &str = "/dev/net/tun";

/// Make the interface `name` in the current network namespace: what goes out by it is read from
/// the file, and what is written there comes in, each a frame of Ethernet.
pub fn make(name: &str) -> io::Result<OwnedFd> {
    let mut options = File::options();
    let options = options.read(true).write(true);
    let device = options.custom_flags(libc::O_NONBLOCK).open(DEVICE);
    let device = device.map_err(|error| io::Error::other(format!("{DEVICE}: {error}")))?;
    // SAFETY: it holds integers only, in unions and arrays, for which zero is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    let place = request.ifr_name.iter_mut().take(libc::IFNAMSIZ - 1);
    for (to, byte) in place.zip(name.bytes()) {
        *to = byte.cast_signed();
    }
    request.ifr_ifru.ifru_flags = i16::try_from(libc::IFF_TAP | libc::IFF_NO_PI).unwrap_or(0);
    // SAFETY: the kernel reads and writes a `struct ifreq`, which `request` is.
    match unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETIFF, &raw mut request) } {
        0 => Ok(device.into()),
        _ => Err(io::Error::last_os_error()),
    }
}
