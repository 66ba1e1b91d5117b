//! One question to one service: connect, let it speak first, ask it, and leave politely.
//!
//! A service that serves one client at a time is not harmed: nothing of what it sends is refused
//! with a reset while it still writes, unless it never stops.

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rookery_contract::shapes::{AnswerKind, ServiceAnswer};
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, Shutdown, SocketFlags, SocketType};

use crate::asking::answer::{is_whole, recognise};
use crate::asking::client_hello::client_hello;

/// A service that says nothing for so long is silent.
const SILENT: Duration = Duration::from_secs(2);
/// A service that speaks first (SSH, telnet, FTP) does so within this time.
const SPEAKS_FIRST: Duration = Duration::from_millis(500);
/// After some bytes no more are waited for than this, if nothing says that more will come.
const PAUSE: Duration = Duration::from_millis(700);
/// What drips slowly is cut off after this.
const SPEAKS: Duration = Duration::from_secs(5);
/// What a service still sends, after enough was read, is read for so long.
const LEAVES: Duration = Duration::from_millis(300);
/// What is looked at.
const KEPT: usize = 64 << 10;
/// What is read at most.
const READ: u64 = 1 << 20;
/// Reads of one service before others have their turn.
const TURN: usize = 8;

const REQUEST: &[u8] = b"GET / HTTP/1.0\r\nHost: 127.0.0.1\r\nUser-Agent: rookery\r\n\
                         Accept: */*\r\nConnection: close\r\n\r\n";
/// Where TLS is tried first.
const TLS_PORTS: [u16; 2] = [443, 8443];

/// How a service is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Plain,
    Tls,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Connecting,
    /// It may speak first.
    Listening,
    Asking,
    Leaving,
}

/// How an attempt ended.
enum End {
    Refused,
    Closed,
    Silent,
    Said(ServiceAnswer),
    /// What it came to was told before.
    Left,
}

/// A question on its way.
#[derive(Debug)]
pub(super) struct Question {
    at: SocketAddr,
    attempt: Option<Attempt>,
    /// The way to try if this one leads nowhere.
    other: Option<Way>,
    began: Instant,
    /// When it is given up.
    until: Instant,
    answer: Option<ServiceAnswer>,
}

#[derive(Debug)]
struct Attempt {
    socket: OwnedFd,
    way: Way,
    stage: Stage,
    /// When the stage ends by itself.
    due: Instant,
    began: Instant,
    unsent: Vec<u8>,
    said: Vec<u8>,
    total: u64,
}

impl Question {
    pub(super) fn begin(at: SocketAddr, limit: Duration) -> Self {
        let (way, other) = if TLS_PORTS.contains(&at.port()) {
            (Way::Tls, Way::Plain)
        } else {
            (Way::Plain, Way::Tls)
        };
        let began = Instant::now();
        let mut question = Self {
            at,
            attempt: None,
            other: Some(other),
            began,
            until: began + limit,
            answer: None,
        };
        question.attempt(way);
        question
    }

    /// What to wait for.
    pub(super) fn socket(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        let attempt = self.attempt.as_ref()?;
        let writes = attempt.stage == Stage::Connecting || !attempt.unsent.is_empty();
        let flags = if writes {
            PollFlags::IN | PollFlags::OUT
        } else {
            PollFlags::IN
        };
        Some((attempt.socket.as_fd(), flags))
    }

    /// When to go on, if nothing happens before.
    pub(super) fn due(&self) -> Instant {
        let due = self.attempt.as_ref().map(|attempt| attempt.due);
        due.map_or(self.began, |due| due.min(self.until))
    }

    /// Go on. Gives the answer when the question is over.
    pub(super) fn advance(&mut self) -> Option<ServiceAnswer> {
        let now = Instant::now();
        if let Some(attempt) = &mut self.attempt {
            match attempt.advance(now) {
                None if now < self.until => return None,
                None => {
                    let end = attempt.end(false);
                    self.other = None;
                    self.ended(end);
                }
                Some(end) => self.ended(end),
            }
        }
        // The service is left in peace before the answer is told, unless there is no time.
        if self.attempt.is_some() && now < self.until {
            return None;
        }
        let answer = self.answer.take();
        let took = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Some(answer.map_or_else(
            || known(AnswerKind::Silent, took),
            |answer| ServiceAnswer {
                took_ms: answer.took_ms.min(took),
                ..answer
            },
        ))
    }

    fn attempt(&mut self, way: Way) {
        self.attempt = Attempt::begin(self.at, way).ok();
        if self.attempt.is_none() {
            self.keep(known(AnswerKind::Refused, 0));
        }
    }

