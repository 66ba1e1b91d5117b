//! How other processes speak with a supervisor: requests on `control.sock`, and SIGTERM, behind one
//! descriptor.

mod client;
mod connection;
mod handover;
pub(crate) mod wire;

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

use rookery_project::{Error, Result};
use rustix::event::epoll;
use rustix::io::Errno;
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};

use crate::backend::Request;
pub(crate) use crate::control::client::{SOCKET, ask, connect, open_directory, via};
use crate::control::connection::{Connection, Read};

/// Read a line as both sides do; for `tests/fuzz`.
pub fn read_control_line(line: &[u8]) {
    let _ = connection::parse(line);
    let _ = serde_json::from_slice::<wire::Answer<serde_json::Value>>(line)
        .map(wire::Answer::into_result);
}

/// How often [`Inbox::descriptor`] becomes readable with nothing else to do, so that results are
/// flushed where there are any.
const TICK: Duration = Duration::from_millis(200);
/// The same where nothing waits to be written. A guest may be quiet for days.
const QUIET_TICK: Duration = Duration::from_secs(2);

const MAX_CONNECTIONS: usize = 32;
/// A peer that has not sent its line by then is dropped.
const MAX_SILENCE: Duration = Duration::from_secs(10);

const LISTENER: u64 = 0;
const SIGNALS: u64 = 1;
const TIMER: u64 = 2;
const FIRST_CONNECTION: u64 = 3;

/// Everything that a supervisor listens to.
pub(crate) struct Inbox {
    epoll: OwnedFd,
    listener: UnixListener,
    signals: UnixStream,
    timer: OwnedFd,
    is_quiet: bool,
    connections: BTreeMap<u64, Connection>,
    next_token: u64,
    requests: VecDeque<Request>,
}

impl Inbox {
    /// Listen in `run_dir`, and take over SIGTERM and SIGINT.
    pub(crate) fn open(run_dir: &Path) -> Result<Self> {
        Self::set_up(run_dir).map_err(|error| Error::io("listen for requests in", run_dir, &error))
    }

    fn set_up(run_dir: &Path) -> std::io::Result<Self> {
        let directory = open_directory(run_dir)?;
        let listener = UnixListener::bind(via(&directory))?;
        listener.set_nonblocking(true)?;
        let (signals, sender) = UnixStream::pair()?;
        signals.set_nonblocking(true)?;
        for signal in [libc::SIGTERM, libc::SIGINT] {
            signal_hook::low_level::pipe::register(signal, sender.try_clone()?)?;
        }
        let timer = rustix::time::timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK,
        )?;
        set_interval(&timer, TICK)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(
            &epoll,
            &listener,
            epoll::EventData::new_u64(LISTENER),
            epoll::EventFlags::IN,
        )?;
        epoll::add(
            &epoll,
            &signals,
            epoll::EventData::new_u64(SIGNALS),
            epoll::EventFlags::IN,
        )?;
        epoll::add(
            &epoll,
            &timer,
            epoll::EventData::new_u64(TIMER),
            epoll::EventFlags::IN,
        )?;
        Ok(Self {
            epoll,
            listener,
            signals,
            timer,
            is_quiet: false,
            connections: BTreeMap::new(),
            next_token: FIRST_CONNECTION,
            requests: VecDeque::new(),
        })
    }

    /// Whether nothing waits to be written.
    pub(crate) fn set_quiet(&mut self, is_quiet: bool) {
        // One that speaks slowly is dropped by the tick.
        let is_quiet = is_quiet && self.connections.is_empty();
        if self.is_quiet != is_quiet {
            let interval = if is_quiet { QUIET_TICK } else { TICK };
            // Where this fails, the tick stays as it was.
            if set_interval(&self.timer, interval).is_ok() {
                self.is_quiet = is_quiet;
            }
        }
    }

    /// Readable when there is something to do, and at every tick.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }

    /// The next complete request. Never blocks.
    pub(crate) fn next(&mut self) -> Option<Request> {
        if self.requests.is_empty() {
            self.collect();
        }
        self.requests.pop_front()
    }

    fn collect(&mut self) {
        let mut events = Vec::with_capacity(16);
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        match epoll::wait(
            &self.epoll,
            rustix::buffer::spare_capacity(&mut events),
            Some(&now),
        ) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => tracing::error!(%error, "cannot wait for requests"),
        }
        for event in events {
            match event.data.u64() {
                LISTENER => self.accept(),
                SIGNALS => {
                    drain(&self.signals);
                    self.requests.push_back(Request::Stop);
                }
                TIMER => {
                    drain(&self.timer);
                    self.connections
                        .retain(|_, connection| connection.age() < MAX_SILENCE);
                }
                token => self.read(token),
            }
        }
    }

    fn accept(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            // The directory is closed to others already; a peer that got here all the same is
            // turned away.
            let same_user = rustix::net::sockopt::socket_peercred(&stream)
                .is_ok_and(|peer| peer.uid == rustix::process::getuid());
            if !same_user
                || self.connections.len() >= MAX_CONNECTIONS
                || stream.set_nonblocking(true).is_err()
            {
                continue;
            }
            let token = self.next_token;
            self.next_token += 1;
            if epoll::add(
                &self.epoll,
                &stream,
                epoll::EventData::new_u64(token),
                epoll::EventFlags::IN,
            )
            .is_ok()
            {
                self.connections
                    .insert(token, Connection::new(stream, Instant::now()));
            }
        }
    }

    fn read(&mut self, token: u64) {
        let Some(mut connection) = self.connections.remove(&token) else {
            return;
        };
        match connection.read() {
            Read::More => {
                self.connections.insert(token, connection);
            }
            Read::Gone => {}
            Read::Line(line) => {
                // The stream now belongs to the answer; it must not wake this loop any more.
                let _ = epoll::delete(&self.epoll, connection.stream());
                if let Some(request) = connection.into_request(&line) {
                    self.requests.push_back(request);
                }
            }
        }
    }
}

fn set_interval(timer: &OwnedFd, interval: Duration) -> rustix::io::Result<()> {
    let interval = Timespec {
        tv_sec: interval.as_secs().cast_signed(),
        tv_nsec: interval.subsec_nanos().into(),
    };
    let both = Itimerspec {
        it_interval: interval,
        it_value: interval,
    };
    rustix::time::timerfd_settime(timer, TimerfdTimerFlags::empty(), &both).map(drop)
}

fn drain(fd: impl AsFd) {
    let mut buffer = [0; 64];
    while rustix::io::read(&fd, &mut buffer).is_ok_and(|read| read == buffer.len()) {}
}
