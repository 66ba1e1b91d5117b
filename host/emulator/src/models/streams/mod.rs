//! Models as sockets, for a guest that can have no file system of them: each open is one end of a
//! pair, whose other end is here (`unix(7)`).
//!
//! What reading gives is sent ahead, so that `poll(2)` and its kin see whether there is anything;
//! what was written is taken as it comes. No process of the guest is waited for: of one that does
//! not read, the socket is full, and one that never stops to write takes turns with the others.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rookery_runs::plan::Poll;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, Shutdown, SocketFlags, SocketType, sockopt};

use crate::kernel::passing::receive_with_sender;
use crate::kernel::sockopt::unread;
use crate::limits::memory::SOCKETS_MAX;
use crate::models::sent::Log;
use crate::models::tree::{Entry, Tree};

/// Pairs of sockets at a time, where there are twice as many descriptors: they count among those
/// that a guest may have, of which half are its own.
const STREAMS_MAX: u64 = SOCKETS_MAX / 2 / 2;
/// What the kernel keeps of what is sent ahead to one socket, and what is sent at once.
const AHEAD: usize = 16 << 10;
const PIECE: usize = 4 << 10;
/// Pieces that are sent to one socket, and what is taken from it, before it is the others' turn;
/// and sockets that have one.
const PIECES: usize = 16;
const TAKEN: usize = 64 << 10;
const TURN: usize = 64;
/// Turns in which is taken what was written before a question.
const SETTLING: usize = 64;
/// Where the kernel cannot say who is ready, which it can.
const AGAIN_AFTER: Duration = Duration::from_millis(10);

/// All that are open.
pub struct Streams {
    tree: Arc<Tree>,
    sent: Arc<Log>,
    /// Tells which are ready.
    ready: OwnedFd,
    most: usize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    by_number: HashMap<u64, Stream>,
    last: u64,
    /// Inodes of those that have ended since the last question.
    ended: Vec<u64>,
}

/// One open of a model.
struct Stream {
    entry: Arc<Entry>,
    socket: OwnedFd,
    /// Of the guest's end.
    inode: u64,
    number: u64,
    access: i32,
    /// Where reading and writing go on.
    read: u64,
    written: u64,
    /// What may be sent now, in bytes.
    due: u64,
    /// Whether something is due that is to be sent once there is room for it.
    hungry: bool,
    /// Whether something may come.
    comes: bool,
}

impl Streams {
    /// Of the models of a tree; what is written to those that do not say what writing does is kept
    /// in `sent`. A thread does what there is to do.
    pub fn start(tree: Arc<Tree>, sent: Arc<Log>) -> io::Result<Arc<Self>> {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let most = limit.map_or(STREAMS_MAX, |limit| STREAMS_MAX.min(limit / 2));
        let streams = Arc::new(Self {
            tree,
            sent,
            ready: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            most: usize::try_from(most).unwrap_or(0),
            open: Mutex::default(),
        });
        let served = Arc::clone(&streams);
        let serve = move || {
            loop {
                if served.turn(None).is_err() {
                    std::thread::sleep(AGAIN_AFTER);
                }
            }
        };
        std::thread::Builder::new().spawn(serve)?;
        Ok(streams)
    }

    /// Open the model of a path: the guest's end.
    pub fn open(&self, path: &str, flags: i32) -> Result<OwnedFd, Errno> {
        let entry = self.tree.file(path).ok_or(Errno::NOENT)?;
        let mut open = self.opened();
        if open.by_number.len() >= self.most {
            return Err(Errno::MFILE);
        }
        let (kind, family) = (SocketType::STREAM, AddressFamily::UNIX);
        let (ours, theirs) = rustix::net::socketpair(family, kind, SocketFlags::CLOEXEC, None)?;
        sockopt::set_socket_passcred(&ours, true)?;
        sockopt::set_socket_send_buffer_size(&ours, AHEAD)?;
        if flags & libc::O_NONBLOCK != 0 {
            rustix::fs::fcntl_setfl(&theirs, OFlags::RDWR | OFlags::NONBLOCK)?;
        }
        open.last += 1;
        let number = open.last;
        let mut stream = Stream {
            entry,
            socket: ours,
            inode: rustix::fs::fstat(&theirs)?.st_ino,
            number,
            access: flags & libc::O_ACCMODE,
            read: 0,
            written: 0,
            due: 0,
            hungry: false,
            comes: true,
        };
        stream.begin();
        let data = epoll::EventData::new_u64(number);
        epoll::add(&self.ready, &stream.socket, data, stream.interest())?;
        open.by_number.insert(number, stream);
        Ok(theirs)
    }

    /// Inodes of those that have ended since the last question.
    pub fn ended(&self) -> Vec<u64> {
        std::mem::take(&mut self.opened().ended)
    }

    /// A model has become ready.
    pub fn tick(&self, entry: &Arc<Entry>) {
        self.each_of(entry, Stream::tick);
    }

    /// A model does something else from now on.
    pub fn change(&self, entry: &Arc<Entry>) {
        self.each_of(entry, Stream::begin);
    }

