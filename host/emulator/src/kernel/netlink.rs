//! Network interfaces, made with the few rtnetlink messages that this needs.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType};

use libc::{
    IFLA_ADDRESS, IFLA_CARRIER, IFLA_IFNAME, IFLA_INFO_DATA, IFLA_INFO_KIND, IFLA_LINK,
    IFLA_LINKINFO, IFLA_MASTER, IFLA_MTU, IFLA_NET_NS_FD, IFLA_OPERSTATE, RTM_DELLINK, RTM_GETLINK,
    RTM_NEWLINK,
};

// Those that libc has as `int` and the messages as 16 bits.
const NLMSG_ERROR: u16 = short(libc::NLMSG_ERROR);
const NLMSG_DONE: u16 = short(libc::NLMSG_DONE);
const REQUEST: u16 = short(libc::NLM_F_REQUEST);
const ACK: u16 = short(libc::NLM_F_ACK);
const DUMP: u16 = short(libc::NLM_F_DUMP);
const CREATE_EXCLUSIVE: u16 = short(libc::NLM_F_CREATE | libc::NLM_F_EXCL);
const IFF_UP: u32 = libc::IFF_UP.cast_unsigned();
/// `VETH_INFO_PEER` of `linux/veth.h`, and `IFLA_VLAN_ID` of `linux/if_link.h`: libc has neither.
const VETH_INFO_PEER: u16 = 1;
const IFLA_VLAN_ID: u16 = 1;

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "these are small"
)]
const fn short(value: i32) -> u16 {
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
        let mut message = [0_u8; 16];
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
        self.dump(kind, &vec![0; length], each)
    }

    /// As [`Self::list`], with the body of the request.
    pub fn dump(
        &self,
        kind: u16,
        request: &[u8],
        mut each: impl FnMut(&[u8]) -> bool,
    ) -> io::Result<()> {
        self.send(kind, REQUEST | DUMP, request)?;
        let mut buffer = vec![0_u8; 32 * 1024];
        loop {
            let (received, _) =
                rustix::net::recv(self.0.as_fd(), buffer.as_mut_slice(), RecvFlags::DONTWAIT)?;
            let mut rest = buffer.get(..received).unwrap_or_default();
            while let Some(header) = rest.get(..16) {
                let size = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]);
                let size = usize::try_from(size).unwrap_or(usize::MAX).max(16);
                match u16::from_ne_bytes([header[4], header[5]]) {
                    NLMSG_DONE => return Ok(()),
                    NLMSG_ERROR => return outcome(rest),
                    _ if !each(rest.get(16..size).unwrap_or_default()) => return Ok(()),
                    _ => {}
                }
                rest = rest.get(size.next_multiple_of(4)..).unwrap_or_default();
            }
        }
    }

    /// Set an interface up.
    pub fn up(&self, name: &str) -> io::Result<()> {
        let mut body = interface(IFF_UP);
        body.extend(attribute(IFLA_IFNAME, &text(name)));
        self.request(0, &body)
    }

    /// Make an interface: a bridge where the name says so, else a dummy, else (without that kernel
    /// module) one end of a pair whose other end is in the namespace `elsewhere`.
    pub fn add(&self, name: &str, mac: [u8; 6], elsewhere: BorrowedFd<'_>) -> io::Result<()> {
        if name.starts_with("br") {
            return self.add_kind(name, mac, "bridge", &[]);
        }
        self.add_kind(name, mac, "dummy", &[]).or_else(|_| {
            let mut peer = interface(0);
            peer.extend(attribute(IFLA_IFNAME, &text(name)));
            peer.extend(attribute(
                IFLA_NET_NS_FD,
                &elsewhere.as_raw_fd().to_ne_bytes(),
            ));
            self.add_kind(name, mac, "veth", &attribute(VETH_INFO_PEER, &peer))
        })
    }

    fn add_kind(&self, name: &str, mac: [u8; 6], kind: &str, data: &[u8]) -> io::Result<()> {
        let mut info = attribute(IFLA_INFO_KIND, &text(kind));
        if !data.is_empty() {
            info.extend(attribute(IFLA_INFO_DATA, data));
        }
        let mut body = interface(0);
        body.extend(attribute(IFLA_IFNAME, &text(name)));
        body.extend(attribute(IFLA_ADDRESS, &mac));
        body.extend(attribute(IFLA_LINKINFO, &info));
        self.request(CREATE_EXCLUSIVE, &body)
    }

    /// Make a bridge.
    pub fn add_bridge(&self, name: &str) -> io::Result<()> {
        let mut body = interface(0);
        body.extend(attribute(IFLA_IFNAME, &text(name)));
        let info = attribute(IFLA_INFO_KIND, &text("bridge"));
        body.extend(attribute(IFLA_LINKINFO, &info));
        self.request(CREATE_EXCLUSIVE, &body)
    }

    /// Make the VLAN `number` of an interface, under the name that `vconfig` gives it.
    pub fn add_vlan(&self, name: &str, number: u32) -> io::Result<()> {
        let id = u16::try_from(number).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
        let mut info = attribute(IFLA_INFO_KIND, &text("vlan"));
        info.extend(attribute(
            IFLA_INFO_DATA,
            &attribute(IFLA_VLAN_ID, &id.to_ne_bytes()),
        ));
        let mut body = interface(0);
        body.extend(attribute(IFLA_IFNAME, &text(&format!("{name}.{id}"))));
        body.extend(attribute(IFLA_LINK, &self.link(name)?.index.to_ne_bytes()));
        body.extend(attribute(IFLA_LINKINFO, &info));
        self.request(CREATE_EXCLUSIVE, &body)
    }

    /// Remove an interface, if it is of that kind.
    pub fn delete(&self, name: &str, kind: &str) -> io::Result<()> {
        let link = self.link(name)?;
        if link.made_as != kind {
            return Err(io::Error::from_raw_os_error(libc::EPERM));
        }
        let answer = self.exchange(RTM_DELLINK, REQUEST | ACK, &of_index(link.index))?;
        outcome(&answer)
    }

    /// Make an interface a port of a bridge, or of none.
    pub fn set_master(&self, port: u32, bridge: Option<&str>) -> io::Result<()> {
        let master = match bridge {
            Some(name) => self.link(name)?.index,
            None => 0,
        };
        let mut body = of_index(port);
        body.extend(attribute(IFLA_MASTER, &master.to_ne_bytes()));
        self.request(0, &body)
    }

    /// An interface as it is now.
    pub fn link(&self, name: &str) -> io::Result<Link> {
        let mut body = interface(0);
        body.extend(attribute(IFLA_IFNAME, &text(name)));
        let answer = self.exchange(RTM_GETLINK, REQUEST, &body)?;
        match error_of(&answer) {
            Some(error) => Err(io::Error::from_raw_os_error(error)),
            None => Link::parse(&answer).ok_or_else(|| io::ErrorKind::InvalidData.into()),
        }
    }

    /// Whether an interface has an address of IPv4.
    pub fn has_ipv4(&self, name: &str) -> io::Result<bool> {
        // `struct ifaddrmsg` of rtnetlink(7): the family, three bytes, and the interface's index.
        const LENGTH: usize = 8;
        let index = self.link(name)?.index;
        let mut has = false;
        self.list(libc::RTM_GETADDR, LENGTH, |message| {
            let family = message.first().map(|family| i32::from(*family));
            let of = message.get(4..LENGTH).and_then(|of| of.try_into().ok());
            has |= family == Some(libc::AF_INET) && of.map(u32::from_ne_bytes) == Some(index);
            true
        })?;
        Ok(has)
    }

    fn request(&self, flags: u16, body: &[u8]) -> io::Result<()> {
        let answer = self.exchange(RTM_NEWLINK, REQUEST | ACK | flags, body)?;
        outcome(&answer)
    }

    /// One message and the kernel's answer, which is there when the message has been sent.
    fn exchange(&self, kind: u16, flags: u16, body: &[u8]) -> io::Result<Vec<u8>> {
        self.send(kind, flags, body)?;
        let mut answer = vec![0_u8; 16 * 1024];
        let (received, _) =
            rustix::net::recv(self.0.as_fd(), answer.as_mut_slice(), RecvFlags::DONTWAIT)?;
        answer.truncate(received);
        Ok(answer)
    }

    fn send(&self, kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
        let length = u32::try_from(16 + body.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut message = length.to_ne_bytes().to_vec();
        message.extend(kind.to_ne_bytes());
        message.extend(flags.to_ne_bytes());
        message.extend([0; 8]);
        message.extend(body);
        rustix::net::send(self.0.as_fd(), &message, SendFlags::empty())?;
        Ok(())
    }
}

