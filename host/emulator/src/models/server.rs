//! The process that serves the models' file system, and opens files in it; or, where the guest can
//! have none, serves models that are streams.
//!
//! It is a process of its own because a file system must answer while others wait for it: the
//! supervisor is one thread, and opening a file waits for the answer. It has joined the guest's
//! user namespace, whose file system it is, or the network namespace, whose sockets streams are:
//! what a socket of the host's would tell of the host's network is not for a guest.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fuser::{Config, Session, SessionACL};
use rookery_runs::plan::{Pseudofile, Write};
use rustix::fs::{MemfdFlags, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::SendFlags;
use rustix::process::{Pid, Signal};

use crate::kernel::ending::await_end;
use crate::kernel::passing::{packet_pair, receive_with_fd, send_with_fd};
use crate::kernel::{enter, paths, process};
use crate::models::DIRECTORY;
use crate::models::file_system::FileSystem;
use crate::models::model::Model;
use crate::models::sent::{self, Log, Sent};
use crate::models::streams::Streams;
use crate::models::tree::{Entry, Tree};
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
/// And what changes one, which comes as a file.
const CHANGE: &[u8] = b"change";
/// For an answer to the first; what has no content at all is one byte.
const ANSWER_ROOM: usize = 64 << 10;
const NOTHING: &[u8] = b"-";
/// Flags, and a path.
const MESSAGE_MAX: usize = 8 << 10;
/// What comes with a file, before the inodes of streams that have ended; so many fit.
const FILE: &[u8] = b"file";
const ENDED_MAX: usize = 4 << 10;

/// A file that was opened.
#[derive(Debug)]
pub struct Opened {
    pub file: OwnedFd,
    /// Inodes of streams that have ended since the last one was opened.
    pub ended: Vec<u64>,
}

/// Where files are opened.
enum Files {
    /// In a file system, below this directory.
    Mounted(OwnedFd),
    Streams(Arc<Streams>),
}

/// The supervisor's side.
#[derive(Debug)]
pub struct Server {
    process: Pid,
    socket: OwnedFd,
}

impl Server {
    /// Start the process for the guest behind `pidfd`, with its file system if there is one. The
    /// caller's files are closed there but for those that are `written`.
    pub fn start(
        pidfd: &OwnedFd,
        files: &[(String, Rc<Pseudofile>)],
        mounted: Option<Mounted>,
        written: &Written,
    ) -> io::Result<Self> {
        let (ours, theirs) = packet_pair()?;
        let Some(process) = process::fork_into(0)? else {
            let mut kept = vec![theirs.as_raw_fd(), pidfd.as_raw_fd()];
            let mut namespaces = libc::CLONE_NEWUSER;
            match &mounted {
                Some(made) => kept.extend([made.device.as_raw_fd(), made.root.as_raw_fd()]),
                None => namespaces |= libc::CLONE_NEWNET,
            }
            kept.extend(written.values().map(AsRawFd::as_raw_fd));
            process::close_all_except(&kept);
            // A defect must not go on as a second supervisor.
            let _ = catch_unwind(AssertUnwindSafe(|| {
                if enter::enter(pidfd, namespaces).is_ok() {
                    let _ = serve(entries(files, written), mounted, &theirs);
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
    pub fn open(&self, path: &str, flags: i32) -> io::Result<Result<Opened, Errno>> {
        let question = [&flags.to_ne_bytes(), path.as_bytes()].concat();
        rustix::net::send(&self.socket, &question, SendFlags::NOSIGNAL)?;
        let mut answer = vec![0; ANSWER_ROOM];
        let (length, file) = receive_with_fd(&self.socket, &mut answer)?;
        let answer = answer.get(..length).unwrap_or_default();
        match (answer.first_chunk(), file) {
            (Some(_), Some(file)) => {
                let ended = answer.get(FILE.len()..).unwrap_or_default();
                let (ended, _) = ended.as_chunks();
                let ended = ended.iter().copied().map(u64::from_ne_bytes).collect();
                Ok(Ok(Opened { file, ended }))
            }
            (Some(errno), None) => Ok(Err(Errno::from_raw_os_error(i32::from_ne_bytes(*errno)))),
            (None, _) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Change the model of a path, or add one.
    pub fn change(&self, path: &str, file: &Pseudofile) -> io::Result<()> {
        let told = serde_json::to_vec(&(path, file))?;
        let memory = rustix::fs::memfd_create("model", MemfdFlags::CLOEXEC)?;
        let mut memory = File::from(memory);
        memory.write_all(&told)?;
        send_with_fd(&self.socket, CHANGE, Some(memory.as_fd()))?;
        let mut answer = [0; 4];
        match receive_with_fd(&self.socket, &mut answer)? {
            (4, None) => match i32::from_ne_bytes(answer) {
                0 => Ok(()),
                errno => Err(io::Error::from_raw_os_error(errno)),
            },
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

fn entries(files: &[(String, Rc<Pseudofile>)], written: &Written) -> Vec<Arc<Entry>> {
    let entry = |(path, file): &(String, Rc<Pseudofile>)| {
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
    files.iter().map(entry).collect()
}

/// The process's life: threads of its own answer the kernel, this one the supervisor.
fn serve(
    entries: Vec<Arc<Entry>>,
    mounted: Option<Mounted>,
    supervisor: &OwnedFd,
) -> io::Result<()> {
    let sent = Arc::new(Log::default());
    let tree = Arc::new(Tree::new(&entries));
    // Threads of the session answer the kernel while there is one.
    let (files, _session) = if let Some(Mounted { device, root }) = mounted {
        let files = FileSystem::new(Arc::clone(&tree), Arc::clone(&sent));
        let session = Session::from_fd(files, device, SessionACL::All, Config::default())?;
        (Files::Mounted(root), Some(session.spawn()?))
    } else {
        let streams = Streams::start(Arc::clone(&tree), Arc::clone(&sent))?;
        (Files::Streams(streams), None)
    };
    for entry in entries {
        tick(entry, files.streams())?;
    }
    let mut buffer = [0; MESSAGE_MAX];
    loop {
        let (length, file) = match receive_with_fd(supervisor, &mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
            // The supervisor is gone.
            Ok((0, _)) => return Ok(()),
            Ok(received) => received,
        };
        let question = buffer.get(..length).unwrap_or_default();
        if let Some(file) = file.filter(|_| question == CHANGE) {
            let errno = match change(&tree, file) {
                Ok(entry) => {
                    if let Some(streams) = files.streams() {
                        streams.change(&entry);
                    }
                    tick(entry, files.streams()).map_or(libc::EAGAIN, |()| 0)
                }
                Err(errno) => errno.raw_os_error(),
            };
            send_with_fd(supervisor, &errno.to_ne_bytes(), None)?;
            continue;
        }
        if question == WHAT_WAS_SENT {
            if let Some(streams) = files.streams() {
                streams.settle();
            }
            let answer = sent.answer();
            let answer = if answer.is_empty() { NOTHING } else { &answer };
            send_with_fd(supervisor, answer, None)?;
            continue;
        }
        match files.open(question) {
            Ok(Opened { file, ended }) => {
                let ended = ended.into_iter().take(ENDED_MAX).flat_map(u64::to_ne_bytes);
                let answer: Vec<u8> = FILE.iter().copied().chain(ended).collect();
                send_with_fd(supervisor, &answer, Some(file.as_fd()))?;
            }
            Err(errno) => send_with_fd(supervisor, &errno.raw_os_error().to_ne_bytes(), None)?,
        }
    }
}

/// Change or add what a file says.
fn change(tree: &Tree, file: OwnedFd) -> Result<Arc<Entry>, Errno> {
    let mut file = File::from(file);
    let mut told = Vec::new();
    file.rewind()
        .and_then(|()| file.read_to_end(&mut told))
        .map_err(|_| Errno::IO)?;
    let (path, model): (String, Pseudofile) =
        serde_json::from_slice(&told).map_err(|_| Errno::INVAL)?;
    tree.set(&paths::normalise(&path), Model::new(&model, None))
}

/// Let a model become ready as often as it does, while it does.
fn tick(entry: Arc<Entry>, streams: Option<&Arc<Streams>>) -> io::Result<()> {
    if entry.interval().is_none() || entry.has_clock() {
        return Ok(());
    }
    let streams = streams.cloned();
    let run = move || {
        while let Some(interval) = entry.interval() {
            std::thread::sleep(interval);
            entry.tick();
            if let Some(streams) = &streams {
                streams.tick(&entry);
            }
        }
        entry.stop_clock();
    };
    std::thread::Builder::new().spawn(run).map(drop)
}

impl Files {
    fn streams(&self) -> Option<&Arc<Streams>> {
        match self {
            Self::Mounted(_) => None,
            Self::Streams(streams) => Some(streams),
        }
    }

    fn open(&self, question: &[u8]) -> Result<Opened, Errno> {
        let (flags, path) = question.split_first_chunk().ok_or(Errno::INVAL)?;
        let flags = i32::from_ne_bytes(*flags);
        match self {
            Self::Mounted(root) => {
                let kept = libc::O_ACCMODE | libc::O_NONBLOCK | libc::O_APPEND | libc::O_TRUNC;
                let flags = OFlags::from_bits_retain((flags & kept).cast_unsigned());
                let path = [DIRECTORY.as_bytes(), path].concat();
                let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
                let file = rustix::fs::openat(root, path, flags, Mode::empty())?;
                let ended = Vec::new();
                Ok(Opened { file, ended })
            }
            Self::Streams(streams) => {
                let path = std::str::from_utf8(path).map_err(|_| Errno::NOENT)?;
                let file = streams.open(path, flags)?;
                let ended = streams.ended();
                Ok(Opened { file, ended })
            }
        }
    }
}
