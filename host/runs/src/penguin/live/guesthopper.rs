//! Penguin's command server in the guest, guesthopper: one connection a command, of which it reads
//! one piece, and one JSON object back.
//!
//! What is wrong with it: a command that takes more than 10 s, or prints more than a pipe holds, is
//! answered with nothing and code 0 and goes on; output that is not UTF-8 gets no answer at all.
//! [`Lost`](Reply::Lost) tells those apart from an answer as far as that is possible: whoever asks
//! has the command print something that cannot be mistaken.

use std::path::Path;
use std::time::Instant;

use rookery_project::{Error, Result};
use serde::Deserialize;

use super::vsock::{Connection, NoPort, Way};

/// Its port.
const PORT: u32 = 12_341_234;
/// It reads a command once, into so many bytes.
pub(super) const LONGEST: usize = 60_000;
const LONGEST_REPLY: usize = 2 << 20;

/// What became of a command.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// What it printed.
    Printed(String),
    /// Nothing came back; the command may have been executed, and may still run.
    Lost(&'static str),
}

#[derive(Deserialize)]
struct Answer {
    stdout: String,
}

/// Have the guest's shell read `script`.
pub(super) fn ask(way: &Way, socket: &Path, script: &str, deadline: Instant) -> Result<Reply> {
    if script.len() > LONGEST {
        return Err(Error::InvalidArgument(format!(
            "the command has {} bytes with what is added to it; Penguin's guest takes at most \
             {LONGEST}: write a file in several calls, and execute that",
            script.len()
        )));
    }
    let mut connection =
        Connection::open(way, socket, PORT, deadline).map_err(|why| not_there(&why))?;
    if let Err(error) = connection.send(script.as_bytes()) {
        return Err(Error::Backend(format!(
            "the guest did not take the command: {error}"
        )));
    }
    let mut reply = Vec::new();
    let mut chunk = [0; 16 << 10];
    loop {
        match connection.receive(&mut chunk) {
            Ok(0) => break,
            Ok(count) => reply.extend(chunk.iter().take(count)),
            Err(_) => return Ok(Reply::Lost("it did not answer in time")),
        }
        if reply.len() > LONGEST_REPLY {
            return Err(Error::Limit(
                "the guest answered with more than 2 MiB".into(),
            ));
        }
    }
    match serde_json::from_slice::<Answer>(&reply) {
        // What it says after its own time was over.
        Ok(answer) if answer.stdout.is_empty() => {
            Ok(Reply::Lost("it answered without what the command printed"))
        }
        Ok(answer) => Ok(Reply::Printed(answer.stdout)),
        Err(_) => Ok(Reply::Lost("it closed the connection without an answer")),
    }
}

fn not_there(why: &NoPort) -> Error {
    let why = match why {
        NoPort::NobodyListens => "guesthopper, which executes commands, does not listen in the \
                                  guest"
            .to_owned(),
        NoPort::NoSocket(error) => format!("Penguin's vsock socket cannot be reached: {error}"),
    };
    Error::unavailable(
        "commands in this guest",
        why,
        "The guest may still be booting: call run_wait, then this again",
    )
}
