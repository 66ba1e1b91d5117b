//! One peer on `control.sock`, from its first byte to its answer.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rookery_project::{Error, Result};
use serde::Serialize;
use serde_json::{Value, json};

use crate::backend::{Reply, Request};
use crate::control::wire::{Answer, Ask, MAX_LINE};
use crate::control::{handover, wire};
use crate::live::{CommandRequest, LiveRequest, ReachRequest};

/// A peer that does not read its answer for this long loses it: the supervisor has a guest to
/// serve.
const WRITE_TIMEOUT: Duration = Duration::from_secs(1);

pub(super) struct Connection {
    stream: UnixStream,
    since: Instant,
    buffer: Vec<u8>,
}

pub(super) enum Read {
    /// No whole line yet.
    More,
    /// The peer left, or sent more than a line may hold.
    Gone,
    /// A line, without its end.
    Line(Vec<u8>),
}

impl Connection {
    pub(super) fn new(stream: UnixStream, since: Instant) -> Self {
        Self {
            stream,
            since,
            buffer: Vec::new(),
        }
    }

    pub(super) fn age(&self) -> Duration {
        self.since.elapsed()
    }

    pub(super) fn stream(&self) -> &UnixStream {
        &self.stream
    }

    /// Take what has arrived.
    pub(super) fn read(&mut self) -> Read {
        let mut chunk = [0; 16 << 10];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return Read::Gone,
                Ok(count) => {
                    let (chunk, _) = chunk.split_at(count);
                    if let Some(end) = chunk.iter().position(|&byte| byte == b'\n') {
                        self.buffer.extend(chunk.iter().take(end));
                        return Read::Line(std::mem::take(&mut self.buffer));
                    }
                    self.buffer.extend_from_slice(chunk);
                    if self.buffer.len() > MAX_LINE {
                        return Read::Gone;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Read::More,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Read::Gone,
            }
        }
    }

    /// The request that `line` holds; a malformed one is answered here.
    pub(super) fn into_request(self, line: &[u8]) -> Option<Request> {
        match parse(line) {
            Ok(Parsed::Stop) => {
                self.answer(Ok(json!({ "stopping": true })));
                Some(Request::Stop)
            }
            Ok(Parsed::Command(request)) => Some(Request::Command(request, self.into_reply())),
            Ok(Parsed::Reach(request)) => Some(Request::Reach(request, self.into_reply())),
            Ok(Parsed::Connect(request)) => Some(Request::Connect(request, self.into_handover())),
            Ok(Parsed::Live(request)) => Some(Request::Live(request, self.into_reply())),
            Err(error) => {
                self.answer(Err(error));
                None
            }
        }
    }

    /// Where a backend's answer becomes JSON.
    fn into_reply<T: Serialize>(self) -> Reply<T> {
        Reply::new(move |answer: Result<T>| {
            self.answer(answer.and_then(|answer| {
                serde_json::to_value(answer).map_err(|error| {
                    Error::Internal(format!("an answer could not be written: {error}"))
                })
            }));
        })
    }

    /// Where a connection goes along with the answer.
    fn into_handover(self) -> Reply<OwnedFd> {
        Reply::new(move |answer: Result<OwnedFd>| match answer {
            Ok(connection) => self.hand_over(&connection),
            Err(error) => self.answer(Err(error)),
        })
    }

    fn hand_over(self, connection: &OwnedFd) {
        let answer = wire::line(&Answer::Ok(json!({ "connected": true })));
        let sent = answer.map_err(std::io::Error::other).and_then(|line| {
            self.stream.set_nonblocking(false)?;
            self.stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
            handover::send(&self.stream, &line, connection)
        });
        if let Err(error) = sent {
            tracing::debug!(%error, "the peer did not take its connection");
        }
    }

    fn answer(mut self, answer: Result<Value>) {
        let written = wire::line(&Answer::from(answer))
            .map_err(std::io::Error::other)
            .and_then(|line| {
                self.stream.set_nonblocking(false)?;
                self.stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
                self.stream.write_all(&line)
            });
        if let Err(error) = written {
            tracing::debug!(%error, "the peer did not take its answer");
        }
    }
}

pub(super) enum Parsed {
    Stop,
    Command(CommandRequest),
    Reach(ReachRequest),
    Connect(ReachRequest),
    Live(LiveRequest),
}

pub(super) fn parse(line: &[u8]) -> Result<Parsed> {
    let ask: Ask = serde_json::from_slice(line)
        .map_err(|error| Error::InvalidArgument(format!("not a control request: {error}")))?;
    Ok(match ask {
        Ask::Stop => Parsed::Stop,
        Ask::Command {
            argv,
            timeout_ms,
            max_bytes,
        } => Parsed::Command(CommandRequest {
            argv,
            timeout: Duration::from_millis(timeout_ms),
            max_bytes,
        }),
        Ask::Live { request } => Parsed::Live(request),
        Ask::Connect {
            host,
            port,
            timeout_ms,
        } => Parsed::Connect(ReachRequest {
            proto: "tcp".to_owned(),
            host: host.to_string(),
            port,
            send: Vec::new(),
            timeout: Duration::from_millis(timeout_ms),
            idle: None,
            max_bytes: 0,
        }),
        Ask::Reach {
            proto,
            host,
            port,
            send,
            timeout_ms,
            idle_ms,
            max_bytes,
        } => Parsed::Reach(ReachRequest {
            proto,
            host,
            port,
            send: wire::bytes(&send)?,
            timeout: Duration::from_millis(timeout_ms),
            idle: idle_ms.map(Duration::from_millis),
            max_bytes,
        }),
    })
}
