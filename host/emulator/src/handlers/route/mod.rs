//! Requests of routing netlink: the guest's sockets have numbers that the filter watches, so each
//! request is sent here, on the guest's own socket, and its answer arrives there.
//!
//! An answer is read here too, where it is about an interface that is something else to the guest.
//!
//! What names a namespace or a process by a number of the caller's is left to the kernel.

mod answers;
mod guise;
mod meaning;
mod order;

use std::os::fd::OwnedFd;

pub use answers::receive;

use libc::{IFLA_INFO_KIND, IFLA_LINKINFO};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags};

use crate::guest::access::{Callers, HasDevices, HasEmulators, HasServices, Reports};
use crate::handlers::behind::pieces_of;
use crate::handlers::{net, network};
use crate::kernel::netlink::message::{
    HEADER, Message, OF_LINK, attribute, attribute_of, long, name_of, short,
};
use crate::kernel::netlink::{ACK, CREATE, DUMP, REQUEST};
use crate::network::wanted::Made;
use crate::process::call::{Action, Call};
use crate::sandbox::filter::ROUTE_FDS;
use rookery_records::event::{Argument, What};

/// More than the room that such a socket has.
const LENGTH_MAX: u64 = 32 * 1024;
/// The length of the fixed part of a message about a filter (`struct tcmsg`): whose socket checks
/// strictly is refused a shorter one.
const OF_FILTER: usize = 20;
/// The kernel answers it, if at all, with success (`NLMSG_NOOP`).
const NOTHING: u16 = 1;
/// The command that asks for the number of an interface, as a message that names one does.
const SIOCGIFINDEX: u32 = 0x8933;

/// `write`, `writev`, `sendto` and `sendmsg` by a watched number. `None` where it is none, or has
/// come to be another file's.
pub fn send<'a>(
    guest: &mut (impl Reports + HasServices + HasDevices + HasEmulators<'a>),
    call: &Call,
) -> Option<Action> {
    if !ROUTE_FDS.contains(&call.int(0).cast_unsigned()) {
        return None;
    }
    let bytes = message_of(guest, call)?;
    let socket = net::socket(guest, call).ok().filter(is_route)?;
    let big_endian = is_big_endian(guest);
    let length = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
    let bytes = messages_of(&bytes);
    let Some(mut message) = Message::only(bytes) else {
        // Several: each is looked at, and all are sent together.
        let all = all_of(bytes)?;
        let bytes: Vec<u8> = all
            .into_iter()
            .try_fold(Vec::new(), |mut sent, mut message| {
                order::put_right(&mut message, big_endian);
                if !meaning::is_plain(&message) {
                    return None;
                }
                sent.resize(sent.len().next_multiple_of(4), 0);
                sent.extend(message.bytes());
                Some(sent)
            })?;
        return Some(
            match rustix::net::send(&socket, &bytes, SendFlags::empty()) {
                Ok(_) => Action::Return(length),
                Err(errno) => errno.into(),
            },
        );
    };
    order::put_right(&mut message, big_endian);
    if !meaning::is_plain(&message) {
        return None;
    }
    if meaning::asks(&message) && message.kind > libc::RTM_GETROUTE {
        // The emulator would take what the kernel has for an error; an end without anything before
        // it, it knows.
        let nothing = Message {
            kind: libc::RTM_GETTFILTER,
            body: vec![0; OF_FILTER],
            ..message
        };
        if nothing.flags & DUMP == 0 {
            return Some(Errno::OPNOTSUPP.into());
        }
        let sent = rustix::net::send(&socket, &nothing.bytes(), SendFlags::empty());
        return Some(sent.map_or_else(Action::from, |_| Action::Return(length)));
    }
    let made = make(guest, &message);
    let sent = if made {
        Message {
            kind: NOTHING,
            flags: REQUEST | message.flags & ACK,
            body: Vec::new(),
            ..message.clone()
        }
    } else {
        without_kind(guest, &message).unwrap_or_else(|| message.clone())
    };
    let waits = has_answer(&socket);
    if let Err(errno) = rustix::net::send(&socket, &sent.bytes(), SendFlags::empty()) {
        return Some(errno.into());
    }
    let result = if waits { None } else { outcome(&socket, &sent) };
    tell(guest, call, &message, result);
    if matches!(message.kind, libc::RTM_DELLINK) {
        if let Some((network, links)) = guest.services().interfaces() {
            links.forget_gone(network);
        }
        network::show_vlans(guest);
    }
    Some(Action::Return(length))
}

