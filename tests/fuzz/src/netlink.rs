//! The kernel's answers by netlink: a guest chooses names and attributes of its interfaces.

use std::os::fd::OwnedFd;

use rookery_emulator::netlink::Netlink;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType};

/// Take the bytes for the answer to each kind of question.
pub fn body(data: &[u8]) {
    let ask = |question: &dyn Fn(Netlink)| {
        let (kernel, ours) = pair();
        if rustix::net::send(&kernel, data, SendFlags::DONTWAIT).is_ok() {
            question(ours.into());
        }
    };
    ask(&|netlink| {
        let _ = netlink.list(0, 16, |message| message.len() < 1 << 20);
    });
    ask(&|netlink| {
        let _ = netlink.changes(4);
    });
    ask(&|netlink| {
        let _ = netlink.up("eth0");
    });
    ask(&|netlink| {
        if let Ok(link) = netlink.link("eth0") {
            for file in ["address", "mtu", "flags", "operstate"] {
                link.describe(file);
            }
        }
    });
}

/// A pair of sockets that keep the borders of messages, as netlink's do.
fn pair() -> (OwnedFd, OwnedFd) {
    let (unix, datagram) = (AddressFamily::UNIX, SocketType::DGRAM);
    rustix::net::socketpair(unix, datagram, SocketFlags::CLOEXEC, None).expect("a pair of sockets")
}
