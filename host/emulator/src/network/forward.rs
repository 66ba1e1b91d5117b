//! Ports of the host that lead into the guest, served by a helper process inside the guest's
//! network namespace.
//!
//! The helper must be a process of its own: joining a user namespace is refused to a process that
//! goes on doing anything else. It takes listening sockets of the host from the supervisor and
//! connects each client to the guest; and it makes sockets there on request.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use crate::kernel::passing::{packet_pair, receive_with_fd, send_with_fd};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::process::{Pid, Signal};

use crate::kernel::ending::await_end;
use crate::kernel::netlink::Netlink;
use crate::kernel::uevent::Uevents;
use crate::kernel::{enter, process};
use crate::network::endpoint::Endpoint;
use crate::network::proxy;
use rookery_runs::ports::{NoPort, Ports, Reserved};

/// The helper may wait for the kernel's configuration of networks, which others may hold.
const HELPER_ENDS_WITHIN: Duration = Duration::from_millis(200);

/// Ports of the host that a run has at most, used or idle.
const FORWARDS_MAX: usize = 128;
/// A service that comes back within this time finds its port of the host still open; after it the
/// port is the host's again.
const IDLE_MAX: Duration = Duration::from_secs(5);

/// The supervisor's side.
#[derive(Debug)]
pub struct Forwarder {
    helper: Pid,
    socket: OwnedFd,
    ports: Ports,
    reserved: Reserved,
    forwards: HashMap<Endpoint, Forward>,
    /// The host's ports that services had which are gone.
    earlier: HashMap<Endpoint, u16>,
}

#[derive(Debug)]
struct Forward {
    /// Of the host.
    port: u16,
    /// Since when nothing listens in the guest.
    idle: Option<Instant>,
}

/// Why a port is not forwarded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoForward {
    /// Another forward leads there already.
    Known,
    /// The host has no port for it; why, in words.
    NoPort(NoPort),
}

const TOO_MANY: &str = "the guest listens on more ports at once than the 128 that are forwarded: \
                        some of them have no port of the host";

impl Forwarder {
    /// Start the helper for the guest behind `pidfd`, whose services get what the operator's
    /// `ports` allow.
    pub fn start(guest: &OwnedFd, ports: Ports, reserved: Reserved) -> io::Result<Self> {
        let (ours, theirs) = packet_pair()?;
        let Some(helper) = process::fork_into(0)? else {
            process::close_all_except(&[theirs.as_raw_fd(), guest.as_raw_fd()]);
            let entered = enter::enter(guest, libc::CLONE_NEWUSER | libc::CLONE_NEWNET);
            process::close_all_except(&[theirs.as_raw_fd()]);
            if entered.is_ok() {
                serve(&theirs);
            }
            process::leave(0)
        };
        let timeout = Some(Duration::from_secs(2));
        for kind in [
            rustix::net::sockopt::Timeout::Recv,
            rustix::net::sockopt::Timeout::Send,
        ] {
            rustix::net::sockopt::set_socket_timeout(&ours, kind, timeout)?;
        }
        Ok(Self {
            helper,
            socket: ours,
            ports,
            reserved,
            forwards: HashMap::new(),
            earlier: HashMap::new(),
        })
    }

    /// Forward to a guest's port; gives the port on 127.0.0.1 of the host.
    pub fn forward(&mut self, endpoint: Endpoint) -> Result<u16, NoForward> {
        if let Some(known) = self.forwards.get_mut(&endpoint) {
            known.idle = None;
            return Ok(known.port);
        }
        // A service that listens everywhere is reached once, whichever family came first.
        let everywhere = |(known, forward): (&Endpoint, &Forward)| {
            forward.idle.is_none()
                && known.proto == endpoint.proto
                && known.address.port() == endpoint.address.port()
                && known.address.ip().is_unspecified()
        };
        if self.forwards.iter().any(everywhere) {
            return Err(NoForward::Known);
        }
        if self.forwards.len() >= FORWARDS_MAX && !self.close_idlest() {
            return Err(NoForward::NoPort(TOO_MANY.into()));
        }
        let port = self.listen(endpoint).map_err(NoForward::NoPort)?;
        self.earlier.remove(&endpoint);
        self.forwards.insert(endpoint, Forward { port, idle: None });
        Ok(port)
    }

    /// Nothing listens at a guest's port any more.
    pub fn idle(&mut self, endpoint: &Endpoint) {
        if let Some(forward) = self.forwards.get_mut(endpoint) {
            forward.idle.get_or_insert_with(Instant::now);
        }
    }

    /// Give back to the host the ports whose services have been gone for long.
    pub fn close_idle(&mut self) {
        let long = |forward: &Forward| forward.idle.is_some_and(|since| since.elapsed() > IDLE_MAX);
        let gone: Vec<Endpoint> = self
            .forwards
            .iter()
            .filter_map(|(endpoint, forward)| long(forward).then_some(*endpoint))
            .collect();
        for endpoint in gone {
            self.close(&endpoint);
        }
    }

    /// Close the forward that has been idle longest; whether there was one.
    fn close_idlest(&mut self) -> bool {
        let idle = self
            .forwards
            .iter()
            .filter_map(|(endpoint, forward)| Some((forward.idle?, *endpoint)));
        let longest = idle.min_by_key(|(since, _)| *since);
        longest.is_some_and(|(_, endpoint)| self.close(&endpoint))
    }

