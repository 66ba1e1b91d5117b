//! A process that traces threads of the guest, so that calls are seen that the kernel carries out
//! without asking the supervisor.
//!
//! It is a process of its own because only one that traces may be told of stops, and by a signal:
//! the supervisor blocks none that its children would inherit. When it ends, for whatever reason,
//! the kernel lets every thread go. Tested by `tests/tests/guest/hooks.rs`: a process is forked
//! from one with a single thread, as no unit test is.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use rustix::process::{Pid, Signal};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::kernel::ending::await_end;
use crate::kernel::passing::packet_pair;
use crate::kernel::process;
use crate::kernel::trace::{self, Stop};

const ENDS_WITHIN: Duration = Duration::from_millis(200);
const MESSAGE_MAX: usize = 8 << 10;
/// Messages that are read, and stops that are seen, before others have their turn.
const TURN: usize = 64;
/// Threads that are traced at the same time.
const THREADS_MAX: usize = 256;

/// What the supervisor wants.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// These calls are of interest, and of these the results, in place of those before.
    Watch {
        entries: HashSet<i64>,
        results: HashSet<i64>,
    },
    /// Trace all threads of a process.
    Follow(u32),
    /// No longer.
    Leave(u32),
    /// A thread whose entry was told may go on.
    GoOn(u32),
}

/// What the supervisor is told.
#[derive(Debug, Serialize, Deserialize)]
pub enum Told {
    /// A thread enters a call, and waits until it may go on.
    Enters {
        thread: u32,
        number: i64,
        args: [u64; 6],
    },
    /// The call returns.
    Returns { thread: u32, result: i64 },
    /// All threads of a process are traced from now on.
    Follows { process: u32 },
    /// They cannot be.
    Refused { process: u32, why: String },
}

/// The supervisor's side.
#[derive(Debug)]
pub struct Tracer {
    process: Pid,
    socket: OwnedFd,
}

impl Tracer {
    /// Start the process.
    pub fn start() -> io::Result<Self> {
        let (ours, theirs) = packet_pair()?;
        let Some(process) = process::fork_into(0)? else {
            process::close_all_except(&[theirs.as_raw_fd()]);
            // A defect must not go on as a second supervisor.
            let _ = catch_unwind(AssertUnwindSafe(|| serve(&theirs)));
            process::leave(0)
        };
        Ok(Self {
            process,
            socket: ours,
        })
    }

    /// Never waits: `false` where the process does not take the order now.
    pub fn order(&self, order: &Order) -> bool {
        send(&self.socket, order, SendFlags::DONTWAIT).is_ok()
    }

