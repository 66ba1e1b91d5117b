//! Datagrams between clients of the host and a UDP service of the guest.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Instant;

/// Clients that are remembered; the one that was silent longest is forgotten first.
const CLIENTS_MAX: usize = 64;
/// Datagrams that are moved before others get their turn.
const BURST: usize = 64;
const DATAGRAM_MAX: usize = 64 * 1024;

/// One forwarded port. Each client has a socket of its own in the guest's network, so that answers
/// find their way back.
pub struct Datagrams {
    front: UdpSocket,
    service: SocketAddr,
    clients: Vec<Client>,
}

struct Client {
    address: SocketAddr,
    socket: UdpSocket,
    heard: Instant,
}

impl Datagrams {
    /// Serve clients of `front`, which does not block.
    pub fn new(front: UdpSocket, service: SocketAddr) -> Self {
        Self {
            front,
            service,
            clients: Vec::new(),
        }
    }

    /// Where clients send theirs.
    pub fn entry(&self) -> io::Result<SocketAddr> {
        self.front.local_addr()
    }

    /// What to wait for.
    pub fn sockets(&self) -> impl Iterator<Item = &UdpSocket> {
        std::iter::once(&self.front).chain(self.clients.iter().map(|client| &client.socket))
    }

    /// Move what can be moved. What cannot is lost, as datagrams are.
    pub fn advance(&mut self) {
        let mut buffer = vec![0_u8; DATAGRAM_MAX];
        for _ in 0..BURST {
            let Ok((length, from)) = self.front.recv_from(&mut buffer) else {
                break;
            };
            if let (Ok(client), Some(data)) = (self.client(from), buffer.get(..length)) {
                client.heard = Instant::now();
                let _ = client.socket.send(data);
            }
        }
        for client in &self.clients {
            for _ in 0..BURST {
                // An error may be that nothing listens any more; the client notices by itself.
                let Ok(length) = client.socket.recv(&mut buffer) else {
                    break;
                };
                let _ = self
                    .front
                    .send_to(buffer.get(..length).unwrap_or_default(), client.address);
            }
        }
    }

    fn client(&mut self, address: SocketAddr) -> io::Result<&mut Client> {
        if let Some(known) = self
            .clients
            .iter()
            .position(|known| known.address == address)
        {
            return Ok(&mut self.clients[known]);
        }
        if self.clients.len() >= CLIENTS_MAX
            && let Some(oldest) = (0..self.clients.len()).min_by_key(|at| self.clients[*at].heard)
        {
            self.clients.swap_remove(oldest);
        }
        let socket = if self.service.is_ipv6() {
            UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))
        } else {
            UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))
        }?;
        socket.connect(self.service)?;
        socket.set_nonblocking(true)?;
        self.clients.push(Client {
            address,
            socket,
            heard: Instant::now(),
        });
        self.clients
            .last_mut()
            .ok_or_else(|| io::ErrorKind::Other.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn bound() -> (UdpSocket, SocketAddr) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        let address = socket.local_addr().unwrap();
        (socket, address)
    }

    fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
        let mut buffer = [0_u8; 100];
        let (length, from) = socket.recv_from(&mut buffer).unwrap();
        (buffer[..length].to_vec(), from)
    }

    #[test]
    fn each_client_gets_its_own_answers() {
        let (service, target) = bound();
        let (front, entry) = bound();
        front.set_nonblocking(true).unwrap();
        let mut datagrams = Datagrams::new(front, target);
        let clients: Vec<UdpSocket> = (0..CLIENTS_MAX + 3).map(|_| bound().0).collect();
        for (n, client) in clients.iter().enumerate() {
            client.send_to(n.to_string().as_bytes(), entry).unwrap();
            datagrams.advance();
            let (question, from) = receive(&service);
            assert_eq!(question, n.to_string().into_bytes());
            service
                .send_to(format!("answer {n}").as_bytes(), from)
                .unwrap();
            datagrams.advance();
            let (answer, from) = receive(client);
            assert_eq!(answer, format!("answer {n}").into_bytes());
            assert_eq!(from, entry, "it comes from where it was asked");
        }
        assert_eq!(datagrams.clients.len(), CLIENTS_MAX);
    }
}
