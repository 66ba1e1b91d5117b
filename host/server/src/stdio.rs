//! This process's stdin and stdout as byte streams that need no thread of their own.
//!
//! Clients connect with pipes (Python, Rust) or Unix sockets (Node). Both are polled; only a
//! terminal or a file falls back to tokio's blocking handles, which cost a thread hop per read.
//!
//! Invariant 1: nothing but this writes to stdout.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;

/// The process's stdin.
pub type Input = Box<dyn AsyncRead + Send + Unpin>;
/// The process's stdout.
pub type Output = Box<dyn AsyncWrite + Send + Unpin>;

/// What a pipe holds at most by default for one without privileges (`pipe(7)`). An answer of
/// hundreds of kilobytes is in there at once; otherwise its reader and this program wake each other
/// for every 64 KiB, and a busy machine takes milliseconds for each.
const PIPE: usize = 1 << 20;

/// Stdin and stdout. Needs a tokio runtime with I/O enabled.
pub fn open() -> (Input, Output) {
    // Where it is no pipe, or there is no room for a larger one, it stays as it is.
    let _ = rustix::pipe::fcntl_setpipe_size(io::stdout(), PIPE);
    let input = socket(io::stdin().as_fd().try_clone_to_owned());
    let output = socket(io::stdout().as_fd().try_clone_to_owned());
    // Pipes are reopened, so that non-blocking mode stays private to this process.
    let (pipe_input, pipe_output) = rmcp::transport::io::stdio_pipes();
    (
        input.map_or_else(|| Box::new(pipe_input) as Input, |socket| Box::new(socket)),
        output.map_or_else(
            || Box::new(pipe_output) as Output,
            |socket| Box::new(socket),
        ),
    )
}

/// `descriptor` as a polled stream, if it is a socket.
fn socket(descriptor: io::Result<OwnedFd>) -> Option<UnixStream> {
    let file = File::from(descriptor.ok()?);
    if !file.metadata().ok()?.file_type().is_socket() {
        return None;
    }
    let stream = std::os::unix::net::UnixStream::from(OwnedFd::from(file));
    stream.set_nonblocking(true).ok()?;
    UnixStream::from_std(stream).ok()
}
