//! Binding ports of the host as the operator said.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use super::{Ports, UNPRIVILEGED};

/// Ports of the operator's ranges that are tried for one service.
const TRIES_MAX: usize = 512;

/// Why a service gets no port of the host, in words.
pub type NoPort = Cow<'static, str>;

impl Ports {
    /// A listener on 127.0.0.1 for a guest's `port`, where possible on the `earlier` one that it
    /// had before.
    pub fn tcp(
        &self,
        port: u16,
        earlier: Option<u16>,
        reserved: &Reserved,
    ) -> Result<TcpListener, NoPort> {
        self.open(port, earlier, SocketType::STREAM, |at| {
            match reserved.take(SocketType::STREAM, at.port())? {
                Some(socket) => {
                    rustix::net::listen(&socket, BACKLOG)?;
                    Ok(socket.into())
                }
                None => TcpListener::bind(at),
            }
        })
    }

    /// As [`Self::tcp`], for datagrams.
    pub fn udp(
        &self,
        port: u16,
        earlier: Option<u16>,
        reserved: &Reserved,
    ) -> Result<UdpSocket, NoPort> {
        self.open(port, earlier, SocketType::DGRAM, |at| {
            match reserved.take(SocketType::DGRAM, at.port())? {
                Some(socket) => Ok(socket.into()),
                None => UdpSocket::bind(at),
            }
        })
    }

    /// Take those of the operator's exact ports that only root may have: a run gives up that right
    /// before its guest starts.
    pub fn reserve(&self) -> Reserved {
        let privileged = self.exact.values().filter(|port| **port < UNPRIVILEGED);
        let both = privileged
            .flat_map(|port| [SocketType::STREAM, SocketType::DGRAM].map(|kind| (kind, *port)));
        // What cannot be had now is tried again when a service needs it, and then the reason is
        // said.
        let bound = both.filter_map(|(kind, port)| Some(((kind, port), bound(kind, port).ok()?)));
        Reserved(bound.collect())
    }

    fn open<T>(
        &self,
        port: u16,
        earlier: Option<u16>,
        kind: SocketType,
        open: impl Fn(SocketAddr) -> io::Result<T>,
    ) -> Result<T, NoPort> {
        let local = |port| open((Ipv4Addr::LOCALHOST, port).into());
        if let Some(host) = self.exact.get(&port) {
            return local(*host).map_err(|error| {
                format!(
                    "the guest's port {port} is not forwarded: --ports gives it the host's port \
                     {host}, which cannot be used: {error}"
                )
                .into()
            });
        }
        let free = |port| !self.exact.values().any(|reserved| *reserved == port);
        let again = earlier.and_then(|port| local(port).ok());
        let found = if self.ranges.is_empty() {
            let same = || {
                let allowed = port >= UNPRIVILEGED && free(port) && is_unused(port, kind);
                allowed.then(|| local(port).ok()).flatten()
            };
            again.or_else(same).or_else(|| local(0).ok())
        } else {
            again.or_else(|| {
                self.range_ports(port)
                    .filter(|port| free(*port))
                    .take(TRIES_MAX)
                    .find_map(|port| local(port).ok())
            })
        };
        found.ok_or(if self.ranges.is_empty() {
            "a port of the guest is not forwarded: the host has no free port".into()
        } else {
            "a port of the guest is not forwarded: no port of --ports, or of the policy's `ports`, \
             is free"
                .into()
        })
    }
}

/// Ports of the host that are bound and lead nowhere yet. A socket that listened once goes on
/// listening while the run lasts.
#[derive(Debug, Default)]
pub struct Reserved(HashMap<(SocketType, u16), OwnedFd>);

impl Reserved {
    fn take(&self, kind: SocketType, port: u16) -> io::Result<Option<OwnedFd>> {
        let socket = self.0.get(&(kind, port));
        socket.map(OwnedFd::try_clone).transpose()
    }
}

/// As the standard library's listeners have it.
const BACKLOG: i32 = 128;

