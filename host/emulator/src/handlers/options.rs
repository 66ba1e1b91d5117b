//! Options of sockets that an emulator may not know: it asks about each before it looks for it, and
//! those are set here, on the guest's own socket.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::io::Errno;
use rustix::net::SocketType;

use crate::guest::access::{Callers, HasEmulators, Reports};
use crate::handlers::ioctl::address;
use crate::handlers::net;
use crate::kernel::{sockopt, told};
use crate::process::call::{Action, Call};
use crate::qemu::arch::Arch;
use rookery_records::event::{Argument, What};

/// How the value of an option is laid out: for every guest the same, but for its byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    /// A number of 32 bits.
    Number,
    /// An address, two, or two and the number of an interface (`struct ip_mreqn`).
    Interface,
    /// The number of an interface, a type and a length of 16 bits, eight bytes
    /// (`struct packet_mreq`).
    Membership,
    /// A virtual interface for multicast (`struct vifctl`).
    Virtual,
    /// It has no effect here: nothing is forwarded.
    Nothing,
}

struct Known {
    level: i32,
    option: i32,
    value: Value,
}

const fn known(level: i32, option: i32, value: Value) -> Known {
    Known {
        level,
        option,
        value,
    }
}

/// `SOL_SOCKET` where it is not 1 (`arch/mips/include/uapi/asm/socket.h` and others).
const SOL_SOCKET_ELSEWHERE: i32 = 0xFFFF;

/// Options of multicast routing (`linux/mroute.h`).
const MRT_INIT: i32 = 200;
const MRT_DONE: i32 = 201;
const MRT_ADD_VIF: i32 = 202;
const MRT_DEL_VIF: i32 = 203;
const MRT_ADD_MFC: i32 = 204;
const MRT_DEL_MFC: i32 = 205;

/// What is set here. The numbers are the same for every guest.
const KNOWN: &[Known] = &[
    known(libc::SOL_IP, libc::IP_MULTICAST_IF, Value::Interface),
    // Emulators of 64 bits take the last number for one of 64 bits.
    known(libc::SOL_IP, libc::IP_ADD_MEMBERSHIP, Value::Interface),
    known(libc::SOL_IP, libc::IP_DROP_MEMBERSHIP, Value::Interface),
    known(libc::SOL_IP, libc::IP_TRANSPARENT, Value::Number),
    known(libc::SOL_IP, libc::IP_FREEBIND, Value::Number),
    known(libc::SOL_IP, libc::IP_UNICAST_IF, Value::Number),
    known(libc::SOL_IP, MRT_INIT, Value::Number),
    known(libc::SOL_IP, MRT_DONE, Value::Number),
    known(libc::SOL_IP, MRT_ADD_VIF, Value::Virtual),
    known(libc::SOL_IP, MRT_DEL_VIF, Value::Virtual),
    known(libc::SOL_IP, MRT_ADD_MFC, Value::Nothing),
    known(libc::SOL_IP, MRT_DEL_MFC, Value::Nothing),
    known(libc::SOL_IPV6, libc::IPV6_MULTICAST_IF, Value::Number),
    known(libc::SOL_IPV6, libc::IPV6_TRANSPARENT, Value::Number),
    known(libc::SOL_SOCKET, libc::SO_MARK, Value::Number),
    known(
        libc::SOL_PACKET,
        libc::PACKET_ADD_MEMBERSHIP,
        Value::Membership,
    ),
    known(
        libc::SOL_PACKET,
        libc::PACKET_DROP_MEMBERSHIP,
        Value::Membership,
    ),
    known(libc::SOL_PACKET, libc::PACKET_AUXDATA, Value::Number),
];

/// The longest value.
const LENGTH_MAX: usize = 16;

