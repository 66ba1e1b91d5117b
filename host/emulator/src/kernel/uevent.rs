//! Events of the kernel about devices (uevents): sent by the kernel to who listens in the guest's
//! network namespace, on the request of who has the rights there (Linux 4.18).

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use rustix::net::netlink::{KOBJECT_UEVENT, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags,
    SocketType, UCred,
};
use rustix::thread::{Gid, Uid};

use crate::kernel::netlink::REQUEST;
use crate::kernel::netlink::message::Message;
use crate::kernel::process::file_user;

/// The group that listens.
const GROUP: u32 = 1;
/// The first kind of a message that is none of netlink itself.
const ANY: u16 = 16;
/// Events that are read at once.
const READ_MAX: usize = 1024;

/// A connection to a network namespace, which is told of all events there.
#[derive(Debug)]
pub struct Uevents {
    socket: OwnedFd,
    last: u64,
}

impl Uevents {
    /// A socket of the current network namespace.
    pub fn socket() -> io::Result<OwnedFd> {
        let socket = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            Some(KOBJECT_UEVENT),
        )?;
        rustix::net::bind(&socket, &SocketAddrNetlink::new(0, GROUP))?;
        Ok(socket)
    }

    /// Let the kernel tell of a device, by its path below `/sys`: what was done, its class, and
    /// further lines of `NAME=value`.
    pub fn send(&mut self, action: &str, path: &str, class: &str, about: &str) -> io::Result<()> {
        self.read();
        let mut text =
            format!("{action}@{path}\0ACTION={action}\0DEVPATH={path}\0SUBSYSTEM={class}\0");
        for line in about.lines() {
            text += line;
            text.push('\0');
        }
        let message = Message {
            kind: ANY,
            flags: REQUEST,
            sequence: 0,
            port: 0,
            body: text.into_bytes(),
        };
        self.send_as_guest(&message.bytes())
    }

    /// Those who listen believe root only (udev, `ueventd`): the guest's, whose user is among those
    /// of this process.
    fn send_as_guest(&self, message: &[u8]) -> io::Result<()> {
        let own = rustix::process::getuid();
        let uid = Uid::from_raw(file_user());
        let gid = if uid == own {
            rustix::process::getgid()
        } else {
            Gid::from_raw(uid.as_raw())
        };
        let pid = rustix::process::getpid();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
        let mut sender = SendAncillaryBuffer::new(&mut space);
        sender.push(SendAncillaryMessage::ScmCredentials(UCred {
            pid,
            uid,
            gid,
        }));
        let pieces = [IoSlice::new(message)];
        rustix::net::sendmsg(&self.socket, &pieces, &mut sender, SendFlags::DONTWAIT)?;
        Ok(())
    }

    /// The number of the last event (`/sys/kernel/uevent_seqnum`).
    pub fn last(&mut self) -> u64 {
        self.read();
        self.last
    }

    fn read(&mut self) {
        let mut event = [0; 4096];
        for _ in 0..READ_MAX {
            let received =
                rustix::net::recv(&self.socket, event.as_mut_slice(), RecvFlags::DONTWAIT);
            let Ok((length, _)) = received else {
                return;
            };
            let text = event.get(..length).unwrap_or_default();
            let number = text
                .split(|byte| *byte == 0)
                .find_map(|line| line.strip_prefix(b"SEQNUM="))
                .and_then(|number| std::str::from_utf8(number).ok()?.parse().ok());
            self.last = number.unwrap_or(self.last);
        }
    }
}

impl From<OwnedFd> for Uevents {
    fn from(socket: OwnedFd) -> Self {
        Self { socket, last: 0 }
    }
}
