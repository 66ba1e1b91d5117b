//! Answers of routing netlink that are about an interface which is something else to the guest than
//! to the kernel: read in the caller's place, and told as it was wanted.
//!
//! Who waits for an answer that is not there yet is left to the kernel: answers to requests are
//! there when these were sent, so only changes that somebody else makes are told as the kernel has
//! them, and only to who is waiting already.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::io::Errno;
use rustix::net::RecvFlags;
use rustix::net::netlink::SocketAddrNetlink;

use crate::guest::access::{Callers, HasEmulators, HasServices};
use crate::guest::links::Links;
use crate::handlers::net;
use crate::handlers::route::{all_of, guise, is_big_endian, is_route};
use crate::kernel::netlink::Netlink;
use crate::process::call::{Action, Call};
use crate::process::memory::Memory;
use crate::sandbox::filter::ROUTE_FDS;

/// More than the kernel puts into one answer.
const ANSWER_MAX: u64 = 64 * 1024;
/// How a caller may read that is answered here.
const FLAGS: i32 = libc::MSG_PEEK | libc::MSG_DONTWAIT | libc::MSG_TRUNC | libc::MSG_CMSG_CLOEXEC;

/// `read`, `recvfrom` and `recvmsg` by a watched number. `None` where the kernel's answer will do.
pub fn receive<'a>(
    guest: &mut (impl Callers + HasServices + HasEmulators<'a>),
    call: &Call,
) -> Option<Action> {
    if !ROUTE_FDS.contains(&call.int(0).cast_unsigned()) {
        return None;
    }
    let (_, links) = guest.services().interfaces()?;
    if !links.pretend() {
        return None;
    }
    let memory = guest.memory(call)?;
    let reader = Reader::of(&memory, call)?;
    let socket = net::socket(guest, call).ok().filter(is_route)?;
    let big_endian = is_big_endian(guest);
    let (network, links) = guest.services().interfaces()?;
    // The longest that a caller reads by is what the kernel makes the next answer as long as.
    let mut bytes = vec![0; usize::try_from(reader.room.min(ANSWER_MAX)).ok()?];
    let look = RecvFlags::PEEK | RecvFlags::DONTWAIT | RecvFlags::TRUNC;
    let (held, length) = rustix::net::recv(&socket, bytes.as_mut_slice(), look).ok()?;
    if held < length {
        return None;
    }
    let told = retold(network, links, bytes.get(..held)?, big_endian)?;
    let (told, sender) = if reader.flags & libc::MSG_PEEK == 0 {
        take(&socket, &mut bytes, |taken| {
            retold(network, links, taken, big_endian)
        })?
    } else {
        (told, SocketAddrNetlink::new(0, 0))
    };
    let length = i64::try_from(told.len()).unwrap_or(i64::MAX);
    let written = reader.write(call, &told, sender);
    Some(written.map_or_else(Action::from, |()| Action::Return(length)))
}

/// Take an answer from a socket. Another thread may have taken the one that was looked at.
fn take(
    socket: &OwnedFd,
    bytes: &mut [u8],
    retold: impl Fn(&[u8]) -> Option<Vec<u8>>,
) -> Option<(Vec<u8>, SocketAddrNetlink)> {
    let flags = RecvFlags::DONTWAIT;
    let (held, _, sender) = rustix::net::recvfrom(socket, &mut *bytes, flags).ok()?;
    let sender = sender.and_then(|sender| SocketAddrNetlink::try_from(sender).ok());
    let taken = bytes.get(..held)?;
    let told = retold(taken).unwrap_or_else(|| taken.to_vec());
    Some((told, sender.unwrap_or_else(|| SocketAddrNetlink::new(0, 0))))
}

/// An answer in which interfaces are what the guest wanted. `None` where the kernel's says so.
fn retold(network: &Netlink, links: &Links, bytes: &[u8], big_endian: bool) -> Option<Vec<u8>> {
    let all = all_of(bytes)?;
    let mut changed = false;
    let mut told = Vec::new();
    for message in all {
        let other = guise::of(&message, network, links, big_endian);
        changed |= other.is_some();
        told.extend(other.unwrap_or(message).bytes());
        told.resize(told.len().next_multiple_of(4), 0);
    }
    changed.then_some(told)
}

