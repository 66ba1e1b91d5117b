//! Network interfaces by rtnetlink: a connection to a network namespace, and what is asked there.

mod link;
mod making;
pub mod message;

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType};

use libc::{IFLA_IFNAME, RTM_GETLINK};

pub use link::Link;
pub use making::IFLA_VLAN_ID;
use message::{HEADER, Message, OF_ADDRESS, OF_LINK, attribute, long, text};

// Those that libc has as `int` and the messages as 16 bits.
const NLMSG_DONE: u16 = small(libc::NLMSG_DONE);
const NLMSG_ERROR: u16 = small(libc::NLMSG_ERROR);
/// It asks for something.
pub const REQUEST: u16 = small(libc::NLM_F_REQUEST);
/// Its success is to be told, too.
pub const ACK: u16 = small(libc::NLM_F_ACK);
/// It asks for all there are.
pub const DUMP: u16 = small(libc::NLM_F_DUMP);
/// What does not exist is to be made.
pub const CREATE: u16 = small(libc::NLM_F_CREATE);
/// It must not exist.
pub const EXCLUSIVE: u16 = small(libc::NLM_F_EXCL);

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "these are small"
)]
const fn small(value: i32) -> u16 {
    value as u16
}

/// A connection to the network namespace in which it was made.
#[derive(Debug)]
pub struct Netlink(OwnedFd);

impl Netlink {
    /// Connect to the current network namespace.
    pub fn open() -> io::Result<Self> {
        Self::of_protocol(None)
    }

    /// As [`Self::open`], to ask for sockets.
    pub fn diagnosing() -> io::Result<Self> {
        Self::of_protocol(Some(netlink::SOCK_DIAG))
    }

