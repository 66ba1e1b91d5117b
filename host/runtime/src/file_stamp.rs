//! What tells a file from what it was, without reading it: a new one has another inode, and one
//! that was written anew another time of its last change, which nobody can set back.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// It, at one look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileStamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileStamp {
    pub(crate) fn of(file: &Metadata) -> Self {
        Self {
            device: file.dev(),
            inode: file.ino(),
            bytes: file.len(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        }
    }

    /// The file's size.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How long before `now` the file was changed; none where its time lies ahead.
    pub(crate) fn age(&self, now: SystemTime) -> Option<Duration> {
        let changed = u64::try_from(self.changed.0)
            .map(Duration::from_secs)
            .ok()?;
        now.duration_since(SystemTime::UNIX_EPOCH + changed).ok()
    }
}