/// How a caller reads.
struct Reader {
    memory: Rc<Memory>,
    /// Addresses and lengths of what it reads into, and all of that together.
    pieces: Vec<(u64, u64)>,
    room: u64,
    flags: i32,
    /// Where it is told who has sent the answer, and where how long that is.
    sender: u64,
    sender_length: u64,
    /// Its `struct msghdr`, where it has one.
    header: Option<u64>,
}

impl Reader {
    /// `struct msghdr`: a name and its length, pieces and their number, further data and its
    /// length, and flags.
    const NAME_LENGTH: u64 = 8;
    const FURTHER_LENGTH: u64 = 40;
    const FLAGS: u64 = 48;

    fn of(memory: &Rc<Memory>, call: &Call) -> Option<Self> {
        let (pieces, flags) = match call.number() {
            libc::SYS_read => (vec![(call.arg(1), call.arg(2))], 0),
            libc::SYS_recvfrom => (vec![(call.arg(1), call.arg(2))], call.int(3)),
            libc::SYS_recvmsg => {
                let mut header = [[0_u8; 8]; 4];
                memory.read(call.arg(1), header.as_flattened_mut()).ok()?;
                let [_, _, pieces, count] = header.map(u64::from_ne_bytes);
                (memory.pieces(pieces, count)?, call.int(2))
            }
            _ => return None,
        };
        if flags & !FLAGS != 0 {
            return None;
        }
        let lengths = pieces.iter().map(|(_, length)| *length);
        let room = lengths.fold(0, u64::saturating_add);
        let mut reader = Self {
            memory: Rc::clone(memory),
            pieces,
            room,
            flags,
            sender: 0,
            sender_length: 0,
            header: None,
        };
        match call.number() {
            libc::SYS_recvfrom => {
                (reader.sender, reader.sender_length) = (call.arg(4), call.arg(5));
            }
            libc::SYS_recvmsg => {
                let mut name = [0; 8];
                memory.read(call.arg(1), &mut name).ok()?;
                reader.sender = u64::from_ne_bytes(name);
                reader.sender_length = call.arg(1) + Self::NAME_LENGTH;
                reader.header = Some(call.arg(1));
            }
            _ => {}
        }
        Some(reader)
    }

    /// Give the caller what it reads.
    fn write(&self, call: &Call, bytes: &[u8], sender: SocketAddrNetlink) -> Result<(), Errno> {
        let mut rest = bytes;
        for (address, length) in &self.pieces {
            let length = usize::try_from(*length).unwrap_or(usize::MAX);
            let (piece, after) = rest.split_at(length.min(rest.len()));
            self.memory.write(call, *address, piece)?;
            rest = after;
        }
        if self.sender != 0 {
            self.write_sender(call, sender)?;
        }
        if let Some(header) = self.header {
            self.memory
                .write(call, header + Self::FURTHER_LENGTH, &[0; 8])?;
            self.memory.write(call, header + Self::FLAGS, &[0; 4])?;
        }
        Ok(())
    }

    /// `struct sockaddr_nl`
    fn write_sender(&self, call: &Call, sender: SocketAddrNetlink) -> Result<(), Errno> {
        const LENGTH: u32 = 12;
        let mut room = [0; 4];
        let read = self.memory.read(self.sender_length, &mut room);
        read.map_err(|_| Errno::FAULT)?;
        // It is the first 16 bits of what is padded to 32.
        let family = libc::AF_NETLINK.to_ne_bytes();
        let name = [
            family,
            sender.pid().to_ne_bytes(),
            sender.groups().to_ne_bytes(),
        ];
        let fits = LENGTH.min(u32::from_ne_bytes(room)) as usize;
        let name = name.as_flattened();
        let held = name.get(..fits).unwrap_or(name);
        self.memory.write(call, self.sender, held)?;
        self.memory
            .write(call, self.sender_length, &LENGTH.to_ne_bytes())
    }
}
