//! Requests to a running guest (`wit/live.wit`).

use std::time::Duration;

/// Run a command inside the guest.
#[derive(Debug, Clone)]
pub struct CommandRequest {
    /// Executed without a shell.
    pub argv: Vec<String>,
    /// Kill it after this long.
    pub timeout: Duration,
    /// Keep at most this much of each output stream.
    pub max_bytes: usize,
}

/// Send bytes to a port of the guest.
#[derive(Debug, Clone)]
pub struct ReachRequest {
    /// `tcp` or `udp`.
    pub proto: String,
    /// An address inside the guest.
    pub host: String,
    /// The port.
    pub port: u16,
    /// What to send.
    pub send: Vec<u8>,
    /// Give up after this long.
    pub timeout: Duration,
    /// The answer is over once nothing more came for this long; by default only a datagram's.
    pub idle: Option<Duration>,
    /// Keep at most this much of the answer.
    pub max_bytes: usize,
}
