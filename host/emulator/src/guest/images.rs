//! Images of file systems that the guest mounts: its loop devices, what is being unpacked, and what
//! it wrote to those that it may mount again.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::io::Errno;

use crate::files::image_mount::{Failure, Mounted, Unpacking};
use crate::files::loops::Loops;
use crate::files::mounting::{Kept, Key, Mounting};

/// Mounts that wait for one that is being unpacked.
const WAITING_MAX: usize = 32;
/// How long unpacking one may take.
const WITHIN: Duration = Duration::from_mins(1);
/// Images whose changes are kept.
const KEPT_MAX: usize = 16;

#[derive(Debug)]
struct Running {
    mounting: Mounting,
    unpacking: Unpacking,
    until: Instant,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Images {
    loops: Loops,
    waiting: VecDeque<Mounting>,
    running: Option<Running>,
    kept: VecDeque<(Key, Kept)>,
    /// File systems whose changes last, by the kernel's number.
    writable: Vec<u64>,
}

impl Images {
    /// The guest's loop devices.
    pub fn loops(&mut self) -> &mut Loops {
        &mut self.loops
    }

    /// Let a mount wait for its turn; whether there was room.
    pub fn wait(&mut self, mounting: Mounting) -> bool {
        let room = self.waiting.len() < WAITING_MAX;
        if room {
            self.waiting.push_back(mounting);
        }
        room
    }

    /// The next one, where none is being unpacked.
    pub fn next(&mut self) -> Option<Mounting> {
        self.waiting.retain(|mounting| mounting.call.is_valid());
        if self.running.is_some() {
            return None;
        }
        self.waiting.pop_front()
    }

    /// Begin to unpack one, which may have `most` bytes. Gives it back where that cannot be done.
    pub fn start(
        &mut self,
        mounting: Mounting,
        guest: &OwnedFd,
        most: u64,
    ) -> Result<(), (Box<Mounting>, Failure)> {
        let until = Instant::now() + WITHIN;
        match Unpacking::start(guest, &mounting.image, &mounting.wanted, most, until) {
            Ok(unpacking) => {
                self.running = Some(Running {
                    mounting,
                    unpacking,
                    until,
                });
                Ok(())
            }
            Err(errno) => Err((Box::new(mounting), errno.into())),
        }
    }

    /// Readable when what is being unpacked is done.
    pub fn done(&self) -> Option<BorrowedFd<'_>> {
        self.running
            .as_ref()
            .map(|running| running.unpacking.as_fd())
    }

    /// What became of the one that is done.
    pub fn take(&mut self) -> Option<(Mounting, Result<Mounted, Failure>)> {
        let running = self.running.take()?;
        Some((running.mounting, running.unpacking.end()))
    }

    /// End what nobody waits for any more. Gives what takes too long.
    pub fn tidy(&mut self) -> Option<Mounting> {
        let running = self.running.as_ref()?;
        if !running.mounting.call.is_valid() {
            self.running = None;
            return None;
        }
        // It ends by itself at that time, but for what the kernel does not give back.
        let grace = Duration::from_secs(5);
        (Instant::now() > running.until + grace)
            .then(|| self.running.take().map(|running| running.mounting))?
    }

    /// What was kept of an image.
    pub fn take_kept(&mut self, key: &Key) -> Option<Kept> {
        let at = self.kept.iter().position(|(known, _)| known == key)?;
        self.kept.remove(at).map(|(_, kept)| kept)
    }

    /// Keep what is written to an image.
    pub fn keep(&mut self, key: Key, kept: Kept) {
        if self.kept.len() >= KEPT_MAX {
            self.kept.pop_front();
        }
        self.kept.push_back((key, kept));
    }

    /// What is written to the file system `device` lasts.
    pub fn lasts(&mut self, device: u64) {
        self.writable.push(device);
    }

    /// Whether the guest may write to the file system `device` of an image.
    pub fn is_writable(&self, device: u64) -> bool {
        self.writable.contains(&device)
    }

    /// The guest starts anew.
    pub fn forget_start(&mut self) {
        let waiting = self.waiting.drain(..);
        let running = self.running.take().map(|running| running.mounting);
        for mounting in waiting.chain(running) {
            mounting.call.answer(&Errno::INTR.into());
        }
        self.loops.forget_start();
    }
}
