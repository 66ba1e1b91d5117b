//! Which component a file holds, as an earlier start found out by reading all of it: what is listed
//! at a start needs only that. Before a component is used, its file is read.
//!
//! A file is known by what changes with its content: its size, and the time of its last change in
//! whatever way, which nobody can set back. The record is sealed as everything in the cache is.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crate::cache::Cache;
use crate::file_stamp::FileStamp;

/// The sealed file of the cache.
const NAME: &str = "files.json";
/// Files that are remembered.
const MOST: usize = 4096;
/// A file that was changed this short a time ago may change again without its times showing it.
const SETTLES: Duration = Duration::from_secs(3);

/// The files whose digests are known.
pub(crate) struct KnownFiles {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    files: BTreeMap<String, (FileStamp, String)>,
    is_changed: bool,
}

impl KnownFiles {
    /// As the cache has them.
    pub(crate) fn load(cache: &Cache) -> Self {
        let kept = cache.load(NAME);
        let files = kept.and_then(|kept| serde_json::from_slice(&kept).ok());
        let files = files.unwrap_or_default();
        let known = Known {
            files,
            is_changed: false,
        };
        Self {
            known: Mutex::new(known),
        }
    }

    /// The digest and the size of a file that is as it was when it was read.
    pub(crate) fn digest(&self, path: &Path) -> Option<(String, u64)> {
        let name = path.canonicalize().ok()?;
        let file = name.metadata().ok()?;
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (identity, digest) = known.files.get(name.to_str()?)?;
        let is_it = file.is_file() && *identity == FileStamp::of(&file);
        is_it.then(|| (digest.clone(), identity.bytes()))
    }

    /// What a file is before it is read, to be given to [`Self::remember`].
    pub(crate) fn look(path: &Path) -> Option<Seen> {
        let name = path.canonicalize().ok()?;
        let identity = FileStamp::of(&name.metadata().ok()?);
        let name = name.to_str()?.to_owned();
        let age = identity.age(SystemTime::now())?;
        (age > SETTLES).then_some(Seen { name, identity })
    }

    /// A file that was seen before it was read has this digest.
    pub(crate) fn remember(&self, seen: Option<Seen>, digest: &str) {
        let Some(Seen { name, identity }) = seen else {
            return;
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.files.len() >= MOST {
            known.files.clear();
        }
        known.files.insert(name, (identity, digest.to_owned()));
        known.is_changed = true;
    }

    /// Keep what was found out since the last time.
    pub(crate) fn keep(&self, cache: &Cache) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut known.is_changed)
            && let Ok(files) = serde_json::to_vec(&known.files)
        {
            cache.keep(NAME, &files);
        }
    }
}

/// A file that is about to be read.
pub(crate) struct Seen {
    name: String,
    identity: FileStamp,
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    /// A file whose last change lies so far back that it is remembered.
    fn settled(path: &Path) -> Seen {
        let name = path.canonicalize().unwrap();
        let identity = FileStamp::of(&name.metadata().unwrap());
        let name = name.to_str().unwrap().to_owned();
        Seen { name, identity }
    }

    #[test]
    fn a_file_is_known_until_it_changes_in_whatever_way() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(&dir.path().join("cache"));
        let file = dir.path().join("a.wasm");
        std::fs::write(&file, "one").unwrap();
        let known = KnownFiles::load(&cache);
        assert_eq!(known.digest(&file), None);
        known.remember(Some(settled(&file)), "d1");
        known.keep(&cache);
        let next = KnownFiles::load(&cache);
        assert_eq!(next.digest(&file), Some(("d1".to_owned(), 3)));

        // The same size and the same time of its last modification.
        let modified = file.metadata().unwrap().modified().unwrap();
        std::thread::sleep(Duration::from_millis(20));
        std::fs::write(&file, "two").unwrap();
        let opened = File::options().write(true).open(&file).unwrap();
        opened.set_modified(modified).unwrap();
        assert_eq!(next.digest(&file), None);

        next.remember(Some(settled(&file)), "d2");
        let other = dir.path().join("b.wasm");
        std::fs::write(&other, "two").unwrap();
        std::fs::rename(&other, &file).unwrap();
        assert_eq!(next.digest(&file), None, "another file of this name");
    }

    #[test]
    fn a_file_that_was_just_changed_is_not_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.wasm");
        std::fs::write(&file, "one").unwrap();
        assert!(KnownFiles::look(&file).is_none());
        let seen = settled(&file);
        assert!(seen.identity.age(SystemTime::now() + 2 * SETTLES) > Some(SETTLES));
    }
}
