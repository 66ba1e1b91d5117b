//! The other side: ask a supervisor something.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::net::TcpStream;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rookery_project::{Cancel, Error, Result};
use serde::de::DeserializeOwned;

use crate::control::wire::{Answer, Ask, MAX_LINE};
use crate::control::{handover, wire};

/// The socket's name in a run's directory.
pub(crate) const SOCKET: &str = "control.sock";

/// How soon a cancelled caller gets away.
const SLICE: Duration = Duration::from_millis(40);

/// A handle on a directory, for [`via`].
pub(crate) fn open_directory(path: &Path) -> std::io::Result<File> {
    File::options()
        .read(true)
        .custom_flags(libc::O_DIRECTORY)
        .open(path)
}

/// A path to the socket in `directory` that is short enough for a socket address, however deep the
/// directory lies.
pub(crate) fn via(directory: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", directory.as_raw_fd()))
}

/// Send `request` to the supervisor of the run in `run_dir` and wait at most `timeout` for its
/// answer.
///
/// `Backend` where there is no supervisor, or it goes away before it answers; `Cancelled` within 50
/// ms of `cancel`.
pub(crate) fn ask<T: DeserializeOwned>(
    run_dir: &Path,
    request: &Ask,
    timeout: Duration,
    cancel: &Cancel,
) -> Result<T> {
    let (line, _) = exchange(run_dir, request, timeout, cancel)?;
    answer(&line)
}

/// The same for a request that hands over a connection.
pub(crate) fn connect(
    run_dir: &Path,
    request: &Ask,
    timeout: Duration,
    cancel: &Cancel,
) -> Result<TcpStream> {
    let (line, connection) = exchange(run_dir, request, timeout, cancel)?;
    answer::<serde_json::Value>(&line)?;
    let without = "the supervisor's answer came without its connection";
    let connection = connection.ok_or_else(|| Error::Internal(without.to_owned()))?;
    Ok(connection.into())
}

fn answer<T: DeserializeOwned>(line: &[u8]) -> Result<T> {
    serde_json::from_slice::<Answer<T>>(line)
        .map_err(|error| Error::Internal(format!("the supervisor's answer is malformed: {error}")))?
        .into_result()
}

/// One line each way, and the descriptor that came with the answer.
fn exchange(
    run_dir: &Path,
    request: &Ask,
    timeout: Duration,
    cancel: &Cancel,
) -> Result<(Vec<u8>, Option<OwnedFd>)> {
    let deadline = Instant::now() + timeout;
    let gone = |error: &std::io::Error| {
        Error::Backend(format!(
            "the run's supervisor does not answer: {error}; look at the run's status"
        ))
    };
    let directory = open_directory(run_dir).map_err(|error| gone(&error))?;
    let mut stream = UnixStream::connect(via(&directory)).map_err(|error| gone(&error))?;
    stream
        .set_write_timeout(Some(timeout.max(SLICE)))
        .map_err(|error| gone(&error))?;
    stream
        .write_all(&wire::line(request)?)
        .map_err(|error| gone(&error))?;
    stream
        .set_read_timeout(Some(SLICE))
        .map_err(|error| gone(&error))?;
    let (mut line, mut with) = (Vec::new(), None);
    let mut chunk = [0; 16 << 10];
    while !line.ends_with(b"\n") {
        cancel.check()?;
        if Instant::now() > deadline {
            return Err(Error::Backend(format!(
                "the run's supervisor did not answer within {:.1} s",
                timeout.as_secs_f64()
            )));
        }
        if line.len() > MAX_LINE {
            return Err(Error::Limit(format!(
                "the answer is larger than {MAX_LINE} bytes; ask for less with max_bytes"
            )));
        }
        match handover::receive(&stream, &mut chunk) {
            Ok((0, _)) => return Err(Error::Backend("the run ended before it answered".into())),
            Ok((count, descriptor)) => {
                line.extend(chunk.iter().take(count));
                with = with.or(descriptor);
            }
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) => {}
            Err(error) => return Err(gone(&error)),
        }
    }
    Ok((line, with))
}