/// An option is about to be set: of the socket, level and number that follow what is told, to the
/// value at an address, of a length.
pub fn set<'a>(guest: &mut (impl Reports + HasEmulators<'a>), call: &Call) -> Action {
    let goes_on = Action::Return(told::GOES_ON.into());
    let (socket, level, option) = (call.int(1), call.int(2), call.int(3));
    let Some(arch) = guest.emulators().first().map(|qemu| qemu.arch) else {
        return goes_on;
    };
    let level = match level {
        SOL_SOCKET_ELSEWHERE if arch.abi.is_mips() => libc::SOL_SOCKET,
        level => level,
    };
    let of = |known: &&Known| known.level == level && known.option == option;
    let Some(known) = KNOWN.iter().find(of) else {
        return goes_on;
    };
    let Ok(socket) = net::descriptor(guest, call, socket) else {
        return goes_on;
    };
    let result = value(guest, call, known, arch).and_then(|value| match known.value {
        Value::Nothing => Ok(()),
        _ => apply(socket.as_fd(), known, &value),
    });
    let Err(errno) = result else {
        return Action::Return(0);
    };
    let arguments = [("level", level), ("optname", option)];
    let what = What::Call {
        syscall: "setsockopt",
        arguments: arguments
            .map(|(name, number)| (name, Argument::Number(number.into())))
            .into(),
        result: Some(-errno.raw_os_error()),
    };
    guest.report_call(call, what);
    // The emulator tells its guest this as it is.
    Action::Return(-i64::from(arch.errno(errno.raw_os_error())))
}

/// What the kernel takes for the guest's value.
fn value<'a>(
    guest: &mut (impl Callers + HasEmulators<'a>),
    call: &Call,
    known: &Known,
    arch: &Arch,
) -> Result<Vec<u8>, Errno> {
    let length = usize::try_from(call.int(5)).map_err(|_| Errno::INVAL)?;
    let mut value = vec![0; length.min(LENGTH_MAX)];
    let at = address(guest, call.arg(4));
    let memory = guest.memory(call).ok_or(Errno::FAULT)?;
    memory.read(at, &mut value).map_err(|_| Errno::FAULT)?;
    turn(&mut value, known.value, arch.is_big_endian());
    Ok(value)
}

/// Turn the numbers of a value around, where the guest has them in the other order.
fn turn(value: &mut [u8], kind: Value, big_endian: bool) {
    /// `VIFF_USE_IFINDEX`, in the third byte: an interface's number stands for its address.
    const BY_NUMBER: u8 = 8;
    let by_number = value.get(2).is_some_and(|flags| flags & BY_NUMBER != 0);
    // Where each begins, and its length.
    let numbers: &[(usize, usize)] = match kind {
        Value::Number => &[(0, 4)],
        Value::Interface => &[(8, 4)],
        Value::Membership => &[(0, 4), (4, 2), (6, 2)],
        Value::Virtual if by_number => &[(0, 2), (4, 4), (8, 4)],
        Value::Virtual => &[(0, 2), (4, 4)],
        Value::Nothing => &[],
    };
    for (at, length) in numbers.iter().filter(|_| big_endian) {
        if let Some(bytes) = value.get_mut(*at..at + length) {
            bytes.reverse();
        }
    }
}

fn apply(socket: BorrowedFd<'_>, known: &Known, value: &[u8]) -> Result<(), Errno> {
    // Only of these does the kernel look at what the option is for.
    let kind = rustix::net::sockopt::socket_type(socket)?;
    if known.level == libc::SOL_IP && known.option >= MRT_INIT && kind != SocketType::RAW {
        return Err(Errno::OPNOTSUPP);
    }
    sockopt::set(socket, known.level, known.option, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_a_value_are_turned_around_and_its_addresses_are_not() {
        let turned = |kind, length: u8| {
            let mut value: Vec<u8> = (0..length).collect();
            turn(&mut value, kind, true);
            value
        };
        assert_eq!(turned(Value::Number, 4), [3, 2, 1, 0]);
        assert_eq!(turned(Value::Interface, 4), [0, 1, 2, 3]);
        assert_eq!(turned(Value::Interface, 12)[6..], [6, 7, 11, 10, 9, 8]);
        assert_eq!(
            turned(Value::Membership, 16)[..9],
            [3, 2, 1, 0, 5, 4, 7, 6, 8]
        );
        assert_eq!(turned(Value::Virtual, 16)[..9], [1, 0, 2, 3, 7, 6, 5, 4, 8]);
        assert_eq!(turned(Value::Number, 2), [0, 1], "too short for one");
    }
}
