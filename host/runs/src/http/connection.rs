//! A connection to the guest that ends in time and when its caller is cancelled.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rookery_project::{Cancel, Error, Result};

/// How soon a cancelled caller gets away.
const SLICE: Duration = Duration::from_millis(40);

/// A stream with a deadline.
pub(super) struct Connection {
    stream: TcpStream,
    deadline: Instant,
    cancel: Cancel,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, deadline: Instant, cancel: Cancel) -> Result<Self> {
        let prepared = stream
            .set_nonblocking(false)
            .and_then(|()| stream.set_read_timeout(Some(SLICE)))
            .and_then(|()| stream.set_write_timeout(Some(SLICE)));
        prepared.map_err(|error| failed("use the connection", &error))?;
        Ok(Self {
            stream,
            deadline,
            cancel,
        })
    }

    /// Try again for as long as it may take.
    fn patiently(
        &mut self,
        mut step: impl FnMut(&mut TcpStream) -> io::Result<usize>,
    ) -> io::Result<usize> {
        loop {
            match step(&mut self.stream) {
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                    ) => {}
                done => return done,
            }
            if self.cancel.check().is_err() {
                return Err(io::Error::other(Error::Cancelled));
            }
            if Instant::now() >= self.deadline {
                return Err(ErrorKind::TimedOut.into());
            }
        }
    }
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.patiently(|stream| stream.read(buffer))
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.patiently(|stream| stream.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// What is said where the connection ended something.
pub(super) fn failed(what: &str, error: &io::Error) -> Error {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    if let Some(Error::Cancelled) = inner {
        return Error::Cancelled;
    }
    if error.kind() == ErrorKind::TimedOut {
        return Error::Limit(format!(
            "the guest's service did not answer in time: cannot {what}; give it longer with \
             timeout_ms"
        ));
    }
    Error::Backend(format!("cannot {what}: {}", error.kind()))
}