    fn of_protocol(protocol: Option<Protocol>) -> io::Result<Self> {
        Ok(Self(rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            protocol,
        )?))
    }

    /// Connect to the current network namespace and be told of changes to what `groups` name, one
    /// bit a group (`RTMGRP_*`).
    pub fn subscribed(groups: u32) -> io::Result<Self> {
        let netlink = Self::open()?;
        rustix::net::bind(&netlink.0, &SocketAddrNetlink::new(0, groups))?;
        Ok(netlink)
    }

    /// The kinds (`RTM_*`) of the changes since, at most `max` of them; `None` where more were made
    /// than are known.
    pub fn changes(&self, max: usize) -> Option<BTreeSet<u16>> {
        let mut kinds = BTreeSet::new();
        let mut message = [0_u8; HEADER];
        for _ in 0..max {
            match rustix::net::recv(self.0.as_fd(), message.as_mut_slice(), RecvFlags::DONTWAIT) {
                Ok((length, _)) if length >= 6 => {
                    kinds.insert(u16::from_ne_bytes([message[4], message[5]]));
                }
                Ok(_) | Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Some(kinds),
                Err(_) => return None,
            }
        }
        None
    }

    /// Give `each` what there is of a `kind` (`RTM_GET*`), whose request is `length` zeros and
    /// whose messages are without their headers, until it says `false`.
    pub fn list(
        &self,
        kind: u16,
        length: usize,
        each: impl FnMut(&[u8]) -> bool,
    ) -> io::Result<()> {
        self.dump(kind, vec![0; length], each)
    }

    /// As [`Self::list`], with the body of the request.
    pub fn dump(
        &self,
        kind: u16,
        request: Vec<u8>,
        mut each: impl FnMut(&[u8]) -> bool,
    ) -> io::Result<()> {
        self.send(kind, REQUEST | DUMP, request)?;
        let mut buffer = vec![0_u8; 32 * 1024];
        loop {
            let (received, _) =
                rustix::net::recv(self.0.as_fd(), buffer.as_mut_slice(), RecvFlags::DONTWAIT)?;
            let mut rest = buffer.get(..received).unwrap_or_default();
            while let Some((message, length)) = Message::first(rest) {
                match message.kind {
                    NLMSG_DONE => return Ok(()),
                    NLMSG_ERROR => return outcome(rest),
                    _ if !each(&message.body) => return Ok(()),
                    _ => {}
                }
                rest = rest.get(length..).unwrap_or_default();
            }
        }
    }

    /// An interface as it is now.
    pub fn link(&self, name: &str) -> io::Result<Link> {
        let mut body = interface(0);
        body.extend(attribute(IFLA_IFNAME, &text(name)));
        self.link_of(body)
    }

    /// As [`Netlink::link`], by its number.
    pub fn link_at(&self, index: u32) -> io::Result<Link> {
        self.link_of(of_index(index))
    }

    fn link_of(&self, request: Vec<u8>) -> io::Result<Link> {
        let answer = self.exchange(RTM_GETLINK, REQUEST, request)?;
        match Message::first(&answer).and_then(|(message, _)| message.error()) {
            Some(error) => Err(io::Error::from_raw_os_error(error)),
            None => Link::parse(&answer).ok_or_else(|| io::ErrorKind::InvalidData.into()),
        }
    }

    /// All interfaces.
    pub fn links(&self) -> io::Result<Vec<Link>> {
        let mut links = Vec::new();
        self.list(RTM_GETLINK, OF_LINK, |body| {
            links.extend(Link::of_body(body));
            true
        })?;
        Ok(links)
    }

    /// Whether an interface has an address of IPv4.
    pub fn has_ipv4(&self, name: &str) -> io::Result<bool> {
        let index = self.link(name)?.index;
        let mut has = false;
        self.list(libc::RTM_GETADDR, OF_ADDRESS, |message| {
            let family = message.first().map(|family| i32::from(*family));
            has |= family == Some(libc::AF_INET) && long(message, 4) == Some(index);
            true
        })?;
        Ok(has)
    }

    /// Ask for a change. `body` is what follows the message's header.
    pub fn request(&self, kind: u16, flags: u16, body: Vec<u8>) -> io::Result<()> {
        outcome(&self.exchange(kind, REQUEST | ACK | flags, body)?)
    }

    /// One message and the kernel's answer, which is there when the message has been sent.
    fn exchange(&self, kind: u16, flags: u16, body: Vec<u8>) -> io::Result<Vec<u8>> {
        self.send(kind, flags, body)?;
        let mut answer = vec![0_u8; 16 * 1024];
        let (received, _) =
            rustix::net::recv(self.0.as_fd(), answer.as_mut_slice(), RecvFlags::DONTWAIT)?;
        answer.truncate(received);
        Ok(answer)
    }

    fn send(&self, kind: u16, flags: u16, body: Vec<u8>) -> io::Result<()> {
        let message = Message {
            kind,
            flags,
            sequence: 0,
            port: 0,
            body,
        };
        rustix::net::send(self.0.as_fd(), &message.bytes(), SendFlags::empty())?;
        Ok(())
    }
}

impl AsFd for Netlink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn outcome(answer: &[u8]) -> io::Result<()> {
    match Message::first(answer).and_then(|(message, _)| message.error()) {
        Some(0) => Ok(()),
        Some(error) => Err(io::Error::from_raw_os_error(error)),
        None => Err(io::ErrorKind::InvalidData.into()),
    }
}

impl From<OwnedFd> for Netlink {
    fn from(socket: OwnedFd) -> Self {
        Self(socket)
    }
}

impl From<Netlink> for OwnedFd {
    fn from(netlink: Netlink) -> Self {
        netlink.0
    }
}

/// A `struct ifinfomsg` that changes the flags `set`.
fn interface(set: u32) -> Vec<u8> {
    let mut message = vec![0; 8];
    message.extend(set.to_ne_bytes());
    message.extend(set.to_ne_bytes());
    message
}

/// A `struct ifinfomsg` about the interface `index`.
fn of_index(index: u32) -> Vec<u8> {
    let mut message = vec![0; 4];
    message.extend(index.to_ne_bytes());
    message.extend([0; 8]);
    message
}
