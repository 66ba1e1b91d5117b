//! Where a project is built before it is moved to its place, and what killed builds left there.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FlockOperation, OFlags};
use tempfile::TempDir;

use crate::{Error, Result};

const PREFIX: &str = ".rookery-init-";
/// A directory as young as this may belong to someone who has not locked it yet.
const YOUNG: Duration = Duration::from_mins(1);

/// A new directory, removed when it is dropped. It is locked while this process lives, so that others know it is in use.
pub(super) struct Workplace {
    pub dir: TempDir,
    _lock: File,
}

impl Workplace {
    /// Make one in `parent`, and clear away what a killed process left there.
    pub(super) fn make(parent: &Path) -> Result<Self> {
        remove_abandoned(parent);
        let failed = |e: std::io::Error| Error::io("make a directory in", parent, &e);
        let dir = tempfile::Builder::new()
            .prefix(PREFIX)
            .tempdir_in(parent)
            .map_err(failed)?;
        let lock = lock(dir.path()).map_err(failed)?;
        Ok(Self { dir, _lock: lock })
    }
}

fn lock(dir: &Path) -> std::io::Result<File> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW;
    let file = File::options()
        .read(true)
        .custom_flags(i32::try_from(flags.bits()).unwrap_or_default())
        .open(dir)?;
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    Ok(file)
}

fn remove_abandoned(parent: &Path) {
    let is_ours = |name: &std::ffi::OsStr| name.to_str().is_some_and(|n| n.starts_with(PREFIX));
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| is_ours(&entry.file_name())) {
        let age = entry.metadata().ok().and_then(|meta| {
            // Of the entry itself: a link is not followed, and its target never removed.
            meta.is_dir()
                .then(|| meta.modified().ok()?.elapsed().ok())?
        });
        if age.is_some_and(|age| age > YOUNG) && lock(&entry.path()).is_ok() {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
