//! The start of a program.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::{Duration, Instant};

/// A program as its parent starts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key(u64);

impl Key {
    /// By its parent's number in the guest, its path and its arguments.
    pub fn of(parent: u32, path: &str, argv: &[Vec<u8>]) -> Self {
        let mut hasher = DefaultHasher::new();
        (parent, path, argv).hash(&mut hasher);
        Self(hasher.finish())
    }
}

/// One start of it.
#[derive(Debug, Clone, Copy)]
pub struct Start {
    pub key: Key,
    at: Instant,
}

impl Start {
    /// It starts now.
    pub fn now(key: Key) -> Self {
        let at = Instant::now();
        Self { key, at }
    }

    /// How long ago that was.
    pub fn elapsed(&self) -> Duration {
        self.at.elapsed()
    }
}