fn bound(kind: SocketType, port: u16) -> rustix::io::Result<OwnedFd> {
    let socket = rustix::net::socket_with(AddressFamily::INET, kind, SocketFlags::CLOEXEC, None)?;
    if kind == SocketType::STREAM {
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    rustix::net::bind(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    Ok(socket)
}

/// Whether no socket of this machine has the port, on any address. A socket on one address would
/// let another listen beside it.
fn is_unused(port: u16, kind: SocketType) -> bool {
    let everywhere: [SocketAddr; 2] = [
        (Ipv4Addr::UNSPECIFIED, port).into(),
        (Ipv6Addr::UNSPECIFIED, port).into(),
    ];
    // Bound and never listening: nobody can connect to it meanwhile.
    let probe = |address: &SocketAddr| {
        let family = if address.is_ipv6() {
            AddressFamily::INET6
        } else {
            AddressFamily::INET
        };
        let socket = rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
        if kind == SocketType::STREAM {
            // As listeners do, so that what is left of ended connections is not in the way.
            sockopt::set_socket_reuseaddr(&socket, true)?;
        }
        rustix::net::bind(&socket, address)
    };
    everywhere
        .iter()
        .all(|address| probe(address) != Err(Errno::ADDRINUSE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(text: &str) -> Ports {
        text.parse().unwrap()
    }

    fn tcp(ports: &Ports, port: u16) -> Result<(TcpListener, u16), NoPort> {
        let listener = ports.tcp(port, None, &Reserved::default())?;
        let port = listener.local_addr().unwrap().port();
        Ok((listener, port))
    }

    /// A port that is free now.
    fn unused() -> u16 {
        let probe = TcpListener::bind("127.0.0.1:0").unwrap();
        probe.local_addr().unwrap().port()
    }

    #[test]
    fn a_guest_gets_no_privileged_port_by_naming_it() {
        // Who may use them, as root does in a container, would hand them out otherwise.
        for port in [22, 53, 80, 443, 1023] {
            let (_listener, host) = tcp(&Ports::default(), port).unwrap();
            assert!(host >= UNPRIVILEGED, "{port} -> {host}");
            let socket = Ports::default()
                .udp(port, None, &Reserved::default())
                .unwrap();
            assert!(socket.local_addr().unwrap().port() >= UNPRIVILEGED);
        }
    }

    #[test]
    fn the_same_number_is_used_where_nobody_on_the_machine_has_it() {
        let port = unused();
        let (held, host) = tcp(&Ports::default(), port).unwrap();
        assert_eq!(host, port);
        let (_second, another) = tcp(&Ports::default(), port).unwrap();
        assert_ne!(another, port, "another run has it");
        drop(held);
        let elsewhere = ["127.0.0.2:0", "[::1]:0", "0.0.0.0:0"];
        for service in elsewhere.iter().filter_map(|at| TcpListener::bind(at).ok()) {
            let port = service.local_addr().unwrap().port();
            let (_listener, host) = tcp(&Ports::default(), port).unwrap();
            assert_ne!(host, port, "{service:?} is a service of the host");
        }
        for service in elsewhere.iter().filter_map(|at| UdpSocket::bind(at).ok()) {
            let port = service.local_addr().unwrap().port();
            let socket = Ports::default()
                .udp(port, None, &Reserved::default())
                .unwrap();
            assert_ne!(socket.local_addr().unwrap().port(), port, "{service:?}");
        }
    }

    #[test]
    fn an_exact_port_is_that_one_or_none() {
        let host = unused();
        let ports = ports(&format!("80={host}"));
        let (held, given) = tcp(&ports, 80).unwrap();
        assert_eq!(given, host);
        let why = tcp(&ports, 80).unwrap_err();
        assert!(
            why.contains("port 80") && why.contains(&host.to_string()),
            "{why}"
        );
        drop(held);
        let (_other, given) = tcp(&ports, host).unwrap();
        assert_ne!(given, host, "it is kept for the guest's port 80");
    }

    #[test]
    fn a_range_is_not_left() {
        let first = unused().min(65_000);
        let ports = ports(&format!("{first}-{}", first + 2));
        let held: Vec<_> = (0..3).map_while(|_| tcp(&ports, 80).ok()).collect();
        assert!(!held.is_empty());
        assert!(
            held.iter()
                .all(|(_, port)| (first..first + 3).contains(port)),
            "{held:?}"
        );
        let why = tcp(&ports, 80).unwrap_err();
        assert!(why.contains("--ports"), "{why}");
        drop(held);
        if let Ok((_held, port)) = tcp(&ports, first + 1) {
            assert!((first..first + 3).contains(&port));
        }
    }

    #[test]
    fn a_service_that_comes_back_has_its_port_again_if_that_is_free() {
        let earlier = unused();
        let again = Ports::default().tcp(80, Some(earlier), &Reserved::default());
        let again = again.unwrap();
        assert_eq!(again.local_addr().unwrap().port(), earlier);
        let other = Ports::default().tcp(80, Some(earlier), &Reserved::default());
        assert_ne!(other.unwrap().local_addr().unwrap().port(), earlier);
    }
}
