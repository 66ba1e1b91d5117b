//! Ports of the host that lead into the guest, served by a helper process inside the guest's network namespace.
//!
//! The helper must be a process of its own: joining a user namespace is refused to a process that goes on doing anything else. It takes
//! listening sockets of the host from the supervisor and connects each client to the guest; and it makes sockets there on request.

use std::collections::HashMap;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use rustix::process::{Pid, Signal};

use super::ending::await_end;
use super::guest::Endpoint;
use super::netlink::Netlink;
use super::sys::process;
use super::{inside, pump};

/// The helper may wait for the kernel's configuration of networks, which others may hold.
const HELPER_ENDS_WITHIN: Duration = Duration::from_millis(200);

/// Ports that are forwarded at most.
const FORWARDS_MAX: usize = 128;

/// The supervisor's side.
#[derive(Debug)]
pub struct Forwarder {
    helper: Pid,
    socket: OwnedFd,
    forwards: HashMap<Endpoint, Forward>,
}

#[derive(Debug)]
struct Forward {
    /// Of the host.
    port: u16,
    /// Nothing listens in the guest at present. It keeps the host's port while that is not needed for another.
    idle: bool,
}

/// Why a port is not forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoForward {
    /// Another forward leads there already.
    Known,
    /// There are too many, or the host has no port for it.
    Full,
}

impl Forwarder {
    /// Start the helper for the guest behind `pidfd`.
    pub fn start(guest: &OwnedFd) -> io::Result<Self> {
        let (ours, theirs) = packet_pair()?;
        let Some(helper) = process::fork_into(0)? else {
            process::close_all_except(&[theirs.as_raw_fd(), guest.as_raw_fd()]);
            let entered = inside::enter(guest, libc::CLONE_NEWUSER | libc::CLONE_NEWNET);
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
            forwards: HashMap::new(),
        })
    }

    /// Forward to a guest's port; gives the port on 127.0.0.1 of the host.
    pub fn forward(&mut self, endpoint: Endpoint) -> Result<u16, NoForward> {
        if let Some(known) = self.forwards.get_mut(&endpoint) {
            known.idle = false;
            return Ok(known.port);
        }
        // A service that listens everywhere is reached once, whichever family came first.
        let everywhere = |(known, forward): (&Endpoint, &Forward)| {
            !forward.idle
                && known.proto == endpoint.proto
                && known.address.port() == endpoint.address.port()
                && known.address.ip().is_unspecified()
        };
        if self.forwards.iter().any(everywhere) {
            return Err(NoForward::Known);
        }
        if self.forwards.len() >= FORWARDS_MAX {
            self.drop_idle().ok_or(NoForward::Full)?;
        }
        let port = self.listen(endpoint).ok_or(NoForward::Full)?;
        self.forwards
            .insert(endpoint, Forward { port, idle: false });
        Ok(port)
    }

    /// Nothing listens at a guest's port any more.
    pub fn idle(&mut self, endpoint: &Endpoint) {
        if let Some(forward) = self.forwards.get_mut(endpoint) {
            forward.idle = true;
        }
    }

    fn drop_idle(&mut self) -> Option<()> {
        let (endpoint, _) = self.forwards.iter().find(|(_, forward)| forward.idle)?;
        let endpoint = *endpoint;
        self.forwards.remove(&endpoint);
        let request = format!("drop {} {}", endpoint.proto, reachable(endpoint.address));
        send_with_fd(&self.socket, request.as_bytes(), None).ok()
    }

    fn listen(&self, endpoint: Endpoint) -> Option<u16> {
        let port = endpoint.address.port();
        let (entry, port) = if endpoint.proto == "udp" {
            let front = bind(port, UdpSocket::bind)?;
            front.set_nonblocking(true).ok()?;
            let port = front.local_addr().ok()?.port();
            (OwnedFd::from(front), port)
        } else {
            let listener = bind(port, TcpListener::bind)?;
            listener.set_nonblocking(true).ok()?;
            let port = listener.local_addr().ok()?.port();
            (OwnedFd::from(listener), port)
        };
        let request = format!("{} {}", endpoint.proto, reachable(endpoint.address));
        send_with_fd(&self.socket, request.as_bytes(), Some(entry.as_fd())).ok()?;
        Some(port)
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

    /// End the helper.
    pub fn stop(self) {
        let _ = rustix::process::kill_process(self.helper, Signal::KILL);
        await_end(self.helper, HELPER_ENDS_WITHIN);
    }
}

/// Bind the guest's own port on the host, or any where that is taken or not allowed.
fn bind<T>(port: u16, bind: impl Fn((Ipv4Addr, u16)) -> io::Result<T>) -> Option<T> {
    bind((Ipv4Addr::LOCALHOST, port))
        .or_else(|_| bind((Ipv4Addr::LOCALHOST, 0)))
        .ok()
}

/// Where a client inside the guest connects to reach a socket bound to `address`.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Two connected sockets that keep message boundaries.
pub fn packet_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?)
}

/// One message, and a descriptor with it.
pub fn send_with_fd(
    socket: &OwnedFd,
    data: &[u8],
    fd: Option<std::os::fd::BorrowedFd<'_>>,
) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let fds: Vec<_> = fd.into_iter().collect();
    if !fds.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(&fds));
    }
    rustix::net::sendmsg(
        socket,
        &[IoSlice::new(data)],
        &mut ancillary,
        SendFlags::NOSIGNAL,
    )?;
    Ok(())
}

/// One message and the descriptor that came with it. A length of 0 means that the other side is gone.
pub fn receive_with_fd(
    socket: &OwnedFd,
    buffer: &mut [u8],
) -> io::Result<(usize, Option<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let message = rustix::net::recvmsg(
        socket,
        &mut [IoSliceMut::new(buffer)],
        &mut ancillary,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let fd = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    Ok((message.bytes, fd))
}

/// The helper's life.
fn serve(supervisor: &OwnedFd) {
    let mut pumps = pump::Pumps::new(Netlink::open().ok());
    let mut buffer = [0_u8; 128];
    while pumps.wait(supervisor.as_fd()) {
        if !pump::Pumps::is_readable(supervisor.as_fd()) {
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
                    pumps.add_datagrams(UdpSocket::from(entry), target);
                } else {
                    pumps.add(TcpListener::from(entry), target);
                }
            }
            (text, None) if text.starts_with("drop ") => {
                let mut words = text.split(' ').skip(1);
                if let (Some(proto), Some(Ok(target))) =
                    (words.next(), words.next().map(str::parse))
                {
                    pumps.remove(proto == "udp", target);
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