fn is_big_endian<'a>(guest: &mut impl HasEmulators<'a>) -> bool {
    let first = guest.emulators().first();
    first.is_some_and(|qemu| qemu.arch.is_big_endian())
}

/// Whether a descriptor is what its number is kept for.
fn is_route(socket: &OwnedFd) -> bool {
    let domain = rustix::net::sockopt::socket_domain(socket);
    let protocol = rustix::net::sockopt::socket_protocol(socket);
    // Routing has the number 0, which is no protocol.
    domain == Ok(AddressFamily::NETLINK) && protocol == Ok(None)
}

/// The bytes that are sent to the kernel, where they are.
fn message_of(guest: &mut impl Callers, call: &Call) -> Option<Vec<u8>> {
    let memory = guest.memory(call)?;
    let pieces = match call.number() {
        // Version 7.2 of the emulator passes on a message that was written with no length.
        libc::SYS_write if call.arg(2) == 0 => {
            let mut length = [0; 4];
            memory.read(call.arg(1), &mut length).ok()?;
            vec![(call.arg(1), u32::from_ne_bytes(length).into())]
        }
        libc::SYS_write => vec![(call.arg(1), call.arg(2))],
        libc::SYS_writev => pieces_of(guest, call)?,
        libc::SYS_sendto => {
            is_kernel(&memory, call.arg(4), call.arg(5))?;
            vec![(call.arg(1), call.arg(2))]
        }
        libc::SYS_sendmsg => {
            // `struct msghdr`: a name and its length, pieces and their number, and what is no part
            // of the message.
            let mut header = [[0_u8; 8]; 4];
            memory.read(call.arg(1), header.as_flattened_mut()).ok()?;
            let [name, length, pieces, count] = header.map(u64::from_ne_bytes);
            is_kernel(&memory, name, length & 0xFFFF_FFFF)?;
            memory.pieces(pieces, count)?
        }
        _ => return None,
    };
    let total = pieces
        .iter()
        .try_fold(0_u64, |total, (_, length)| total.checked_add(*length))?;
    if total > LENGTH_MAX {
        return None;
    }
    let mut bytes = Vec::new();
    for (address, length) in pieces {
        let start = bytes.len();
        bytes.resize(start + usize::try_from(length).ok()?, 0);
        memory.read(address, bytes.get_mut(start..)?).ok()?;
    }
    Some(bytes)
}

/// Whether a message goes to the kernel: it has no address, or one of port 0 and no groups
/// (`struct sockaddr_nl`).
fn is_kernel(memory: &crate::process::memory::Memory, address: u64, length: u64) -> Option<()> {
    const LENGTH: usize = 12;
    if address == 0 || length == 0 {
        return Some(());
    }
    let mut name = [0_u8; LENGTH];
    memory.read(address, &mut name).ok()?;
    let family = short(&name, 0).map(i32::from) == Some(libc::AF_NETLINK);
    (family && long(&name, 4) == Some(0) && long(&name, 8) == Some(0)).then_some(())
}

/// The messages at the beginning: what follows them, such as the rest of a buffer, the kernel
/// leaves unread.
fn messages_of(bytes: &[u8]) -> &[u8] {
    let mut end = 0;
    while let Some((_, length)) = bytes.get(end..).and_then(Message::first) {
        end += length;
    }
    bytes.get(..end).unwrap_or_default()
}

fn all_of(bytes: &[u8]) -> Option<Vec<Message>> {
    let mut rest = bytes;
    let mut all = Vec::new();
    while rest.len() >= HEADER {
        let (message, length) = Message::first(rest)?;
        all.push(message);
        rest = rest.get(length..)?;
    }
    (!all.is_empty()).then_some(all)
}

