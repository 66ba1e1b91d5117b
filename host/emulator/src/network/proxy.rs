//! Bytes between clients of the host and services of the guest: one loop over non-blocking sockets.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType};

use crate::kernel::netlink::Netlink;
use crate::network::datagrams::Datagrams;

const BUFFER: usize = 64 * 1024;
/// Clients that are served at once; more wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 256;

/// How often the guest's loopback interface is looked after, at most.
const LOOPBACK_EVERY: Duration = Duration::from_secs(1);

/// All forwards and their connections.
#[derive(Default)]
pub struct Proxies {
    network: Option<Netlink>,
    looked_after: Option<Instant>,
    listeners: Vec<(TcpListener, SocketAddr)>,
    connections: Vec<Connection>,
    datagrams: Vec<Datagrams>,
}

struct Connection {
    ends: [OwnedFd; 2],
    /// What was read from each end and is not yet written to the other.
    pending: [Vec<u8>; 2],
    /// Each end has no more to say.
    ended: [bool; 2],
    /// The other end was told so.
    told: [bool; 2],
}

impl Proxies {
    /// For the guest whose `network` it is.
    pub fn new(network: Option<Netlink>) -> Self {
        Self {
            network,
            ..Self::default()
        }
    }

    /// Serve clients of `listener` with connections to `target`.
    pub fn add(&mut self, listener: TcpListener, target: SocketAddr) {
        self.listeners.push((listener, target));
    }

    /// Pass datagrams between clients of `front` and `target`.
    pub fn add_datagrams(&mut self, front: UdpSocket, target: SocketAddr) {
        self.datagrams.push(Datagrams::new(front, target));
    }

    /// Take no more clients at a `port` of the host. Those of a TCP service that are there are
    /// served on.
    pub fn remove(&mut self, datagrams: bool, port: u16) {
        let is_other = |address: io::Result<SocketAddr>| !address.is_ok_and(|at| at.port() == port);
        if datagrams {
            self.datagrams.retain(|known| is_other(known.entry()));
        } else {
            self.listeners
                .retain(|(listener, _)| is_other(listener.local_addr()));
        }
    }

    /// Wait until something happens, and move bytes. `false` where waiting fails.
    pub fn wait(&mut self, also: BorrowedFd<'_>) -> bool {
        let room = self.connections.len() < CONNECTIONS_MAX;
        let mut fds = vec![PollFd::from_borrowed_fd(also, PollFlags::IN)];
        for (listener, _) in &self.listeners {
            fds.push(PollFd::from_borrowed_fd(
                listener.as_fd(),
                if room {
                    PollFlags::IN
                } else {
                    PollFlags::empty()
                },
            ));
        }
        for connection in &self.connections {
            for end in 0..2 {
                fds.push(PollFd::from_borrowed_fd(
                    connection.ends[end].as_fd(),
                    connection.interest(end),
                ));
            }
        }
        for socket in self.datagrams.iter().flat_map(Datagrams::sockets) {
            fds.push(PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::IN));
        }
        match rustix::event::poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return false,
        }
        drop(fds);
        self.raise_loopback();
        if room {
            self.accept();
        }
        self.connections.retain_mut(Connection::advance);
        self.datagrams.iter_mut().for_each(Datagrams::advance);
        true
    }

    /// Clients come to the guest's services through its loopback interface, which firmware may take
    /// down: `OpenWrt`'s network daemon does, and then waits for ever for the answer to a netlink
    /// message that qemu does not pass on.
    fn raise_loopback(&mut self) {
        if let Some(network) = &self.network
            && self
                .looked_after
                .is_none_or(|at| at.elapsed() >= LOOPBACK_EVERY)
        {
            self.looked_after = Some(Instant::now());
            let _ = network.up("lo");
        }
    }

    /// Whether a read from `fd` would not wait.
    pub fn is_readable(fd: BorrowedFd<'_>) -> bool {
        let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
        rustix::event::poll(&mut fds, Some(&rustix::event::Timespec::default()))
            .is_ok_and(|ready| ready > 0)
    }

    fn accept(&mut self) {
        for (listener, target) in &self.listeners {
            while let Ok((client, _)) = listener.accept() {
                let _ = client.set_nonblocking(true);
                if let Ok(service) = connect(*target) {
                    self.connections.push(Connection {
                        ends: [client.into(), service],
                        pending: [Vec::new(), Vec::new()],
                        ended: [false; 2],
                        told: [false; 2],
                    });
                }
            }
        }
    }
}

