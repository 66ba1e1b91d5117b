//! Files that the guest was given to read and write.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::fs::SealFlags;

/// Files for both that the guest may still have open, whatever became of the descriptors: they are
/// kept small.
#[derive(Debug, Default)]
pub struct Changeable(VecDeque<Rc<OwnedFd>>);

/// How many may grow at the same time, and how large each may be.
const FILES_MAX: usize = 32;
pub const SIZE: u64 = 1 << 20;

impl Changeable {
    /// One more; the oldest may grow no further where there are too many.
    pub fn add(&mut self, file: Rc<OwnedFd>) {
        if self.0.len() >= FILES_MAX
            && let Some(oldest) = self.0.pop_front()
        {
            let _ = rustix::fs::fcntl_add_seals(&oldest, SealFlags::GROW);
        }
        self.0.push_back(file);
    }

    /// All of them, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Rc<OwnedFd>> {
        self.0.iter()
    }
}
