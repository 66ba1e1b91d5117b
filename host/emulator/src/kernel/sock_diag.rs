//! What is bound in a network namespace, listed by the kernel (`sock_diag(7)`). Its tables in
//! `/proc` walk the connections of all namespaces to tell those of one.

use std::io;
use std::os::fd::OwnedFd;

use crate::kernel::netlink::Netlink;

/// `SOCK_DIAG_BY_FAMILY` of `linux/sock_diag.h`.
const BY_FAMILY: u16 = 20;
/// `struct inet_diag_req_v2` of `linux/inet_diag.h`.
const REQUEST_LENGTH: usize = 56;
/// Bits of `idiag_states`, by the numbers of `net/tcp_states.h`.
const LISTEN: u32 = 1 << 10;
const ANY: u32 = u32::MAX;

/// A connection to the current network namespace by which its sockets are listed.
#[derive(Debug)]
pub struct Sockets(Netlink);

impl Sockets {
    /// Connect to the current network namespace.
    pub fn open() -> io::Result<Self> {
        Netlink::diagnosing().map(Self)
    }

    /// The ports of TCP sockets that listen, or of all of UDP's.
    pub fn ports(&self, udp: bool, ipv6: bool) -> io::Result<Vec<u16>> {
        let family = if ipv6 { libc::AF_INET6 } else { libc::AF_INET };
        let (protocol, states) = if udp {
            (libc::IPPROTO_UDP, ANY)
        } else {
            (libc::IPPROTO_TCP, LISTEN)
        };
        let byte = |number: i32| u8::try_from(number).unwrap_or(0);
        let mut request = vec![0; REQUEST_LENGTH];
        request[..2].copy_from_slice(&[byte(family), byte(protocol)]);
        request[4..8].copy_from_slice(&states.to_ne_bytes());
        let mut ports = Vec::new();
        self.0.dump(BY_FAMILY, request, |socket| {
            // `struct inet_diag_msg`: family, state, timer, retransmissions, then the local port.
            if let Some(port) = socket.get(4..6).and_then(<[u8]>::first_chunk) {
                ports.push(u16::from_be_bytes(*port));
            }
            true
        })?;
        Ok(ports)
    }
}

impl From<OwnedFd> for Sockets {
    fn from(socket: OwnedFd) -> Self {
        Self(socket.into())
    }
}

impl From<Sockets> for OwnedFd {
    fn from(sockets: Sockets) -> Self {
        sockets.0.into()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};

    use super::*;

    #[test]
    fn sockets_that_listen_or_are_bound_are_listed_and_connections_are_not() {
        let sockets = Sockets::open().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let connection = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let connected = connection.local_addr().unwrap().port();
        let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
        let bound = datagrams.local_addr().unwrap().port();
        let tcp = sockets.ports(false, false).unwrap();
        assert!(tcp.contains(&port) && !tcp.contains(&connected), "{tcp:?}");
        assert!(sockets.ports(true, false).unwrap().contains(&bound));
        drop(listener);
        assert!(!sockets.ports(false, false).unwrap().contains(&port));
        assert!(!sockets.ports(false, true).unwrap().contains(&port));
    }
}
