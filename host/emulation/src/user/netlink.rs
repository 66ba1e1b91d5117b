//! Network interfaces, made with the few rtnetlink messages that this needs.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

const NLMSG_ERROR: u16 = 2;
const RTM_NEWLINK: u16 = 16;
const REQUEST_ACK: u16 = 1 | 4;
const CREATE_EXCLUSIVE: u16 = 0x400 | 0x200;
const IFLA_IFNAME: u16 = 3;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_FD: u16 = 28;
const INFO_KIND: u16 = 1;
const INFO_DATA: u16 = 2;
const VETH_PEER: u16 = 1;
const IFF_UP: u32 = 1;

/// A connection to the network namespace in which it was made.
#[derive(Debug)]
pub struct Netlink(OwnedFd);

impl Netlink {
    /// Connect to the current network namespace.
    pub fn open() -> io::Result<Self> {
        Ok(Self(rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            None,
        )?))
    }

    /// Set an interface up.
    pub fn up(&self, name: &str) -> io::Result<()> {
        let mut body = interface(IFF_UP);
        body.extend(attribute(IFLA_IFNAME, &text(name)));
        self.request(0, &body)
    }

    /// Make an interface: a bridge where the name says so, else a dummy, else (without that kernel module) one end of a pair whose
    /// other end is in the namespace `elsewhere`.
    pub fn add(&self, name: &str, elsewhere: BorrowedFd<'_>) -> io::Result<()> {
        if name.starts_with("br") {
            return self.add_kind(name, "bridge", &[]);
        }
        self.add_kind(name, "dummy", &[]).or_else(|_| {
            let mut peer = interface(0);
            peer.extend(attribute(IFLA_IFNAME, &text(name)));
            peer.extend(attribute(
                IFLA_NET_NS_FD,
                &elsewhere.as_raw_fd().to_ne_bytes(),
            ));
            self.add_kind(name, "veth", &attribute(VETH_PEER, &peer))
        })
    }

    fn add_kind(&self, name: &str, kind: &str, data: &[u8]) -> io::Result<()> {
        let mut info = attribute(INFO_KIND, &text(kind));
        if !data.is_empty() {
            info.extend(attribute(INFO_DATA, data));
        }
        let mut body = interface(0);
        body.extend(attribute(IFLA_IFNAME, &text(name)));
        body.extend(attribute(IFLA_LINKINFO, &info));
        self.request(CREATE_EXCLUSIVE, &body)
    }

    fn request(&self, flags: u16, body: &[u8]) -> io::Result<()> {
        let length = u32::try_from(16 + body.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut message = length.to_ne_bytes().to_vec();
        message.extend(RTM_NEWLINK.to_ne_bytes());
        message.extend((REQUEST_ACK | flags).to_ne_bytes());
        message.extend([0; 8]);
        message.extend(body);
        rustix::net::send(self.0.as_fd(), &message, SendFlags::empty())?;
        let mut answer = [0_u8; 1024];
        let (received, _) = rustix::net::recv(self.0.as_fd(), &mut answer, RecvFlags::empty())?;
        let answer = answer.get(..received).unwrap_or_default();
        let kind = answer
            .get(4..6)
            .and_then(|b| b.try_into().ok())
            .map(u16::from_ne_bytes);
        let error = answer
            .get(16..20)
            .and_then(|b| b.try_into().ok())
            .map(i32::from_ne_bytes);
        match (kind, error) {
            (Some(NLMSG_ERROR), Some(0)) => Ok(()),
            (Some(NLMSG_ERROR), Some(error)) => Err(io::Error::from_raw_os_error(-error)),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

/// A `struct ifinfomsg` that changes the flags `set`.
fn interface(set: u32) -> Vec<u8> {
    let mut message = vec![0; 8];
    message.extend(set.to_ne_bytes());
    message.extend(set.to_ne_bytes());
    message
}

fn text(name: &str) -> Vec<u8> {
    [name.as_bytes(), &[0]].concat()
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    let mut attribute = length.to_ne_bytes().to_vec();
    attribute.extend(kind.to_ne_bytes());
    attribute.extend(value);
    attribute.resize(attribute.len().next_multiple_of(4), 0);
    attribute
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_carry_their_true_length() {
        assert_eq!(attribute(3, b"lo\0"), [7, 0, 3, 0, b'l', b'o', 0, 0]);
        assert_eq!(interface(1).len(), 16);
    }
}