    fn close(&mut self, endpoint: &Endpoint) -> bool {
        let Some(forward) = self.forwards.remove(endpoint) else {
            return false;
        };
        if self.earlier.len() < FORWARDS_MAX {
            self.earlier.insert(*endpoint, forward.port);
        }
        // By its port of the host: another forward may lead to the same place.
        let request = format!("drop {} {}", endpoint.proto, forward.port);
        send_with_fd(&self.socket, request.as_bytes(), None).is_ok()
    }

    fn listen(&self, endpoint: Endpoint) -> Result<u16, NoPort> {
        let (port, earlier) = (
            endpoint.address.port(),
            self.earlier.get(&endpoint).copied(),
        );
        let (entry, address) = if endpoint.proto == "udp" {
            let front = self.ports.udp(port, earlier, &self.reserved)?;
            let address = front
                .set_nonblocking(true)
                .and_then(|()| front.local_addr());
            (OwnedFd::from(front), address)
        } else {
            let listener = self.ports.tcp(port, earlier, &self.reserved)?;
            let address = listener
                .set_nonblocking(true)
                .and_then(|()| listener.local_addr());
            (OwnedFd::from(listener), address)
        };
        let request = format!("{} {}", endpoint.proto, reachable(endpoint.address));
        address
            .and_then(|address| {
                send_with_fd(&self.socket, request.as_bytes(), Some(entry.as_fd()))?;
                Ok(address.port())
            })
            .map_err(|error| format!("no port of the guest is forwarded: {error}").into())
    }

    /// A socket in the guest's network namespace.
    pub fn socket(&self, to: SocketAddr, udp: bool) -> io::Result<OwnedFd> {
        let request = format!(
            "socket {} {}",
            if to.is_ipv6() { 6 } else { 4 },
            if udp { "udp" } else { "tcp" }
        );
        send_with_fd(&self.socket, request.as_bytes(), None)?;
        receive_with_fd(&self.socket, &mut [0; 8])?
            .1
            .ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }

    /// A connection to the guest's network namespace.
    pub fn network(&self) -> io::Result<Netlink> {
        send_with_fd(&self.socket, b"socket netlink", None)?;
        let socket = receive_with_fd(&self.socket, &mut [0; 8])?.1;
        socket
            .map(Netlink::from)
            .ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }

    /// A connection to the kernel's events about devices there.
    pub fn uevents(&self) -> io::Result<Uevents> {
        send_with_fd(&self.socket, b"socket uevents", None)?;
        let socket = receive_with_fd(&self.socket, &mut [0; 8])?.1;
        socket
            .map(Uevents::from)
            .ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }

    /// A socket there that is given no packets.
    pub fn packets(&self) -> io::Result<OwnedFd> {
        send_with_fd(&self.socket, b"socket packets", None)?;
        let socket = receive_with_fd(&self.socket, &mut [0; 8])?.1;
        socket.ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }

    /// End the helper.
    pub fn stop(self) {
        let _ = rustix::process::kill_process(self.helper, Signal::KILL);
        await_end(self.helper, HELPER_ENDS_WITHIN);
    }
}

/// Where a client inside the guest connects to reach a socket bound to `address`.
pub fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// The helper's life.
fn serve(supervisor: &OwnedFd) {
    let mut proxies = proxy::Proxies::new(Netlink::open().ok());
    let mut buffer = [0_u8; 128];
    while proxies.wait(supervisor.as_fd()) {
        if !proxy::Proxies::is_readable(supervisor.as_fd()) {
            continue;
        }
        let Ok((length, fd)) = receive_with_fd(supervisor, &mut buffer) else {
            return;
        };
        let text = buffer
            .get(..length)
            .and_then(|text| std::str::from_utf8(text).ok())
            .unwrap_or_default();
        match (text, fd) {
            ("", _) => return,
            (text, Some(entry)) => {
                let (proto, target) = text.split_once(' ').unwrap_or_default();
                let Ok(target) = target.parse() else {
                    continue;
                };
                if proto == "udp" {
                    proxies.add_datagrams(UdpSocket::from(entry), target);
                } else {
                    proxies.add(TcpListener::from(entry), target);
                }
            }
            (text, None) if text.starts_with("drop ") => {
                let mut words = text.split(' ').skip(1);
                if let (Some(proto), Some(Ok(port))) = (words.next(), words.next().map(str::parse))
                {
                    proxies.remove(proto == "udp", port);
                }
            }
            (text, None) => {
                let socket = make_socket(text);
                let fd = socket.as_ref().ok().map(AsFd::as_fd);
                let _ = send_with_fd(supervisor, b"socket", fd);
            }
        }
    }
}

fn make_socket(request: &str) -> io::Result<OwnedFd> {
    if request.ends_with("netlink") {
        return Netlink::open().map(OwnedFd::from);
    }
    if request.ends_with("packets") {
        let (family, flags) = (AddressFamily::PACKET, SocketFlags::CLOEXEC);
        return Ok(rustix::net::socket_with(
            family,
            SocketType::RAW,
            flags,
            None,
        )?);
    }
    if request.ends_with("uevents") {
        return Uevents::socket();
    }
    let family = if request.contains(" 6 ") {
        AddressFamily::INET6
    } else {
        AddressFamily::INET
    };
    let kind = if request.ends_with("udp") {
        SocketType::DGRAM
    } else {
        SocketType::STREAM
    };
    Ok(rustix::net::socket_with(
        family,
        kind,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )?)
}