    /// Take what was written before.
    pub fn settle(&self) {
        for _ in 0..SETTLING {
            if !self.turn(Some(&Timespec::default())).is_ok_and(|any| any) {
                break;
            }
        }
    }

    fn opened(&self) -> MutexGuard<'_, Open> {
        // A panic has left them as streams can be.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn each_of(&self, entry: &Arc<Entry>, change: impl Fn(&mut Stream)) {
        let mut open = self.opened();
        let all = open.by_number.values_mut();
        for stream in all.filter(|stream| Arc::ptr_eq(&stream.entry, entry)) {
            change(stream);
            self.watch(stream);
        }
    }

    /// Wait until something is ready, and do it: whether there was anything within the time.
    fn turn(&self, within: Option<&Timespec>) -> Result<bool, Errno> {
        let mut events = Vec::with_capacity(TURN);
        match epoll::wait(&self.ready, spare_capacity(&mut events), within) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
        let mut buffer = vec![0; TAKEN];
        for event in &events {
            self.serve(event.data.u64(), event.flags, &mut buffer);
        }
        Ok(!events.is_empty())
    }

    fn serve(&self, number: u64, flags: epoll::EventFlags, buffer: &mut [u8]) {
        let mut open = self.opened();
        // Another thread may have ended it.
        let Some(stream) = open.by_number.get_mut(&number) else {
            return;
        };
        let is_left = flags.intersects(epoll::EventFlags::HUP | epoll::EventFlags::ERR);
        if stream.comes {
            stream.comes = stream.take(&self.sent, buffer);
        }
        if is_left && !stream.comes {
            stream.entry.model().close(number);
            if let Some(stream) = open.by_number.remove(&number) {
                open.ended.push(stream.inode);
            }
            return;
        }
        if flags.contains(epoll::EventFlags::OUT) {
            stream.feed();
        }
        self.watch(stream);
    }

    fn watch(&self, stream: &Stream) {
        let data = epoll::EventData::new_u64(stream.number);
        // Of a socket that is watched already, nothing can be missing.
        let _ = epoll::modify(&self.ready, &stream.socket, data, stream.interest());
    }
}

impl Stream {
    fn interest(&self) -> epoll::EventFlags {
        let mut wanted = epoll::EventFlags::empty();
        wanted.set(epoll::EventFlags::IN, self.comes);
        wanted.set(epoll::EventFlags::OUT, self.hungry);
        wanted
    }

    /// Send ahead what there is without waiting.
    fn begin(&mut self) {
        let poll = self.entry.model().poll;
        self.due = match poll {
            Poll::Always if self.access == libc::O_WRONLY => 0,
            Poll::Always => u64::MAX,
            Poll::Never | Poll::Periodic(_) => 0,
        };
        self.feed();
        if poll == Poll::Always && self.access == libc::O_WRONLY {
            self.end();
        }
    }

    /// What a periodic one holds comes anew, once what came before was read.
    fn tick(&mut self) {
        let is_read = unread(&self.socket) == Ok(0);
        if self.access != libc::O_WRONLY && is_read {
            self.read = 0;
            self.due = self.entry.model().size();
            self.feed();
        }
    }

    /// Send what is due, as much as there is room for. Who reads as fast as it comes, takes turns.
    fn feed(&mut self) {
        self.hungry = false;
        for _ in 0..PIECES {
            if self.due == 0 {
                return;
            }
            let size = usize::try_from(self.due).unwrap_or(PIECE).min(PIECE);
            let mut model = self.entry.model();
            let read = model.read(self.number, self.read, size).unwrap_or_default();
            let is_always = model.poll == Poll::Always;
            drop(model);
            if read.is_empty() {
                self.due = 0;
                if is_always {
                    self.end();
                }
                return;
            }
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            match rustix::net::send(&self.socket, &read, flags) {
                Ok(length) => {
                    self.read = self.read.saturating_add(length as u64);
                    if self.due != u64::MAX {
                        self.due = self.due.saturating_sub(length as u64);
                    }
                }
                Err(Errno::AGAIN | Errno::INTR) => {
                    self.hungry = true;
                    return;
                }
                // Nobody reads any more.
                Err(_) => self.due = 0,
            }
        }
        self.hungry = self.due > 0;
    }

    /// Nothing comes after what was sent.
    fn end(&self) {
        // It fails where the other side is gone.
        let _ = rustix::net::shutdown(&self.socket, Shutdown::Write);
    }

    /// Take what was written; whether more may come.
    fn take(&mut self, sent: &Log, buffer: &mut [u8]) -> bool {
        let (length, sender) = match receive_with_sender(&self.socket, buffer) {
            Ok((0, _)) => return false,
            Ok(received) => received,
            Err(Errno::AGAIN | Errno::INTR) => return true,
            Err(_) => return false,
        };
        let data = buffer.get(..length).unwrap_or_default();
        // The kernel would have refused to write to a file that is open for reading.
        if self.access != libc::O_RDONLY {
            let mut model = self.entry.model();
            if model.lacks_writing() {
                sent.keep(self.entry.path(), sender, data);
            }
            // It is too late to refuse it.
            let _ = model.write(self.written, data);
            self.written = self.written.saturating_add(length as u64);
        }
        true
    }
}

#[cfg(test)]
mod tests;
