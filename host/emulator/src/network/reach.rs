//! `live.reach`: bytes to a port of the guest and what comes back, beside everything else that the
//! supervisor does.

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rookery_contract::shapes::Reached;
use rookery_project::{Error, Result};
use rustix::event::PollFlags;
use rustix::io::Errno;

use crate::network::forward::Forwarder;
use rookery_runs::backend::Reply;
use rookery_runs::live::{self, ReachRequest};

/// After a datagram, more are waited for this long.
const UDP_IDLE: Duration = Duration::from_millis(300);

/// One request on its way.
pub struct Reach {
    socket: OwnedFd,
    reply: Option<Reply<Reached>>,
    /// Who is given the connection instead of an answer.
    taker: Option<Reply<OwnedFd>>,
    udp: bool,
    connected: bool,
    send: Vec<u8>,
    received: Vec<u8>,
    max_bytes: usize,
    /// After the last byte, more are waited for this long.
    idle: Option<Duration>,
    /// When it ends whatever comes.
    latest: Instant,
    /// When it is given up.
    pub deadline: Instant,
}

impl Reach {
    /// Begin. An error is for the one who asked.
    pub fn begin(forwarder: Option<&Forwarder>, request: &ReachRequest) -> Result<Self> {
        let host = if request.host.is_empty() {
            "127.0.0.1"
        } else {
            &request.host
        };
        let ip = host.parse().map_err(|_| {
            Error::InvalidArgument(format!(
                "host must be an IP address inside the guest, such as 127.0.0.1, not {host:?}"
            ))
        })?;
        let udp = match request.proto.as_str() {
            "tcp" => false,
            "udp" => true,
            other => {
                return Err(Error::InvalidArgument(format!(
                    "proto must be \"tcp\" or \"udp\", not {other:?}"
                )));
            }
        };
        let backend = |what: &str, error: &dyn std::fmt::Display| {
            Error::Backend(format!("cannot {what}: {error}"))
        };
        let forwarder = forwarder.ok_or_else(|| {
            Error::Backend("the helper in the guest's network could not be started".into())
        })?;
        let to = SocketAddr::new(ip, request.port);
        let socket = forwarder
            .socket(to, udp)
            .map_err(|error| backend("make a socket in the guest's network", &error))?;
        let connected = match rustix::net::connect(&socket, &to) {
            Ok(()) => true,
            Err(Errno::INPROGRESS) => false,
            Err(errno) => {
                return Err(Error::NotFound(format!(
                    "nothing answers on {} {to} in the guest: {errno}",
                    request.proto
                )));
            }
        };
        Ok(Self {
            socket,
            reply: None,
            taker: None,
            udp,
            connected,
            send: request.send.clone(),
            received: Vec::new(),
            max_bytes: request.max_bytes,
            idle: request.idle.or(udp.then_some(UDP_IDLE)),
            latest: Instant::now() + request.timeout,
            deadline: Instant::now() + request.timeout,
        })
    }

    /// Who waits for the answer.
    pub fn answers(mut self, reply: Reply<Reached>) -> Self {
        self.reply = Some(reply);
        self
    }

    /// Who is given the connection as soon as it stands.
    pub fn hands_over(mut self, taker: Reply<OwnedFd>) -> Self {
        self.taker = Some(taker);
        self
    }

    /// What to wait for.
    pub fn interest(&self) -> (BorrowedFd<'_>, PollFlags) {
        let writing = !self.connected || !self.send.is_empty();
        (
            self.socket.as_fd(),
            if writing {
                PollFlags::IN | PollFlags::OUT
            } else {
                PollFlags::IN
            },
        )
    }

    /// Go on; `false` once it is answered.
    pub fn advance(&mut self) -> bool {
        if self.taker.is_some() {
            return self.advance_handover();
        }
        match self.step() {
            Ok(false) if Instant::now() < self.deadline => true,
            Ok(_) => {
                self.answer(None);
                false
            }
            Err(errno) => {
                self.answer(Some(errno));
                false
            }
        }
    }

    fn advance_handover(&mut self) -> bool {
        let given = match self.connect() {
            Ok(true) => self.socket.try_clone().map_err(|error| {
                Error::Backend(format!("the connection cannot be handed over: {error}"))
            }),
            Ok(false) if Instant::now() < self.deadline => return true,
            Ok(false) => Err(Error::Limit(
                "no connection to the guest came about in time".into(),
            )),
            Err(errno) => Err(Error::NotFound(format!(
                "nothing answers there in the guest: {errno}"
            ))),
        };
        if let Some(taker) = self.taker.take() {
            taker.send(given);
        }
        false
    }

    /// Whether the connection stands.
    fn connect(&mut self) -> std::result::Result<bool, Errno> {
        if !self.connected {
            rustix::net::sockopt::socket_error(&self.socket)??;
            self.connected = rustix::net::getpeername(&self.socket).is_ok();
        }
        Ok(self.connected)
    }

    /// Whether all is there.
    fn step(&mut self) -> std::result::Result<bool, Errno> {
        if !self.connect()? {
            return Ok(false);
        }
        if !self.send.is_empty() {
            match rustix::net::send(&self.socket, &self.send, rustix::net::SendFlags::NOSIGNAL) {
                Ok(sent) => {
                    self.send.drain(..sent);
                }
                Err(Errno::AGAIN) => return Ok(false),
                Err(errno) => return Err(errno),
            }
        }
        let mut buffer = [0_u8; 16 * 1024];
        while self.received.len() <= self.max_bytes {
            match rustix::io::read(&self.socket, &mut buffer) {
                Ok(0) if !self.udp => return Ok(true),
                Ok(length) => {
                    self.received
                        .extend_from_slice(buffer.get(..length).unwrap_or_default());
                    if let Some(idle) = self.idle {
                        self.deadline = self.latest.min(Instant::now() + idle);
                    }
                }
                Err(Errno::AGAIN) => return Ok(false),
                // What came before a reset is still an answer.
                Err(_) if !self.received.is_empty() => return Ok(true),
                Err(errno) => return Err(errno),
            }
        }
        Ok(true)
    }

    fn answer(&mut self, failure: Option<Errno>) {
        let Some(reply) = self.reply.take() else {
            return;
        };
        let truncated = self.received.len() > self.max_bytes;
        self.received.truncate(self.max_bytes);
        let answer = Reached {
            guest_answered: None,
            connected: self.connected,
            received: live::received(&self.received),
            truncated,
            error: failure.map(|errno| errno.to_string()),
        };
        reply.send(Ok(answer));
    }
}