    /// Take note of how an attempt ended, and try the other way where that may tell more.
    fn ended(&mut self, end: End) {
        let tried = self.attempt.as_ref().map(|attempt| attempt.way);
        let leads_on = match (&end, tried) {
            (End::Said(answer), Some(Way::Tls)) => answer.kind != AnswerKind::Tls,
            (End::Closed, _) | (End::Silent, Some(Way::Tls)) => true,
            _ => false,
        };
        let answer = match end {
            End::Refused => known(AnswerKind::Refused, 0),
            End::Closed => known(AnswerKind::Closed, 0),
            End::Silent => known(AnswerKind::Silent, 0),
            End::Said(answer) => answer,
            End::Left => {
                self.attempt = None;
                return;
            }
        };
        let took_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.keep(ServiceAnswer { took_ms, ..answer });
        match self.other.take().filter(|_| leads_on) {
            Some(other) => self.attempt(other),
            None => {
                if let Some(attempt) = &mut self.attempt {
                    attempt.leave();
                }
            }
        }
    }

    /// A second way that led nowhere says less than the first.
    fn keep(&mut self, answer: ServiceAnswer) {
        let is_better = answer.is_answer()
            || self
                .answer
                .as_ref()
                .is_none_or(|known| !known.is_answer() && answer.kind == AnswerKind::Silent);
        if is_better {
            self.answer = Some(answer);
        }
    }
}

fn known(kind: AnswerKind, took_ms: u64) -> ServiceAnswer {
    ServiceAnswer {
        kind,
        took_ms,
        ..ServiceAnswer::default()
    }
}

impl Attempt {
    fn begin(at: SocketAddr, way: Way) -> Result<Self, Errno> {
        let family = if at.is_ipv6() {
            AddressFamily::INET6
        } else {
            AddressFamily::INET
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
        match rustix::net::connect(&socket, &at) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(errno) => return Err(errno),
        }
        let began = Instant::now();
        Ok(Self {
            socket,
            way,
            stage: Stage::Connecting,
            due: began + SILENT,
            began,
            unsent: Vec::new(),
            said: Vec::new(),
            total: 0,
        })
    }

    /// Go on; how it ended, if it did.
    fn advance(&mut self, now: Instant) -> Option<End> {
        if self.stage == Stage::Connecting {
            match self.connected() {
                Ok(true) => {}
                Ok(false) if now < self.due => return None,
                Ok(false) => return Some(End::Silent),
                Err(_) => return Some(End::Refused),
            }
            if self.way == Way::Tls {
                self.ask(&client_hello(), now);
            } else {
                self.stage = Stage::Listening;
                self.due = now + SPEAKS_FIRST;
            }
        }
        self.send();
        if self.read(now) {
            return Some(self.end(true));
        }
        if now < self.due {
            return None;
        }
        if self.stage == Stage::Listening && self.said.is_empty() {
            self.ask(REQUEST, now);
            self.send();
            return None;
        }
        Some(self.end(false))
    }

    fn connected(&self) -> Result<bool, Errno> {
        rustix::net::sockopt::socket_error(&self.socket)??;
        Ok(rustix::net::getpeername(&self.socket).is_ok())
    }

    fn ask(&mut self, request: &[u8], now: Instant) {
        self.stage = Stage::Asking;
        self.unsent = request.to_vec();
        self.due = now + SILENT;
    }

    fn send(&mut self) {
        if self.unsent.is_empty() {
            return;
        }
        match rustix::net::send(&self.socket, &self.unsent, SendFlags::NOSIGNAL) {
            Ok(sent) => drop(self.unsent.drain(..sent)),
            Err(Errno::AGAIN | Errno::INTR) => {}
            // What it said before it closed is still to be read.
            Err(_) => self.unsent.clear(),
        }
    }

    /// Read what is there; whether that is all.
    fn read(&mut self, now: Instant) -> bool {
        let mut buffer = [0_u8; 16 << 10];
        for _ in 0..TURN {
            match rustix::io::read(&self.socket, &mut buffer) {
                Ok(0) => return true,
                Ok(length) => {
                    self.total += length as u64;
                    let room = KEPT.saturating_sub(self.said.len()).min(length);
                    let kept = buffer.get(..room).unwrap_or_default();
                    self.said.extend_from_slice(kept);
                    if self.stage != Stage::Leaving {
                        self.due = (now + PAUSE).min(self.began + SPEAKS);
                    }
                    if self.total >= READ {
                        return true;
                    }
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(_) => return true,
            }
        }
        self.stage == Stage::Asking && is_whole(&self.said, self.total)
    }

    /// What the attempt came to; `closed` is whether the service ended it, or said all.
    fn end(&self, closed: bool) -> End {
        let asked = self.stage == Stage::Asking;
        match self.stage {
            Stage::Leaving => End::Left,
            _ if !self.said.is_empty() => End::Said(recognise(&self.said, self.total, asked)),
            Stage::Listening | Stage::Asking if closed => End::Closed,
            _ => End::Silent,
        }
    }

    /// Say that nothing more comes, and read on for a moment: a service that still writes would be
    /// killed by a connection that is reset.
    fn leave(&mut self) {
        let _ = rustix::net::shutdown(&self.socket, Shutdown::Write);
        self.stage = Stage::Leaving;
        self.unsent.clear();
        self.due = Instant::now() + LEAVES;
    }
}
