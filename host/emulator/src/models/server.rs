//! The process that serves the models' file system, and opens files in it.
//!
//! It is a process of its own because a file system must answer while others wait for it: the
//! supervisor is one thread, and opening a file waits for the answer. It has joined the guest's
//! user namespace, whose file system it is.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fuser::{Config, Session, SessionACL};
use rookery_runs::plan::{Plan, Write};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::SendFlags;
use rustix::process::{Pid, Signal};

use crate::kernel::ending::await_end;
use crate::kernel::passing::{packet_pair, receive_with_fd, send_with_fd};
use crate::kernel::{enter, paths, process};
use crate::models::DIRECTORY;
use crate::models::file_system::{Entry, FileSystem};
use crate::models::model::Model;
use crate::models::sent::{self, Log, Sent};
use crate::models::written::Written;

/// A file system that nobody serves yet.
#[derive(Debug)]
pub struct Mounted {
    /// The kernel asks through it.
    pub device: OwnedFd,
    /// Its root directory, which is seen nowhere else.
    pub root: OwnedFd,
}

/// An open takes some 30 µs; the rest is for a busy machine.
const OPENS_WITHIN: Duration = Duration::from_secs(5);
const ENDS_WITHIN: Duration = Duration::from_millis(200);
/// The other question than for a file.
const WHAT_WAS_SENT: &[u8] = b"sent";
/// For an answer to it; what has no content at all is one byte.
const ANSWER_ROOM: usize = 64 << 10;
const NOTHING: &[u8] = b"-";
/// Flags, and a path.
const MESSAGE_MAX: usize = 8 << 10;

/// The supervisor's side.
#[derive(Debug)]
pub struct Server {
    process: Pid,
    socket: OwnedFd,
}

impl Server {
    /// Start the process for the guest behind `pidfd`. The caller's files are closed there but for
    /// those that are `written`.
    pub fn start(
        pidfd: &OwnedFd,
        plan: &Plan,
        mounted: Mounted,
        mut written: Written,
    ) -> io::Result<Self> {
        let (ours, theirs) = packet_pair()?;
        let Some(process) = process::fork_into(0)? else {
            let mut kept = vec![
                theirs.as_raw_fd(),
                pidfd.as_raw_fd(),
                mounted.device.as_raw_fd(),
                mounted.root.as_raw_fd(),
            ];
            kept.extend(written.values().map(AsRawFd::as_raw_fd));
            process::close_all_except(&kept);
            // A defect must not go on as a second supervisor.
            let _ = catch_unwind(AssertUnwindSafe(|| {
                if enter::enter(pidfd, libc::CLONE_NEWUSER).is_ok() {
                    let entries = entries(plan, &mut written);
                    let _ = serve(entries, mounted.device, &mounted.root, &theirs);
                }
            }));
            process::leave(0)
        };
        for kind in [
            rustix::net::sockopt::Timeout::Recv,
            rustix::net::sockopt::Timeout::Send,
        ] {
            rustix::net::sockopt::set_socket_timeout(&ours, kind, Some(OPENS_WITHIN))?;
        }
        Ok(Self {
            process,
            socket: ours,
        })
    }

    /// Open the model of a path; the outer error is that nobody serves it any more.
    pub fn open(&self, path: &str, flags: i32) -> io::Result<Result<Rc<OwnedFd>, Errno>> {
        let question = [&flags.to_ne_bytes(), path.as_bytes()].concat();
        rustix::net::send(&self.socket, &question, SendFlags::NOSIGNAL)?;
        let mut answer = [0; 4];
        match receive_with_fd(&self.socket, &mut answer)? {
            (_, Some(file)) => Ok(Ok(Rc::new(file))),
            (4, None) => Ok(Err(Errno::from_raw_os_error(i32::from_ne_bytes(answer)))),
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// What was written since the last question to models that do not say what writing does.
    pub fn sent(&self) -> io::Result<Vec<Sent>> {
        rustix::net::send(&self.socket, WHAT_WAS_SENT, SendFlags::NOSIGNAL)?;
        let mut answer = vec![0; ANSWER_ROOM];
        let (length, _) = receive_with_fd(&self.socket, &mut answer)?;
        Ok(sent::read(answer.get(..length).unwrap_or_default()))
    }

    /// End the process.
    pub fn stop(self) {
        let _ = rustix::process::kill_process(self.process, Signal::KILL);
        await_end(self.process, ENDS_WITHIN);
    }
}

fn entries(plan: &Plan, written: &mut Written) -> Vec<Arc<Entry>> {
    let entry = |(path, file): &(String, _)| {
        let file: &rookery_runs::plan::Pseudofile = file;
        let written = match &file.write {
            // Two models may write to one file.
            Write::ToFile(path) => written.get(path).and_then(|file| file.try_clone().ok()),
            _ => None,
        };
        Arc::new(Entry::new(
            paths::normalise(path),
            Model::new(file, written),
        ))
    };
    plan.pseudofiles.iter().map(entry).collect()
}

/// The process's life: threads of its own answer the kernel, this one the supervisor.
fn serve(
    entries: Vec<Arc<Entry>>,
    device: OwnedFd,
    root: &OwnedFd,
    supervisor: &OwnedFd,
) -> io::Result<()> {
    let sent = Arc::new(Log::default());
    let files = FileSystem::new(&entries, Arc::clone(&sent));
    let session = Session::from_fd(files, device, SessionACL::All, Config::default())?;
    let _session = session.spawn()?;
    for entry in entries {
        if let Some(interval) = entry.interval() {
            std::thread::Builder::new().spawn(move || {
                loop {
                    std::thread::sleep(interval);
                    entry.tick();
                }
            })?;
        }
    }
    let mut buffer = [0; MESSAGE_MAX];
    loop {
        let length =
            match rustix::net::recv(supervisor, &mut buffer, rustix::net::RecvFlags::empty()) {
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
                // The supervisor is gone.
                Ok((0, _)) => return Ok(()),
                Ok((length, _)) => length,
            };
        let question = buffer.get(..length).unwrap_or_default();
        if question == WHAT_WAS_SENT {
            let answer = sent.answer();
            let answer = if answer.is_empty() { NOTHING } else { &answer };
            send_with_fd(supervisor, answer, None)?;
            continue;
        }
        match open(root, question) {
            Ok(file) => send_with_fd(supervisor, b"file", Some(file.as_fd()))?,
            Err(errno) => send_with_fd(supervisor, &errno.raw_os_error().to_ne_bytes(), None)?,
        }
    }
}

fn open(root: &OwnedFd, question: &[u8]) -> Result<OwnedFd, Errno> {
    let (flags, path) = question.split_first_chunk().ok_or(Errno::INVAL)?;
    let kept = libc::O_ACCMODE | libc::O_NONBLOCK | libc::O_APPEND | libc::O_TRUNC;
    let flags = i32::from_ne_bytes(*flags) & kept;
    let flags = OFlags::from_bits_retain(flags.cast_unsigned()) | OFlags::CLOEXEC;
    let path = [DIRECTORY.as_bytes(), path].concat();
    rustix::fs::openat(root, path, flags | OFlags::NOFOLLOW, Mode::empty())
}