/// Make the interface that a message asks for, where the guest must have it and the kernel alone
/// would not: one of the plan gives way to it, and another stands in for a kind that the kernel has
/// not. Gives whether that was done.
fn make<'a>(
    guest: &mut (impl Reports + HasServices + HasDevices + HasEmulators<'a>),
    message: &Message,
) -> bool {
    if message.kind != libc::RTM_NEWLINK || message.flags & CREATE == 0 {
        return false;
    }
    let info = message.body.get(OF_LINK..);
    let info = info.and_then(|attributes| attribute_of(attributes, IFLA_LINKINFO));
    let Some(kind) = info.and_then(|info| attribute_of(info, IFLA_INFO_KIND)) else {
        return false;
    };
    let Some((network, links)) = guest.services().interfaces() else {
        return false;
    };
    let Some(wanted) = meaning::wanted(message, &name_of(kind), network) else {
        return false;
    };
    let by_kernel = || network.request(message.kind, message.flags & !ACK, message.body.clone());
    let made = links.make(network, &wanted, by_kernel);
    network::show_vlans(guest);
    match made {
        Ok(Made::StandIn) => network::note(guest, &wanted),
        Ok(Made::AsWanted) => {}
        Err(_) => return false,
    }
    true
}

/// A change of an interface that stands in for a kind, without what only that kind knows.
fn without_kind(guest: &mut impl HasServices, message: &Message) -> Option<Message> {
    let attributes = message.body.get(OF_LINK..)?;
    let kind = attribute_of(attribute_of(attributes, IFLA_LINKINFO)?, IFLA_INFO_KIND)?;
    let (network, links) = guest.services().interfaces()?;
    let changes = [libc::RTM_NEWLINK, libc::RTM_SETLINK].contains(&message.kind);
    let name = meaning::interface(message).or_else(|| {
        let index = long(&message.body, 4)?;
        network.link_at(index).ok().map(|link| link.name)
    })?;
    if !changes || !links.stands_for(&name, &name_of(kind)) {
        return None;
    }
    let mut body = message.body.get(..OF_LINK)?.to_vec();
    for (kind, value) in message.attributes(OF_LINK) {
        if kind != IFLA_LINKINFO {
            body.extend(attribute(kind, value));
        }
    }
    Some(Message {
        body,
        ..message.clone()
    })
}

fn peek(socket: &OwnedFd) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 4096];
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    let (length, _) = rustix::net::recv(socket, bytes.as_mut_slice(), flags).ok()?;
    bytes.truncate(length);
    Some(bytes)
}

fn has_answer(socket: &OwnedFd) -> bool {
    peek(socket).is_some()
}

/// What became of a request, where the answer shows it: 0, or a negative errno.
fn outcome(socket: &OwnedFd, sent: &Message) -> Option<i32> {
    let Some(answer) = peek(socket) else {
        // Of a request that wants no answer a failure is told nevertheless.
        return (sent.flags & ACK == 0).then_some(0);
    };
    let (answer, _) = Message::first(&answer)?;
    if answer.sequence != sent.sequence {
        return None;
    }
    Some(answer.error().map_or(0, |errno| -errno))
}

/// Questions are told where they fail, requests always.
fn tell(guest: &mut impl Reports, call: &Call, message: &Message, result: Option<i32>) {
    let failed = result.is_some_and(|result| result != 0);
    if failed
        && result == Some(-libc::ENODEV)
        && let Some(name) = meaning::interface(message)
    {
        let what = What::InterfaceMissing {
            name,
            command: SIOCGIFINDEX,
            result: -libc::ENODEV,
        };
        guest.report_call(call, what);
    }
    if !failed && meaning::asks(message) {
        return;
    }
    let syscall = match call.number() {
        libc::SYS_write => "write",
        libc::SYS_writev => "writev",
        libc::SYS_sendto => "sendto",
        _ => "sendmsg",
    };
    let what = What::Call {
        syscall,
        arguments: vec![
            ("fd", Argument::Number(call.int(0).into())),
            ("msg", Argument::Text(meaning::in_words(message))),
        ],
        result,
    };
    guest.report_call(call, what);
}
