//! The smallest HTTP client that can tell a living service from a dead one.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// `GET /` on a local port: the status code and the whole answer.
pub fn get(port: u16) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(
        &SocketAddr::from(([127, 0, 0, 1], port)),
        Duration::from_secs(2),
    )?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(b"GET / HTTP/1.0\r\nHost: guest\r\n\r\n")?;
    let mut answer = Vec::new();
    // A server may leave the connection open after its page: what has come by the time-out counts.
    let read = stream.take(1 << 20).read_to_end(&mut answer);
    if answer.is_empty() {
        read?;
    }
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .unwrap_or(0);
    Ok((status, answer))
}

/// Ask until the answer is `status` or `patience` is over; the last answer.
pub fn wait_for(port: u16, status: u16, patience: Duration) -> std::io::Result<(u16, String)> {
    let end = Instant::now() + patience;
    loop {
        match get(port) {
            Ok(answer) if answer.0 == status => return Ok(answer),
            other if Instant::now() > end => return other,
            _ => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}
