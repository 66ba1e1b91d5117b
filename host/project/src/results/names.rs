//! The names of a project's runs, the newest first. They are remembered: there may be ten thousand
//! runs, and every diagnosis asks for the newest.

use std::ffi::OsString;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::numbers::number;

/// Folders that are remembered.
const KEPT: usize = 16;
/// More names than this are read anew each time.
const MOST: usize = 1 << 17;
/// A folder that was changed this short a time ago may change again without its times showing it.
const SETTLES: Duration = Duration::from_secs(2);

/// The names in a folder of runs that are the number of one, and that number.
pub(super) type Names = Arc<Vec<(u64, OsString)>>;

/// Which folder it is, and when it was last changed.
type Key = (u64, u64, i64, i64);

static KNOWN: Mutex<Vec<(Key, Names)>> = Mutex::new(Vec::new());

/// The names of the runs in `base`, the highest number first.
pub(super) fn newest_first(base: &Path) -> io::Result<Names> {
    let meta = base.metadata()?;
    let key = (meta.dev(), meta.ino(), meta.ctime(), meta.ctime_nsec());
    let lock = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, names)) = lock().iter().find(|(known, _)| *known == key) {
        return Ok(Arc::clone(names));
    }
    let begun = SystemTime::now();
    let names = Arc::new(read(base)?);
    if is_settled(&meta, begun) && names.len() <= MOST {
        let mut known = lock();
        known.retain(|((device, inode, ..), _)| (*device, *inode) != (key.0, key.1));
        known.insert(0, (key, Arc::clone(&names)));
        known.truncate(KEPT);
    }
    Ok(names)
}

fn read(base: &Path) -> io::Result<Vec<(u64, OsString)>> {
    let mut names: Vec<_> = std::fs::read_dir(base)?
        .flatten()
        .map(|entry| entry.file_name())
        .filter_map(|name| Some((number(name.to_str()?)?, name)))
        .collect();
    // Of two names of one number (`7`, `007`), the one that a run has by itself.
    names.sort_by_key(|(number, name)| (std::cmp::Reverse(*number), name.len()));
    Ok(names)
}

fn is_settled(folder: &Metadata, now: SystemTime) -> bool {
    let Ok(seconds) = u64::try_from(folder.ctime()) else {
        return false;
    };
    let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    // A second more, as its fraction was left out.
    now.duration_since(changed)
        .is_ok_and(|since| since > SETTLES + Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_was_made_or_removed_is_seen_at_once() {
        let base = tempfile::tempdir().unwrap();
        let newest = || {
            let names = newest_first(base.path()).unwrap();
            names.first().map(|(number, _)| *number)
        };
        assert_eq!(newest(), None);
        for run in [0, 9, 10] {
            std::fs::create_dir(base.path().join(run.to_string())).unwrap();
            assert_eq!(newest(), Some(run));
        }
        std::fs::create_dir(base.path().join("notes")).unwrap();
        std::fs::remove_dir(base.path().join("10")).unwrap();
        assert_eq!(newest(), Some(9));
        std::fs::rename(base.path().join("9"), base.path().join("011")).unwrap();
        assert_eq!(newest(), Some(11));
    }

    #[test]
    fn only_a_folder_that_has_settled_is_remembered() {
        let base = tempfile::tempdir().unwrap();
        let meta = base.path().metadata().unwrap();
        let now = SystemTime::now();
        assert!(!is_settled(&meta, now));
        assert!(is_settled(&meta, now + SETTLES * 2));
        assert!(!is_settled(&meta, now - SETTLES), "a clock that went back");
    }
}
