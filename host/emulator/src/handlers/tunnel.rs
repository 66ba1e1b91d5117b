//! `/dev/net/tun`: interfaces whose other end a program reads and writes (`linux/if_tun.h`). The
//! interface is made; nothing comes from it, and what is written goes nowhere.

use std::rc::Rc;

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, sockopt};

use crate::guest::access::{HasDevices, HasServices, Reports};
use crate::handlers::{net, network};
use crate::kernel::netlink::message::name_of;
use crate::kernel::packets;
use crate::network::wanted::Wanted;
use crate::process::call::{Action, Call};

/// As the emulator passes them on: the host's numbers, and a `struct ifreq` of the host's.
const TUNSETNOCSUM: u32 = 0x4004_54C8;
const TUNSETIFF: u32 = 0x4004_54CA;
const TUNSETLAST: u32 = 0x4004_54E2;
const TUNGETFEATURES: u32 = 0x8004_54CF;
const TUNGETLAST: u32 = 0x8004_54E3;

const NAME: usize = libc::IFNAMSIZ;
const TAP: u16 = 2;

/// `open`: a socket that is given nothing until it is bound, and then nothing either.
pub fn open(guest: &mut impl HasServices, flags: i32) -> Result<Rc<std::os::fd::OwnedFd>, Errno> {
    let socket = guest.services().packets().ok_or(Errno::NODEV)?;
    rustix::io::ioctl_fionbio(&socket, flags & OFlags::NONBLOCK.bits().cast_signed() != 0)?;
    Ok(Rc::new(socket))
}

/// A command of such a file. `None` where it is none.
pub fn control(
    guest: &mut (impl Reports + HasServices + HasDevices),
    call: &Call,
    command: u32,
) -> Option<Action> {
    let sets = (TUNSETNOCSUM..=TUNSETLAST).contains(&command);
    if !sets && !(TUNGETFEATURES..=TUNGETLAST).contains(&command) {
        return None;
    }
    let socket = net::socket(guest, call).ok()?;
    if sockopt::socket_domain(&socket) != Ok(AddressFamily::PACKET) {
        return None;
    }
    match command {
        TUNSETIFF => Some(make(guest, call, &socket).unwrap_or_else(Action::from)),
        // That it stays, whose it is, of what kind its link is.
        _ if sets => Some(Action::Return(0)),
        TUNGETFEATURES => {
            /// `IFF_TUN`, `IFF_TAP`, `IFF_NO_PI`, `IFF_ONE_QUEUE`
            const FEATURES: u32 = 0x7003;
            let memory = guest.memory(call)?;
            let written = memory.write(call, call.arg(2), &FEATURES.to_ne_bytes());
            Some(written.map_or_else(Action::from, |()| Action::Return(0)))
        }
        _ => Some(Errno::INVAL.into()),
    }
}

fn make(
    guest: &mut (impl Reports + HasServices + HasDevices),
    call: &Call,
    socket: &std::os::fd::OwnedFd,
) -> Result<Action, Errno> {
    let memory = guest.memory(call).ok_or(Errno::FAULT)?;
    let mut request = [0_u8; NAME + 2];
    memory
        .read(call.arg(2), &mut request)
        .map_err(|_| Errno::FAULT)?;
    let (name, flags) = request.split_at(NAME);
    let kind = match flags.try_into().map(u16::from_ne_bytes) {
        Ok(flags) if flags & TAP != 0 => "tap",
        _ => "tun",
    };
    let name = match name_of(name) {
        name if name.is_empty() => format!("{kind}%d"),
        name => name,
    };
    let wanted = Wanted {
        name,
        kind: kind.to_owned(),
        vlan: None,
    };
    let (network, links) = guest.services().interfaces().ok_or(Errno::NODEV)?;
    let code = |error: std::io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
    // One that exists and stays is taken up again.
    let taken_up = links.stands_for(&wanted.name, kind);
    if !taken_up {
        let refused = || Err(std::io::Error::from_raw_os_error(libc::EOPNOTSUPP));
        let exists = network.link(&wanted.name).is_ok();
        if exists && !links.is_beforehand(&wanted.name) {
            return Err(Errno::BUSY);
        }
        links.make(network, &wanted, refused).map_err(code)?;
    }
    let made = links.last_made(&wanted.name).to_owned();
    let link = network.link(&made).map_err(code)?;
    packets::bind(socket, link.index)?;
    let mut answer = [0_u8; NAME];
    for (to, byte) in answer.iter_mut().zip(made.bytes()) {
        *to = byte;
    }
    memory.write(call, call.arg(2), &answer)?;
    network::note(guest, &wanted);
    Ok(Action::Return(0))
}