    /// What there is to be told. An error is that the process is gone.
    pub fn told(&self) -> Result<Vec<Told>, Errno> {
        let mut all = Vec::new();
        while all.len() < TURN {
            match receive(&self.socket) {
                Ok(told) => all.extend(told),
                Err(Errno::AGAIN | Errno::INTR) => break,
                Err(_) if !all.is_empty() => break,
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }

    /// End the process; every thread goes on untraced.
    pub fn stop(self) {
        let _ = rustix::process::kill_process(self.process, Signal::KILL);
        await_end(self.process, ENDS_WITHIN);
    }
}

impl AsFd for Tracer {
    /// Readable while something is to be told, or the process is gone.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn send(socket: &OwnedFd, message: &impl Serialize, flags: SendFlags) -> Result<(), Errno> {
    let text = serde_json::to_vec(message).unwrap_or_default();
    rustix::net::send(socket, &text, flags | SendFlags::NOSIGNAL).map(drop)
}

/// `None` is a message that is none.
fn receive<T: DeserializeOwned>(socket: &OwnedFd) -> Result<Option<T>, Errno> {
    let mut buffer = [0_u8; MESSAGE_MAX];
    let (length, _) = rustix::net::recv(socket, &mut buffer[..], RecvFlags::DONTWAIT)?;
    let text = buffer.get(..length).filter(|text| !text.is_empty());
    let text = text.ok_or(Errno::PIPE)?;
    Ok(serde_json::from_slice(text).ok())
}

/// The process's life.
fn serve(supervisor: &OwnedFd) {
    let Ok(stops) = trace::stops() else { return };
    let mut traced = Traced::default();
    let mut more = false;
    loop {
        let at_once = more.then(Timespec::default);
        let mut fds = [
            PollFd::new(supervisor, PollFlags::IN),
            PollFd::new(&stops, PollFlags::IN),
        ];
        let _ = rustix::event::poll(&mut fds, at_once.as_ref());
        loop {
            match receive(supervisor) {
                Ok(Some(order)) => traced.obey(supervisor, order),
                Ok(None) => {}
                Err(Errno::AGAIN | Errno::INTR) => break,
                Err(_) => return,
            }
        }
        // It says that there are some, not how many.
        let _ = rustix::io::read(&stops, &mut [0_u8; 1024]);
        let mut left = TURN;
        while left > 0
            && let Some((thread, stop)) = trace::next()
        {
            if traced.meet(supervisor, thread, stop).is_err() {
                return;
            }
            left -= 1;
        }
        more = left == 0;
    }
}

/// The threads that are traced.
#[derive(Default)]
struct Traced {
    entries: HashSet<i64>,
    results: HashSet<i64>,
    threads: HashMap<i32, Thread>,
}

#[derive(Default)]
struct Thread {
    process: u32,
    /// The call that it is in.
    number: Option<i64>,
    /// It is let go at its next stop.
    leaves: bool,
}

impl Traced {
    fn obey(&mut self, supervisor: &OwnedFd, order: Order) {
        match order {
            Order::Watch { entries, results } => (self.entries, self.results) = (entries, results),
            Order::Follow(process) => {
                let told = match self.follow(process) {
                    Ok(()) => Told::Follows { process },
                    Err(error) => Told::Refused {
                        process,
                        why: error.to_string(),
                    },
                };
                let _ = send(supervisor, &told, SendFlags::empty());
            }
            Order::Leave(process) => {
                for (number, thread) in &mut self.threads {
                    if thread.process == process {
                        thread.leaves = true;
                        let _ = trace::interrupt(*number);
                    }
                }
            }
            Order::GoOn(thread) => {
                let _ = trace::go_on(thread.cast_signed(), 0);
            }
        }
    }

    /// Until a look at its threads finds none that is new.
    fn follow(&mut self, process: u32) -> io::Result<()> {
        loop {
            let mut met = false;
            for entry in std::fs::read_dir(format!("/proc/{process}/task"))? {
                let name = entry?.file_name();
                let Some(number) = name.to_str().and_then(|name| name.parse().ok()) else {
                    continue;
                };
                if let Some(thread) = self.threads.get_mut(&number) {
                    thread.leaves = false;
                    continue;
                }
                if self.threads.len() >= THREADS_MAX {
                    return Err(io::Error::other(format!(
                        "{THREADS_MAX} threads are traced already"
                    )));
                }
                match trace::seize(number) {
                    // It ended meanwhile.
                    Err(Errno::SRCH) => continue,
                    seized => seized?,
                }
                met = true;
                let thread = Thread {
                    process,
                    ..Thread::default()
                };
                self.threads.insert(number, thread);
            }
            if !met {
                return Ok(());
            }
        }
    }

    /// A thread has stopped. An error is that the supervisor is gone.
    fn meet(&mut self, supervisor: &OwnedFd, number: i32, stop: Stop) -> Result<(), Errno> {
        if stop == Stop::Ended {
            self.threads.remove(&number);
            return Ok(());
        }
        let thread = self.threads.entry(number).or_insert_with(|| Thread {
            process: process_of(number).unwrap_or_else(|| number.cast_unsigned()),
            ..Thread::default()
        });
        let signal = match stop {
            Stop::Signal(signal) => signal,
            _ => 0,
        };
        if thread.leaves {
            let _ = trace::release(number, signal);
            self.threads.remove(&number);
            return Ok(());
        }
        let id = number.cast_unsigned();
        match stop {
            Stop::Enters { number: call, args } => {
                thread.number = Some(call);
                if self.entries.contains(&call) || self.results.contains(&call) {
                    let told = Told::Enters {
                        thread: id,
                        number: call,
                        args,
                    };
                    // It goes on when the supervisor has looked.
                    return send(supervisor, &told, SendFlags::empty());
                }
            }
            Stop::Returns { result } => {
                let call = thread.number.take();
                if call.is_some_and(|call| self.results.contains(&call)) {
                    let told = Told::Returns { thread: id, result };
                    send(supervisor, &told, SendFlags::empty())?;
                }
            }
            Stop::Job => {
                let _ = trace::stay(number);
                return Ok(());
            }
            Stop::Signal(_) | Stop::Met | Stop::Ended => {}
        }
        let _ = trace::go_on(number, signal);
        Ok(())
    }
}

fn process_of(thread: i32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{thread}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("Tgid:"))?;
    line.trim().parse().ok()
}
