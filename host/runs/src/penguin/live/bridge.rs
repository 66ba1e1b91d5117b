//! `live.reach` on Penguin: through the ports of the host that its plugin `vpn` bridges to the
//! guest's.
//!
//! The bridge takes a connection before the guest has, and also where nobody listens in the guest.
//! Only bytes from the other side say that the guest answered.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rookery_contract::shapes::Reached;
use rookery_project::{Error, Result, regular};
use serde_json::json;

use super::files::RunFiles;
use crate::live::{self, ReachRequest};
use crate::penguin::watch::{Bridge, bridges};

const MOST: u64 = 4 << 20;
/// After a datagram, more are waited for this long.
const UDP_IDLE: Duration = Duration::from_millis(300);
/// Ports that a refusal names.
const NAMED: usize = 20;
const SILENT: &str = "Penguin's bridge took the connection, and nothing came from the guest: the \
                      bridge does so also where nobody listens in the guest";
const CLOSED: &str = "Penguin's bridge took the connection and closed it without a byte: nobody \
                      listens there in the guest, or its service closed at once";

/// Send a request to a port of the guest, and wait for the answer.
pub(super) fn reach(files: &RunFiles, request: &ReachRequest) -> Result<Reached> {
    let at = SocketAddr::new(files.host(), host_port(files, request)?);
    let deadline = Instant::now() + request.timeout;
    let mut received = Vec::new();
    let (took, ended) = if request.proto == "udp" {
        (true, datagrams(at, request, deadline, &mut received))
    } else {
        stream(at, request, deadline, &mut received)
    };
    let is_answered = !received.is_empty();
    let truncated = received.len() > request.max_bytes;
    received.truncate(request.max_bytes);
    let error = match ended {
        Err(error) => Some(format!("Penguin's bridge: {error}")),
        Ok(_) if is_answered || request.proto == "udp" => None,
        Ok(End::Closed) => Some(CLOSED.to_owned()),
        Ok(End::Silent) => Some(SILENT.to_owned()),
    };
    Ok(Reached {
        connected: took,
        guest_answered: Some(is_answered),
        received: live::received(&received),
        truncated,
        error,
    })
}

/// A connection to a port of the guest. The bridge takes it also where nobody listens there.
pub(super) fn connect(files: &RunFiles, request: &ReachRequest) -> Result<OwnedFd> {
    let at = SocketAddr::new(files.host(), host_port(files, request)?);
    let stream = TcpStream::connect_timeout(&at, request.timeout.max(SLICE));
    let stream = stream.map_err(|error| Error::Backend(format!("Penguin's bridge: {error}")))?;
    Ok(stream.into())
}

/// How an answer ended.
enum End {
    Closed,
    Silent,
}

/// The port of the host that leads to the one that is asked for.
fn host_port(files: &RunFiles, request: &ReachRequest) -> Result<u16> {
    let bytes = regular::read(&files.results_dir.join("vpn_bridges.csv"), MOST);
    let text = String::from_utf8_lossy(bytes.as_deref().unwrap_or_default()).into_owned();
    let bridges: Vec<Bridge<'_>> = bridges(&text)
        .filter(|bridge| bridge.proto == request.proto)
        .collect();
    if bytes.is_err() && files.runtime()?["vpn_enabled"] == false {
        return Err(Error::unavailable(
            "ports of this guest",
            "its configuration has no bridge to them (plugins.vpn)",
            files.switch_on("plugins.vpn.enabled", &json!(true)),
        ));
    }
    let wanted = request.host.parse::<IpAddr>().ok();
    let to_port = |bridge: &&Bridge<'_>| bridge.port == request.port;
    // A service that came back has another port, and its row is the later one.
    let found = bridges
        .iter()
        .rev()
        .filter(to_port)
        .filter_map(|bridge| Some((fits(bridge.ip, wanted?)?, bridge)))
        .min_by_key(|(distance, _)| *distance);
    if let Some((_, bridge)) = found {
        return Ok(bridge.host_port);
    }
    let ports: std::collections::BTreeSet<_> = bridges.iter().map(|bridge| bridge.port).collect();
    let named: Vec<_> = ports.iter().take(NAMED).map(ToString::to_string).collect();
    Err(Error::NotFound(format!(
        "as far as Penguin has seen, nothing listens at {} port {} of the guest, address {}; it \
         has bridges to {}",
        request.proto,
        request.port,
        request.host,
        if named.is_empty() {
            "no port".to_owned()
        } else {
            named.join(", ")
        }
    )))
}

/// How far a service bound to `bound` is from what answers at `wanted`; none where it does not.
fn fits(bound: IpAddr, wanted: IpAddr) -> Option<u8> {
    if bound == wanted {
        return Some(0);
    }
    if bound.is_unspecified() {
        return Some(1);
    }
    // Penguin bridges to the address that a service is bound to, and nobody said another one.
    wanted.is_loopback().then_some(2)
}

/// Whether the connection was taken, and how the answer ended.
fn stream(
    at: SocketAddr,
    request: &ReachRequest,
    deadline: Instant,
    received: &mut Vec<u8>,
) -> (bool, io::Result<End>) {
    let left = || deadline.saturating_duration_since(Instant::now());
    let mut stream = match TcpStream::connect_timeout(&at, left().max(SLICE)) {
        Ok(stream) => stream,
        Err(error) => return (false, Err(error)),
    };
    let sent = stream
        .set_write_timeout(Some(left().max(SLICE)))
        .and_then(|()| stream.write_all(&request.send));
    if let Err(error) = sent {
        return (true, Err(error));
    }
    let mut chunk = [0; 16 << 10];
    while received.len() <= request.max_bytes {
        let idle = request.idle.filter(|_| !received.is_empty());
        let wait = left().min(idle.unwrap_or(Duration::MAX));
        if wait.is_zero() {
            return (true, Ok(End::Silent));
        }
        let read = stream
            .set_read_timeout(Some(wait))
            .and_then(|()| stream.read(&mut chunk));
        match read {
            Ok(0) => return (true, Ok(End::Closed)),
            Ok(count) => received.extend(chunk.iter().take(count)),
            Err(error) if is_late(&error) => return (true, Ok(End::Silent)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                return (true, Ok(End::Closed));
            }
            Err(error) => return (true, Err(error)),
        }
    }
    (true, Ok(End::Silent))
}

/// A wait of nothing is none that a socket takes.
const SLICE: Duration = Duration::from_millis(1);

fn datagrams(
    at: SocketAddr,
    request: &ReachRequest,
    deadline: Instant,
    received: &mut Vec<u8>,
) -> io::Result<End> {
    let own: IpAddr = if at.is_ipv4() {
        std::net::Ipv4Addr::UNSPECIFIED.into()
    } else {
        std::net::Ipv6Addr::UNSPECIFIED.into()
    };
    let socket = UdpSocket::bind((own, 0))?;
    socket.connect(at)?;
    socket.send(&request.send)?;
    let mut chunk = vec![0; 64 << 10];
    while received.len() <= request.max_bytes {
        let idle = request.idle.unwrap_or(UDP_IDLE);
        let left = deadline.saturating_duration_since(Instant::now());
        let wait = if received.is_empty() {
            left
        } else {
            left.min(idle)
        };
        if wait.is_zero() {
            break;
        }
        socket.set_read_timeout(Some(wait))?;
        match socket.recv(&mut chunk) {
            Ok(count) => received.extend(chunk.iter().take(count)),
            Err(error) if is_late(&error) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(End::Silent)
}

fn is_late(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}
