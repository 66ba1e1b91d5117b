//! Connections that programs ask for. The kernel makes them, with the caller's own identity;
//! whether anybody is there to answer, the supervisor can often tell.

use std::net::SocketAddr;

use rookery_records::event::{Argument, What};
use rustix::io::Errno;
use rustix::net::SocketType;

use crate::guest::access::{Callers, HasServices, Paths, Reports};
use crate::guest::services::Services;
use crate::handlers::net;
use crate::kernel::paths;
use crate::process::call::{Action, Call};
use crate::process::memory;

/// `connect`.
pub fn connect(guest: &mut (impl Reports + Paths + HasServices), call: &Call) -> Action {
    let (peer, error) = if let Some(path) = unix_path(guest, call) {
        let error = unix_error(guest, call, &path);
        (path, error)
    } else if let Some(address) = net::address(guest, call) {
        (address.to_string(), internet_error(guest, call, address))
    } else {
        return Action::Continue;
    };
    report(guest, call, ("connect", "uservaddr"), peer, error);
    Action::Continue
}

/// `bind` of a local socket: its directory has to be there.
pub fn bind_local(guest: &mut (impl Reports + Paths), call: &Call) {
    if let Some(path) = unix_path(guest, call)
        && path.starts_with('/')
        && let Some(error) = guest.lacks_directory(call, &path)
    {
        report(guest, call, ("bind", "umyaddr"), path, Some(error));
    }
}

fn report(
    guest: &mut impl Reports,
    call: &Call,
    (syscall, name): (&'static str, &'static str),
    peer: String,
    error: Option<Errno>,
) {
    let what = What::Call {
        syscall,
        arguments: vec![
            ("fd", Argument::Number(call.int(0).into())),
            (name, Argument::Text(peer)),
            ("addrlen", Argument::Number(call.int(2).into())),
        ],
        result: error.map(|errno| -errno.raw_os_error()),
    };
    guest.report_call(call, what);
}

/// The address of a local socket (`unix(7)`): an absolute path, or `@` and an abstract name.
fn unix_path(guest: &mut impl Paths, call: &Call) -> Option<String> {
    const FAMILY: usize = size_of::<libc::sa_family_t>();
    let mut bytes = [0; size_of::<libc::sockaddr_un>()];
    let length = usize::try_from(call.arg(2)).ok()?.min(bytes.len());
    let address = bytes.get_mut(..length)?;
    guest.memory(call)?.read(call.arg(1), address).ok()?;
    let family = u16::from_ne_bytes(address.get(..FAMILY)?.try_into().ok()?);
    let name = address.get(FAMILY..)?;
    match (i32::from(family), name.first()?) {
        (libc::AF_UNIX, 0) => Some(format!("@{}", memory::text(name.get(1..)?))),
        (libc::AF_UNIX, _) => {
            let name = name.split(|byte| *byte == 0).next()?;
            let base = guest.caller(call)?.base(libc::AT_FDCWD)?;
            let path = paths::join(&base, &memory::text(name));
            Some(guest.canonical(path))
        }
        _ => None,
    }
}

/// Why nobody answers at a local address, where that is sure.
fn unix_error(guest: &mut impl Paths, call: &Call, path: &str) -> Option<Errno> {
    if path.starts_with('/')
        && let Err(errno) = guest.resolve(call, path, true)
    {
        return Some(errno);
    }
    let table = guest.init().text("net/unix").ok()?;
    (!is_bound(&table, path)).then_some(Errno::CONNREFUSED)
}

/// Whether the kernel's table of local sockets (`proc_pid_net(5)`) has one by this name. A path is
/// there as its owner wrote it, which may have been another way.
fn is_bound(table: &str, path: &str) -> bool {
    table.lines().skip(1).any(|line| {
        let name = line.split_whitespace().nth(7).unwrap_or_default();
        name == path || paths::basename(name) == paths::basename(path)
    })
}

/// Why nobody answers at an address of the Internet, where that is sure: of the guest itself, every
/// port that listens is known.
fn internet_error(
    guest: &mut (impl Callers + HasServices),
    call: &Call,
    address: SocketAddr,
) -> Option<Errno> {
    let socket = net::socket(guest, call).ok()?;
    let kind = rustix::net::sockopt::socket_type(&socket).ok()?;
    refusal(guest.services(), address, kind)
}

fn refusal(services: &Services, address: SocketAddr, kind: SocketType) -> Option<Errno> {
    let here = address.ip().is_loopback() || address.ip().is_unspecified();
    let refuses = kind == SocketType::STREAM && !services.listens_at(address.port());
    (here && refuses).then_some(Errno::CONNREFUSED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::testing::Part;
    use crate::network::endpoint::Endpoint;
    use rookery_records::event::Process;
    use std::os::unix::net::UnixListener;

    fn connects_to(guest: &mut Part, name: &[u8]) -> Option<i32> {
        let mut address = libc::AF_UNIX.to_ne_bytes()[..2].to_vec();
        address.extend(name);
        let arguments = [0, address.as_ptr().addr() as u64, address.len() as u64];
        let call = guest.call(libc::SYS_connect, &arguments);
        connect(guest, &call);
        match guest.reported.pop() {
            Some(What::Call { result, .. }) => result,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn it_is_told_whether_anybody_is_there_to_answer() {
        let mut guest = Part::new(|_| ());
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("nobody-else-has-this.sock");
        let name = path.to_str().unwrap().as_bytes();
        assert_eq!(connects_to(&mut guest, name), Some(-libc::ENOENT));
        let listener = UnixListener::bind(&path).unwrap();
        assert_eq!(connects_to(&mut guest, name), None);
        drop(listener);
        assert_eq!(connects_to(&mut guest, name), Some(-libc::ECONNREFUSED));
        let nobody = b"\0no-such-abstract-name";
        assert_eq!(connects_to(&mut guest, nobody), Some(-libc::ECONNREFUSED));
    }

    #[test]
    fn a_port_of_the_guests_own_at_which_nothing_listens_refuses() {
        let mut services = Services::new(None);
        let address = SocketAddr::from(([127, 0, 0, 1], 80));
        let elsewhere = SocketAddr::from(([10, 0, 0, 1], 80));
        let refused = Some(Errno::CONNREFUSED);
        assert_eq!(refusal(&services, address, SocketType::STREAM), refused);
        assert_eq!(refusal(&services, address, SocketType::DGRAM), None);
        assert_eq!(refusal(&services, elsewhere, SocketType::STREAM), None);
        let proto = "tcp";
        services.listens(Endpoint { proto, address }, &Process::default());
        assert_eq!(refusal(&services, address, SocketType::STREAM), None);
    }
}
