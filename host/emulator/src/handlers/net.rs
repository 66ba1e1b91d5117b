//! Sockets that are bound: done for the guest on its own socket, so that the outcome is known.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::SocketType;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags};

use crate::guest::access::{Callers, HasDevices, HasServices, Paths, Reports};
use crate::guest::services::Listening;
use crate::handlers::{connect, hotplug};
use crate::kernel::shortage;
use crate::network::endpoint::Endpoint;
use crate::network::forward::NoForward;
use crate::process::call::{Action, Call};
use rookery_records::event::What;

/// `bind`.
pub fn bind(guest: &mut (impl Reports + Paths + HasServices + HasDevices), call: &Call) -> Action {
    let Some(address) = address(guest, call) else {
        if let Some(action) = hotplug::bind(guest, call) {
            return action;
        }
        connect::bind_local(guest, call);
        return Action::Continue;
    };
    let Ok(socket) = socket(guest, call) else {
        return Action::Continue;
    };
    let proto = match rustix::net::sockopt::socket_type(&socket) {
        Ok(SocketType::STREAM) => "tcp",
        Ok(SocketType::DGRAM) => "udp",
        _ => return Action::Continue,
    };
    match rustix::net::bind(&socket, &address) {
        Ok(()) => {
            // A port of the kernel's choice is a client's.
            if proto == "udp" && address.port() != 0 {
                listens(guest, call, Endpoint { proto, address });
            }
            Action::Return(0)
        }
        Err(errno) => {
            let what = What::BindFailed {
                proto,
                ip: address.ip(),
                port: address.port(),
                result: -errno.raw_os_error(),
            };
            guest.report_call(call, what);
            errno.into()
        }
    }
}

/// `listen`.
pub fn listen(guest: &mut (impl Reports + HasServices), call: &Call) -> Action {
    let Ok(socket) = socket(guest, call) else {
        return Action::Continue;
    };
    let Some(address) = rustix::net::getsockname(&socket)
        .ok()
        .and_then(|address| SocketAddr::try_from(address).ok())
    else {
        return Action::Continue;
    };
    if let Err(errno) = rustix::net::listen(&socket, call.int(1)) {
        return errno.into();
    }
    // Without a bind before it, listen chose the port.
    let address = match rustix::net::getsockname(&socket)
        .ok()
        .and_then(|address| SocketAddr::try_from(address).ok())
    {
        Some(now) if address.port() == 0 => now,
        _ => address,
    };
    listens(
        guest,
        call,
        Endpoint {
            proto: "tcp",
            address,
        },
    );
    Action::Return(0)
}

fn listens(guest: &mut (impl Reports + HasServices), call: &Call, endpoint: Endpoint) {
    let who = guest.who(call);
    let (proto, ip, port) = (
        endpoint.proto,
        endpoint.address.ip(),
        endpoint.address.port(),
    );
    match guest.services().listens(endpoint, &who) {
        Listening::Full => return guest.report(who, What::Note(NOT_RECORDED.into())),
        Listening::Known => return,
        Listening::New => {}
    }
    guest.report(who.clone(), What::Listen { proto, ip, port });
    let forwarder = guest.services().forwarder();
    let what = match forwarder.map(|forwarder| forwarder.forward(endpoint)) {
        Some(Ok(host_port)) => What::Forward {
            proto,
            ip,
            port,
            host_port,
        },
        Some(Err(NoForward::NoPort(why))) => What::Note(why),
        Some(Err(NoForward::Known)) | None => return,
    };
    guest.report(who, what);
}

const NOT_RECORDED: &str =
    "more than 1024 ports of the guest listen at once: some of them are missing from the results";

/// A copy of the caller's socket, its first argument. It stays in the guest's network namespace,
/// whoever uses it.
pub fn socket(guest: &mut impl Callers, call: &Call) -> Result<OwnedFd, Errno> {
    descriptor(guest, call, call.int(0))
}

/// A copy of the caller's descriptor of this number.
pub fn descriptor(
    guest: &mut impl Callers,
    call: &Call,
    descriptor: i32,
) -> Result<OwnedFd, Errno> {
    let record = guest.caller(call).ok_or(Errno::SRCH)?;
    let pid = i32::try_from(record.process.pid())
        .ok()
        .and_then(Pid::from_raw)
        .ok_or(Errno::SRCH)?;
    if descriptor < 0 {
        return Err(Errno::BADF);
    }
    let process = rustix::process::pidfd_open(pid, PidfdFlags::empty())
        .map_err(shortage::of("pidfd_open"))?;
    let socket = rustix::process::pidfd_getfd(&process, descriptor, PidfdGetfdFlags::empty())
        .map_err(shortage::of("pidfd_getfd"))?;
    if call.is_valid() {
        Ok(socket)
    } else {
        Err(Errno::SRCH)
    }
}

/// The address argument, where it is of the Internet.
pub fn address(guest: &mut impl Callers, call: &Call) -> Option<SocketAddr> {
    let memory = guest.memory(call)?;
    let mut bytes = [0_u8; 28];
    let length = usize::try_from(call.arg(2)).ok()?.min(bytes.len());
    memory.read(call.arg(1), bytes.get_mut(..length)?).ok()?;
    decode(bytes.get(..length)?)
}

fn decode(bytes: &[u8]) -> Option<SocketAddr> {
    let family = u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?);
    let port = u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?);
    match i32::from(family) {
        libc::AF_INET if bytes.len() >= 16 => {
            let ip: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
            Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::from(ip)), port))
        }
        libc::AF_INET6 => {
            let ip: [u8; 16] = bytes.get(8..24)?.try_into().ok()?;
            let scope = bytes
                .get(24..28)
                .and_then(|b| b.try_into().ok())
                .map_or(0, u32::from_ne_bytes);
            Some(SocketAddr::V6(SocketAddrV6::new(
                Ipv6Addr::from(ip),
                port,
                0,
                scope,
            )))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_other_families_are_left_to_the_kernel() {
        let v4 = [2, 0, 0, 80, 192, 168, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(decode(&v4).unwrap().to_string(), "192.168.1.1:80");
        let mut v6 = [0; 28];
        v6[0] = 10;
        v6[3] = 53;
        assert_eq!(decode(&v6).unwrap().to_string(), "[::]:53");
        for bytes in [
            &[1, 0, b'/', b'a', 0][..],
            &[16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            &v4[..8],
            &v6[..20],
            &[],
        ] {
            assert_eq!(decode(bytes), None);
        }
    }
}