/// Begin a connection to a service.
fn connect(target: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = if target.is_ipv6() {
        AddressFamily::INET6
    } else {
        AddressFamily::INET
    };
    let socket = rustix::net::socket_with(
        family,
        SocketType::STREAM,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )?;
    match rustix::net::connect(&socket, &target) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(errno) => Err(errno),
    }
}

impl Connection {
    fn interest(&self, end: usize) -> PollFlags {
        let mut flags = PollFlags::empty();
        if !self.ended[end] && self.pending[end].is_empty() {
            flags |= PollFlags::IN;
        }
        if !self.pending[1 - end].is_empty() {
            flags |= PollFlags::OUT;
        }
        flags
    }

    /// Move what can be moved; `false` once both directions are done or one failed.
    fn advance(&mut self) -> bool {
        for from in 0..2 {
            if self.direction(from).is_err() {
                return false;
            }
        }
        !(self.told[0] && self.told[1])
    }

    fn direction(&mut self, from: usize) -> Result<(), Errno> {
        let to = 1 - from;
        if self.pending[from].is_empty() && !self.ended[from] {
            let mut buffer = vec![0_u8; BUFFER];
            match rustix::io::read(&self.ends[from], buffer.as_mut_slice()) {
                Ok(0) => self.ended[from] = true,
                Ok(length) => {
                    buffer.truncate(length);
                    self.pending[from] = buffer;
                }
                Err(Errno::AGAIN | Errno::INTR) => {}
                // Still connecting.
                Err(Errno::NOTCONN) if from == 1 => {}
                Err(errno) => return Err(errno),
            }
        }
        if !self.pending[from].is_empty() {
            match rustix::net::send(
                &self.ends[to],
                &self.pending[from],
                rustix::net::SendFlags::NOSIGNAL,
            ) {
                Ok(length) => {
                    self.pending[from].drain(..length);
                }
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        if self.ended[from] && self.pending[from].is_empty() && !self.told[from] {
            self.told[from] = true;
            let _ = rustix::net::shutdown(&self.ends[to], Shutdown::Write);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpStream;

    #[test]
    fn of_two_ports_that_lead_to_one_service_one_is_closed() {
        let target = "127.0.0.1:9".parse().unwrap();
        let (first, second) = (
            TcpListener::bind("127.0.0.1:0").unwrap(),
            TcpListener::bind("127.0.0.1:0").unwrap(),
        );
        let (gone, kept) = (first.local_addr().unwrap(), second.local_addr().unwrap());
        let front = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        let datagrams = front.local_addr().unwrap();
        let mut proxies = Proxies::default();
        proxies.add(first, target);
        proxies.add(second, target);
        proxies.add_datagrams(front, target);
        proxies.remove(false, gone.port());
        proxies.remove(true, gone.port());
        assert!(TcpStream::connect(gone).is_err());
        assert!(TcpStream::connect(kept).is_ok());
        assert_eq!(proxies.datagrams.len(), 1);
        proxies.remove(true, datagrams.port());
        assert!(proxies.datagrams.is_empty());
    }

    #[test]
    fn a_client_and_a_service_exchange_more_than_one_buffer() {
        let service = TcpListener::bind("127.0.0.1:0").unwrap();
        let front = TcpListener::bind("127.0.0.1:0").unwrap();
        let (target, entry) = (service.local_addr().unwrap(), front.local_addr().unwrap());
        front.set_nonblocking(true).unwrap();
        let echo = std::thread::spawn(move || {
            let (mut client, _) = service.accept().unwrap();
            let mut all = Vec::new();
            client.read_to_end(&mut all).unwrap();
            client.write_all(&all).unwrap();
        });
        let data = vec![7_u8; 300_000];
        let sent = data.clone();
        let client = std::thread::spawn(move || {
            let mut stream = TcpStream::connect(entry).unwrap();
            let mut reader = stream.try_clone().unwrap();
            stream.write_all(&sent).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            let mut all = Vec::new();
            reader.read_to_end(&mut all).unwrap();
            all
        });
        let (stop, stopped) = rustix::pipe::pipe().unwrap();
        let mut proxies = Proxies::default();
        proxies.add(front, target);
        while !client.is_finished() {
            assert!(proxies.wait(stop.as_fd()));
            if proxies.connections.is_empty() && client.is_finished() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
            // The last wait must not outlive the client.
            if client.is_finished() {
                break;
            }
            let _ = rustix::io::write(&stopped, b"x");
        }
        assert_eq!(client.join().unwrap(), data);
        echo.join().unwrap();
    }
}
