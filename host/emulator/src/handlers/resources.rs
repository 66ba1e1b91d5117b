//! Calls that make the host's kernel hold something that it does not count for the guest: noted, or
//! carried out so that it is counted.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::AddressFamily;

use crate::guest::access::{Callers, HasLimits, HasNamespaces, HasServices};
use crate::handlers::{model, net};
use crate::kernel::enter;
use crate::kernel::netlink::Netlink;
use crate::limits::Limits;
use crate::process::call::{Action, Call};
use crate::sandbox::filter::ROUTE_FDS;

/// `mmap` of what others may share.
pub fn map(limits: &mut Limits) -> Action {
    limits.memory.shares();
    Action::Continue
}

/// `memfd_create`: a file without a name in a file system of the guest's, so that its blocks are
/// known wherever its descriptors are. It cannot be sealed.
pub fn nameless_file(guest: &mut (impl HasLimits + HasNamespaces), call: &Call) -> Action {
    const CLOSE_ON_EXEC: u32 = 1;
    const HUGE: u32 = 4;
    const KNOWN: u32 = 0x1F;
    let flags = call.int(1).cast_unsigned();
    if flags & HUGE != 0 || flags & !KNOWN != 0 {
        return Errno::INVAL.into();
    }
    let namespaces = guest.namespaces();
    let directory = guest.limits().memory.nameless();
    let file = enter::make(&namespaces, libc::CLONE_NEWUSER, || {
        let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
        rustix::fs::openat(directory, ".", flags, Mode::from_raw_mode(0o777))
    });
    give(file, flags & CLOSE_ON_EXEC != 0)
}

/// `socket` of routing netlink: one message makes as many interfaces as it has room to ask for, and
/// no signal ends that. So it gets the least room that there is; and a number by which the
/// supervisor sees what is asked.
pub fn route_socket(
    guest: &mut (impl Callers + HasServices + HasNamespaces),
    call: &Call,
) -> Action {
    let kind = call.int(1);
    if !matches!(kind & 0xF, libc::SOCK_RAW | libc::SOCK_DGRAM) {
        return Errno::SOCKTNOSUPPORT.into();
    }
    let helper = guest.services().forwarder();
    let made = helper.and_then(|helper| helper.network().ok().map(OwnedFd::from));
    let socket = made.map_or_else(
        || {
            let namespaces = libc::CLONE_NEWUSER | libc::CLONE_NEWNET;
            let open = || Netlink::open().map(OwnedFd::from);
            let code = |error: std::io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
            enter::make(&guest.namespaces(), namespaces, || open().map_err(code))
        },
        Ok,
    );
    let socket = socket.and_then(|socket| {
        rustix::net::sockopt::set_socket_send_buffer_size(&socket, 1)?;
        rustix::io::ioctl_fionbio(&socket, kind & libc::SOCK_NONBLOCK != 0)?;
        Ok(socket)
    });
    let number = model::number_of(guest, call, ROUTE_FDS);
    give_at(socket, number, kind & libc::SOCK_CLOEXEC != 0)
}

fn give(file: Result<OwnedFd, Errno>, close_on_exec: bool) -> Action {
    give_at(file, None, close_on_exec)
}

fn give_at(file: Result<OwnedFd, Errno>, number: Option<u32>, close_on_exec: bool) -> Action {
    match file {
        Ok(fd) => Action::Give {
            fd: Rc::new(fd),
            number,
            close_on_exec,
        },
        Err(errno) => errno.into(),
    }
}

/// `setsockopt` of an option that may make a socket hold more.
pub fn socket_option(guest: &mut impl Callers, call: &Call) -> Action {
    const RECEIVE_RING: i32 = 5;
    const SEND_RING: i32 = 13;
    match (call.int(1), call.int(2)) {
        (libc::SOL_PACKET, RECEIVE_RING | SEND_RING) => Errno::NOMEM.into(),
        (libc::SOL_SOCKET, libc::SO_SNDBUF) => match send_buffer(guest, call) {
            Ok(()) => Action::Return(0),
            Err(errno) => errno.into(),
        },
        (libc::SOL_SOCKET, libc::SO_SNDBUFFORCE | libc::SO_RCVBUFFORCE) => Action::Return(0),
        _ => Action::Continue,
    }
}

/// Done on a copy of the descriptor: what the guest's own is may change before the kernel looks at
/// it.
fn send_buffer(guest: &mut impl Callers, call: &Call) -> Result<(), Errno> {
    let socket = net::socket(guest, call)?;
    if rustix::net::sockopt::socket_domain(&socket)? == AddressFamily::NETLINK {
        return Ok(());
    }
    if call.int(4) < 4 {
        return Err(Errno::INVAL);
    }
    let memory = guest.memory(call).ok_or(Errno::FAULT)?;
    let mut value = [0_u8; 4];
    memory
        .read(call.arg(3), &mut value)
        .map_err(|_| Errno::FAULT)?;
    // More than the host allows becomes what it allows; so does a negative number.
    let value = u32::from_ne_bytes(value).min(i32::MAX.cast_unsigned());
    let value = usize::try_from(value).map_err(|_| Errno::INVAL)?;
    rustix::net::sockopt::set_socket_send_buffer_size(&socket, value)
}
