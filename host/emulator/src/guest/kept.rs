//! What the guest writes into files of the supervisor's: stateful models, settings of the kernel
//! that it only believes to change, and files that it was given to read and write.

use std::collections::{HashMap, VecDeque};
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::fs::SealFlags;

use crate::models::Models;

/// What one stateful model, or one setting, may hold.
pub const STATE_MAX: usize = 64 * 1024;
/// Files to read and write that may grow at the same time, and how large each may be.
const CHANGEABLE_MAX: usize = 32;
const CHANGEABLE_SIZE: u64 = 1 << 20;

/// All of them.
#[derive(Debug, Default)]
pub struct Kept {
    /// Files whose contents outlive a descriptor, by path.
    by_path: HashMap<String, Rc<OwnedFd>>,
    /// Files for both that the guest may still have open, whatever became of the descriptors, the
    /// oldest first.
    changeable: VecDeque<Rc<OwnedFd>>,
    /// How often each model was opened that gives something else each time, by path.
    turns: HashMap<String, usize>,
    /// The guest's host name, once it was given one.
    host_name: Vec<u8>,
    /// The models' file system, or their streams.
    models: Option<Models>,
}

impl Kept {
    /// Nothing yet.
    pub fn new(models: Option<Models>) -> Self {
        Self {
            models,
            ..Self::default()
        }
    }

    /// The models' file system, or their streams.
    pub fn models(&mut self) -> Option<&mut Models> {
        self.models.as_mut()
    }

    /// The path that a socket with this inode stands for, where it is a model.
    pub fn stream(&self, inode: u64) -> Option<&str> {
        self.models.as_ref()?.stream(inode)
    }

    /// The file of a path, where one is kept.
    pub fn get(&self, path: &str) -> Option<&Rc<OwnedFd>> {
        self.by_path.get(path)
    }

    /// Nothing of a path is kept any more.
    pub fn forget(&mut self, path: &str) {
        self.by_path.remove(path);
        self.turns.remove(path);
    }

    /// Keep the file of a path.
    pub fn insert(&mut self, path: &str, file: Rc<OwnedFd>) {
        self.by_path.insert(path.to_owned(), file);
    }

    /// How often a model was opened before; now it is once more.
    pub fn next_turn(&mut self, path: &str) -> usize {
        let turn = self.turns.entry(path.to_owned()).or_default();
        std::mem::replace(turn, turn.saturating_add(1))
    }

    /// How many paths have a file.
    pub fn len(&self) -> usize {
        self.by_path.len()
    }

    /// One more file to read and write; the oldest may grow no further where there are too many.
    pub fn add_changeable(&mut self, file: Rc<OwnedFd>) {
        if self.changeable.len() >= CHANGEABLE_MAX
            && let Some(oldest) = self.changeable.pop_front()
        {
            let _ = rustix::fs::fcntl_add_seals(&oldest, SealFlags::GROW);
        }
        self.changeable.push_back(file);
    }

    /// The bytes that all of them take.
    pub fn bytes(&self) -> u64 {
        let files = self.changeable.iter().chain(self.by_path.values());
        files.map(|file| bytes(file)).sum()
    }

    /// Cut off what is more than such files are for.
    pub fn trim(&self) {
        let state = STATE_MAX as u64;
        let kept = self.by_path.values().map(|file| (file, state, state));
        let changeable = self.changeable.iter();
        for (file, most, left) in kept.chain(changeable.map(|file| (file, CHANGEABLE_SIZE, 0))) {
            if bytes(file) > most {
                let _ = rustix::fs::ftruncate(file, left);
            }
        }
    }

    /// The host name that the guest was given; empty where it has none of its own.
    pub fn host_name(&self) -> &[u8] {
        &self.host_name
    }

    /// The guest has another host name.
    pub fn set_host_name(&mut self, name: &[u8]) {
        name.clone_into(&mut self.host_name);
    }
}

fn bytes(file: &OwnedFd) -> u64 {
    rustix::fs::fstat(file).map_or(0, |status| status.st_blocks.unsigned_abs() * 512)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(length: usize) -> Rc<OwnedFd> {
        let flags = rustix::fs::MemfdFlags::ALLOW_SEALING;
        let file = rustix::fs::memfd_create("kept", flags).unwrap();
        rustix::io::pwrite(&file, &vec![1; length], 0).unwrap();
        Rc::new(file)
    }

    fn size(file: &OwnedFd) -> u64 {
        rustix::fs::fstat(file).unwrap().st_size.unsigned_abs()
    }

    #[test]
    fn what_grew_beyond_its_purpose_is_cut_off() {
        let mut kept = Kept::default();
        let (state, small) = (file(2 * STATE_MAX), file(10));
        kept.insert("/dev/state", Rc::clone(&state));
        kept.insert("/dev/small", Rc::clone(&small));
        let grown = file(3 << 20);
        kept.add_changeable(Rc::clone(&grown));
        assert!(kept.bytes() >= (3 << 20) + 2 * STATE_MAX as u64);
        kept.trim();
        assert_eq!((size(&state), size(&small)), (STATE_MAX as u64, 10));
        assert_eq!(size(&grown), 0);
    }

    #[test]
    fn the_oldest_of_too_many_files_grows_no_further() {
        let mut kept = Kept::default();
        let files: Vec<_> = (0..=CHANGEABLE_MAX).map(|_| file(1)).collect();
        for file in &files {
            kept.add_changeable(Rc::clone(file));
        }
        let grows = |file: &OwnedFd| rustix::io::pwrite(file, b"more", 100).is_ok();
        assert!(!grows(&files[0]) && grows(&files[1]));
    }
}
