//! What goes over the network interfaces of a namespace (`packet(7)`).
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{AddressFamily, Protocol, SocketFlags, SocketType};

/// All that is there, as it goes over whichever interface, without the headers of its link.
#[derive(Debug)]
pub struct Packets(OwnedFd);

/// What is known of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About {
    /// What it holds (`ETH_P_*`).
    pub protocol: u16,
    /// The interface's number, and its kind (`ARPHRD_*`).
    pub interface: u32,
    pub kind: u16,
    /// Where it goes (`PACKET_*`).
    pub direction: u8,
    /// Its sender on the link, and the length of that.
    pub sender: [u8; 8],
    pub sender_length: u8,
    /// Its own length, of which less may have been read.
    pub length: usize,
}

impl Packets {
    /// Those of the current network namespace from now on.
    pub fn open() -> io::Result<Self> {
        /// `ETH_P_ALL`
        const ALL: u16 = 3;
        let all = std::num::NonZeroU32::new(ALL.to_be().into()).map(Protocol::from_raw);
        Ok(Self(rustix::net::socket_with(
            AddressFamily::PACKET,
            SocketType::DGRAM,
            SocketFlags::CLOEXEC,
            all,
        )?))
    }

    /// Wait for the next one.
    pub fn next(&self, buffer: &mut [u8]) -> io::Result<About> {
        // SAFETY: it holds integers only, for which zero is a value.
        let mut from: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        let mut from_length = libc::socklen_t::try_from(size_of_val(&from)).unwrap_or(0);
        // SAFETY: the kernel writes at most as many bytes as it is told that there are, into
        // `buffer` and into `from`, both of which outlive the call.
        let length = unsafe {
            libc::recvfrom(
                self.0.as_raw_fd(),
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                libc::MSG_TRUNC,
                (&raw mut from).cast(),
                &raw mut from_length,
            )
        };
        let length = usize::try_from(length).map_err(|_| io::Error::last_os_error())?;
        Ok(About {
            protocol: u16::from_be(from.sll_protocol),
            interface: from.sll_ifindex.cast_unsigned(),
            kind: from.sll_hatype,
            direction: from.sll_pkttype,
            sender: from.sll_addr,
            sender_length: from.sll_halen,
            length,
        })
    }
}

/// Let a socket send by an interface, and be given nothing.
pub fn bind(socket: &OwnedFd, interface: u32) -> Result<(), Errno> {
    // SAFETY: it holds integers only, for which zero is a value.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::sa_family_t::try_from(libc::AF_PACKET).unwrap_or(0);
    address.sll_ifindex = interface.cast_signed();
    let length = libc::socklen_t::try_from(size_of_val(&address)).unwrap_or(0);
    // SAFETY: the kernel reads `length` bytes of `address`, which has as many.
    let bound = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) };
    match bound {
        0 => Ok(()),
        _ => Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)),
    }
}

impl AsFd for Packets {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
