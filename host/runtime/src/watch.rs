//! Which files of plugins have changed.
//!
//! Their directories are looked at, a few dozen calls of `stat` each time. The kernel could tell of
//! changes instead, but it does not where a directory is another machine's or a container's mount,
//! which are where plugins are written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::LoadReport;
use crate::component_file::wasm_files;
use crate::file_stamp::FileStamp;
use crate::runtime::Runtime;

/// A file that changes at every look is read nevertheless after this time.
const PATIENCE: Duration = Duration::from_secs(1);

/// The `*.wasm` files of some directories, as they were when they were looked at.
pub struct Watch {
    dirs: Vec<PathBuf>,
    /// As they were loaded, or refused.
    loaded: BTreeMap<PathBuf, FileStamp>,
    /// What is different now and may still be being written.
    changing: BTreeMap<PathBuf, Changing>,
}

struct Changing {
    since: Instant,
    /// None where the file is not there any more.
    stamp: Option<FileStamp>,
}

impl Watch {
    /// Note the files as they are: to be called before they are loaded.
    pub fn new(dirs: &[PathBuf]) -> Self {
        Self {
            loaded: stamps(dirs),
            dirs: dirs.to_owned(),
            changing: BTreeMap::new(),
        }
    }

    /// Load the files of `runtime` that have changed and are the same since the last look. Gives
    /// what came of each.
    pub fn reload(&mut self, runtime: &Runtime) -> Vec<LoadReport> {
        let settled = self.settled(Instant::now());
        settled.iter().map(|file| runtime.reload(file)).collect()
    }

    /// The files to be loaded now.
    fn settled(&mut self, now: Instant) -> Vec<PathBuf> {
        let here = stamps(&self.dirs);
        let all: BTreeSet<&PathBuf> = here.keys().chain(self.loaded.keys()).collect();
        let mut settled = Vec::new();
        for file in all {
            let stamp = here.get(file);
            if stamp == self.loaded.get(file) {
                self.changing.remove(file);
                continue;
            }
            let before = self.changing.get(file);
            let since = before.map_or(now, |before| before.since);
            let is_settled = before.is_some_and(|before| {
                before.stamp.as_ref() == stamp || now.duration_since(since) >= PATIENCE
            });
            if is_settled {
                settled.push(file.clone());
            } else {
                let stamp = stamp.copied();
                self.changing
                    .insert(file.clone(), Changing { since, stamp });
            }
        }
        for file in &settled {
            self.changing.remove(file);
            // A change from here on is seen at the next look.
            match here.get(file) {
                Some(stamp) => self.loaded.insert(file.clone(), *stamp),
                None => self.loaded.remove(file),
            };
        }
        settled
    }
}

fn stamps(dirs: &[PathBuf]) -> BTreeMap<PathBuf, FileStamp> {
    let files = dirs.iter().filter_map(|dir| wasm_files(dir).ok()).flatten();
    let stamped =
        files.filter_map(|file| Some((file.clone(), FileStamp::of(&file.metadata().ok()?))));
    stamped.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const TICK: Duration = Duration::from_millis(250);

    #[test]
    fn a_file_is_loaded_once_it_rests() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("a.wasm");
        fs::write(&file, "1").expect("written");
        let mut watch = Watch::new(&[dir.path().to_owned()]);
        let mut now = Instant::now();
        let mut look = |watch: &mut Watch| {
            now += TICK;
            watch.settled(now)
        };
        assert!(look(&mut watch).is_empty(), "nothing has changed");
        fs::write(&file, "22").expect("written");
        assert!(look(&mut watch).is_empty(), "it may still be being written");
        assert_eq!(look(&mut watch), std::slice::from_ref(&file));
        assert!(look(&mut watch).is_empty(), "once");

        let new = dir.path().join("b.wasm");
        fs::write(&new, "3").expect("written");
        fs::remove_file(&file).expect("removed");
        assert!(look(&mut watch).is_empty());
        assert_eq!(look(&mut watch), [file, new]);
        assert!(look(&mut watch).is_empty());
    }

    #[test]
    fn a_directory_that_appears_later_is_watched_too() {
        let dir = tempfile::tempdir().expect("a directory");
        let later = dir.path().join("a/b");
        let mut watch = Watch::new(std::slice::from_ref(&later));
        let begun = Instant::now();
        assert!(watch.settled(begun).is_empty());
        fs::create_dir_all(&later).expect("made");
        let file = later.join("a.wasm");
        fs::write(&file, "1").expect("written");
        assert!(watch.settled(begun + TICK).is_empty());
        assert_eq!(watch.settled(begun + TICK * 2), [file]);
    }

    #[test]
    fn a_file_that_never_rests_is_loaded_every_second() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("a.wasm");
        fs::write(&file, "1").expect("written");
        let mut watch = Watch::new(&[dir.path().to_owned()]);
        let begun = Instant::now();
        let mut loaded = 0;
        for n in 1..=20_u32 {
            fs::write(&file, "1".repeat(n as usize + 1)).expect("written");
            loaded += watch.settled(begun + TICK * n).len();
        }
        assert_eq!(loaded, 4);
    }
}