impl AsFd for Netlink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn outcome(answer: &[u8]) -> io::Result<()> {
    match error_of(answer) {
        Some(0) => Ok(()),
        Some(error) => Err(io::Error::from_raw_os_error(error)),
        None => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// The error that an answer reports, 0 for success.
fn error_of(answer: &[u8]) -> Option<i32> {
    let kind = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
    let error = i32::from_ne_bytes(answer.get(16..20)?.try_into().ok()?);
    (kind == NLMSG_ERROR).then_some(error.wrapping_neg())
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

/// What `/sys/class/net` would tell about an interface.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Link {
    kind: u16,
    index: u32,
    flags: u32,
    address: Vec<u8>,
    mtu: u32,
    state: u8,
    carrier: u8,
    /// The kind that a netlink message gave when it was made.
    made_as: String,
}

/// Flags that `/sys` does not show, because they are the driver's: running, and those beyond 16
/// bits.
const DRIVERS_FLAGS: u32 = 0xFFFF_0040;

impl Link {
    fn parse(answer: &[u8]) -> Option<Self> {
        let long = |at: usize| Some(u32::from_ne_bytes(answer.get(at..at + 4)?.try_into().ok()?));
        let mut link = Self {
            kind: u16::from_ne_bytes(answer.get(18..20)?.try_into().ok()?),
            index: long(20)?,
            flags: long(24)? & !DRIVERS_FLAGS,
            ..Self::default()
        };
        let mut rest = answer.get(32..)?;
        while let Some(header) = rest.get(..4) {
            let length = usize::from(u16::from_ne_bytes(header.get(..2)?.try_into().ok()?));
            let kind = u16::from_ne_bytes(header.get(2..4)?.try_into().ok()?);
            let Some(value) = rest.get(4..length) else {
                break;
            };
            let number = || value.try_into().ok().map(u32::from_ne_bytes);
            let byte = value.first().copied().unwrap_or(0);
            match kind {
                IFLA_ADDRESS => link.address = value.to_vec(),
                IFLA_MTU => link.mtu = number()?,
                IFLA_OPERSTATE => link.state = byte,
                IFLA_CARRIER => link.carrier = byte,
                // The kind comes first.
                IFLA_LINKINFO => {
                    let kind = value.get(4..).unwrap_or_default().split(|byte| *byte == 0);
                    let kind = kind.into_iter().next().unwrap_or_default();
                    link.made_as = String::from_utf8_lossy(kind).into_owned();
                }
                _ => {}
            }
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        Some(link)
    }

    /// Whether it is a bridge.
    pub fn is_bridge(&self) -> bool {
        self.made_as == "bridge"
    }

    /// The text of one of its files.
    pub fn describe(&self, file: &str) -> Option<String> {
        let states = [
            "unknown",
            "notpresent",
            "down",
            "lowerlayerdown",
            "testing",
            "dormant",
            "up",
        ];
        let value = match file {
            "address" => {
                let bytes: Vec<_> = self.address.iter().map(|b| format!("{b:02x}")).collect();
                bytes.join(":")
            }
            "mtu" => self.mtu.to_string(),
            "flags" => format!("{:#x}", self.flags),
            // The other end of a pair is in a namespace that the guest knows nothing of.
            "ifindex" | "iflink" => self.index.to_string(),
            "type" => self.kind.to_string(),
            "operstate" => (*states.get(usize::from(self.state))?).to_owned(),
            "carrier" => self.carrier.to_string(),
            _ => return None,
        };
        Some(value + "\n")
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

    #[test]
    fn an_interface_is_described_as_sysfs_would() {
        let mut answer = vec![0; 16];
        answer.extend([0, 0, 1, 0, 2, 0, 0, 0, 0x43, 0x10, 1, 0, 0, 0, 0, 0]);
        answer.extend(attribute(IFLA_ADDRESS, &[0x52, 0x54, 0, 0x12, 0x34, 0x56]));
        answer.extend(attribute(IFLA_MTU, &1500_u32.to_ne_bytes()));
        answer.extend(attribute(IFLA_OPERSTATE, &[6]));
        answer.extend(attribute(
            IFLA_LINKINFO,
            &attribute(IFLA_INFO_KIND, b"veth\0"),
        ));
        let link = Link::parse(&answer).unwrap();
        assert_eq!(link.made_as, "veth");
        for (file, text) in [
            ("address", "52:54:00:12:34:56\n"),
            ("mtu", "1500\n"),
            ("flags", "0x1003\n"),
            ("ifindex", "2\n"),
            ("type", "1\n"),
            ("operstate", "up\n"),
        ] {
            assert_eq!(link.describe(file).as_deref(), Some(text));
        }
        assert_eq!(link.describe("statistics/rx_bytes"), None);
        assert_eq!(Link::parse(&answer[..20]), None);
    }
}
