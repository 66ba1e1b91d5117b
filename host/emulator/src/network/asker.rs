//! A process inside the guest's network namespace that asks services whether they answer.
//!
//! It is a process of its own, as the one that forwards ports is: what it waits for keeps neither
//! the supervisor nor a client waiting, and it is the only one that reads what services say to it.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use rookery_contract::shapes::ServiceAnswer;
use rookery_runs::asking::Questions;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use rustix::process::{Pid, Signal};

use crate::kernel::ending::await_end;
use crate::kernel::netlink::Netlink;
use crate::kernel::passing::packet_pair;
use crate::kernel::{enter, process};

const ENDS_WITHIN: Duration = Duration::from_millis(200);
/// An answer is shorter: its texts are cut.
const MESSAGE_MAX: usize = 16 << 10;
/// Messages that are read before others have their turn.
const TURN: usize = 64;

/// The supervisor's side.
#[derive(Debug)]
pub struct Asker {
    process: Pid,
    socket: OwnedFd,
}

impl Asker {
    /// Start the process for the guest behind `pidfd`.
    pub fn start(guest: &OwnedFd) -> io::Result<Self> {
        let (ours, theirs) = packet_pair()?;
        let Some(process) = process::fork_into(0)? else {
            process::close_all_except(&[theirs.as_raw_fd(), guest.as_raw_fd()]);
            // A defect must not go on as a second supervisor.
            let _ = catch_unwind(AssertUnwindSafe(|| {
                if enter::enter(guest, libc::CLONE_NEWUSER | libc::CLONE_NEWNET).is_ok() {
                    process::close_all_except(&[theirs.as_raw_fd()]);
                    serve(&theirs);
                }
            }));
            process::leave(0)
        };
        Ok(Self {
            process,
            socket: ours,
        })
    }

    /// Ask the service at an address, for at most `limit`. Never waits: `false` where the process
    /// does not take the question now.
    pub fn ask(&self, number: u32, at: SocketAddr, limit: Duration) -> bool {
        let question = format!("{number} {at} {}", limit.as_millis());
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        rustix::net::send(&self.socket, question.as_bytes(), flags).is_ok()
    }

    /// The answers that are there, each with the number of its question.
    pub fn answers(&self) -> Vec<(u32, ServiceAnswer)> {
        let mut buffer = vec![0_u8; MESSAGE_MAX];
        let mut next = || {
            let received = rustix::net::recv(&self.socket, &mut buffer[..], RecvFlags::DONTWAIT);
            let (length, _) = received.ok().filter(|(length, _)| *length > 0)?;
            Some(serde_json::from_slice(buffer.get(..length)?).ok())
        };
        std::iter::from_fn(&mut next).take(TURN).flatten().collect()
    }

    /// End the process.
    pub fn stop(self) {
        let _ = rustix::process::kill_process(self.process, Signal::KILL);
        await_end(self.process, ENDS_WITHIN);
    }
}

impl AsFd for Asker {
    /// Readable while an answer is there, or the process is gone.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The process's life.
fn serve(supervisor: &OwnedFd) {
    let network = Netlink::open().ok();
    let mut questions = Questions::default();
    loop {
        wait(supervisor, &questions);
        loop {
            let mut buffer = [0_u8; 256];
            match rustix::net::recv(supervisor, &mut buffer, RecvFlags::DONTWAIT) {
                // The supervisor is gone.
                Ok((0, _)) => return,
                Ok((length, _)) => {
                    let text = buffer.get(..length).map(String::from_utf8_lossy);
                    if let Some((number, at, limit)) = text.as_deref().and_then(question) {
                        // Firmware may take down what its own services are reached through.
                        let _ = network.as_ref().map(|network| network.up("lo"));
                        questions.ask(number, at, limit);
                    }
                }
                Err(Errno::AGAIN | Errno::INTR) => break,
                Err(_) => return,
            }
        }
        for answer in questions.advance() {
            let text = serde_json::to_vec(&answer).unwrap_or_default();
            // The supervisor reads soon; this process has nothing else to do.
            if rustix::net::send(supervisor, &text, SendFlags::NOSIGNAL).is_err() {
                return;
            }
        }
    }
}

fn question(text: &str) -> Option<(u32, SocketAddr, Duration)> {
    let mut words = text.split(' ');
    let number = words.next()?.parse().ok()?;
    let at = words.next()?.parse().ok()?;
    let limit = Duration::from_millis(words.next()?.parse().ok()?);
    Some((number, at, limit))
}

fn wait(supervisor: &OwnedFd, questions: &Questions) {
    let mut fds = vec![PollFd::new(supervisor, PollFlags::IN)];
    let sockets = questions.sockets();
    fds.extend(sockets.map(|(fd, flags)| PollFd::from_borrowed_fd(fd, flags)));
    let left = questions
        .due()
        .map(|due| due.saturating_duration_since(Instant::now()));
    // A little later than due, so that the loop does not turn for the rest of a millisecond.
    let timeout = left.and_then(|left| Timespec::try_from(left + Duration::from_millis(1)).ok());
    let _ = rustix::event::poll(&mut fds, timeout.as_ref());
}
