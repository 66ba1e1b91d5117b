//! Files of the archive that are not for everybody. All files belong to one user here, so the
//! kernel would show a service that gave up root's rights what its device would not.
//!
//! Only what is sure is refused: to a user who is neither root nor the recorded owner, what no
//! group could grant either, of a file that is still as the archive had it.

use std::collections::HashMap;

use rookery_project::Private;
use rustix::fs::Stat;

use crate::files::devices;
use crate::files::devices::FileId;
use crate::kernel::paths;

/// To read a file.
pub const READ: u32 = 4;
/// To write to it.
pub const WRITE: u32 = 2;
/// To execute a file, or to reach what is in a directory.
pub const EXECUTE: u32 = 1;

/// The files.
#[derive(Debug, Default)]
pub struct PrivateFiles {
    by_file: HashMap<FileId, Known>,
    directories: Vec<String>,
}

#[derive(Debug)]
struct Known {
    owner: u64,
    /// The permission bits in the archive, which decide.
    recorded: u32,
    /// Those that it was unpacked with: where the file has others now, the guest has changed them.
    unpacked: u32,
}

impl PrivateFiles {
    /// Take note of one, which has this status before the guest starts.
    pub fn add(&mut self, private: &Private, status: &Stat) {
        if status.st_mode & libc::S_IFMT == libc::S_IFDIR {
            self.directories.push(private.path.clone());
        }
        let known = Known {
            owner: private.uid,
            recorded: private.mode,
            unpacked: status.st_mode & 0o777,
        };
        self.by_file.insert(devices::id(status), known);
    }

    /// The guest has given a file to somebody else, as it believes.
    pub fn forget(&mut self, status: &Stat) {
        self.by_file.remove(&devices::id(status));
    }

    /// Whether the user `uid` is surely refused `wanted` of the file with this status.
    pub fn refuses(&self, uid: u32, status: &Stat, wanted: u32) -> bool {
        let Some(known) = self.by_file.get(&devices::id(status)) else {
            return false;
        };
        let grants = |bits: u32| bits & wanted == wanted;
        uid != 0
            && u64::from(uid) != known.owner
            && status.st_mode & 0o777 == known.unpacked
            && !grants(known.recorded)
            && !grants(known.recorded >> 3)
    }

    /// The private directories of the archive that a path leads through.
    pub fn above<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a str> {
        let above =
            move |directory: &&String| paths::is_below(path, directory) && path != **directory;
        self.directories.iter().filter(above).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn only_what_is_sure_is_refused() {
        let work = tempfile::tempdir().unwrap();
        let path = work.path().join("shadow");
        fs::write(&path, "x").unwrap();
        let status = || rustix::fs::stat(&path).unwrap();
        let chmod = |mode| fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        let recorded = |mode| {
            chmod(0o600);
            let mut files = PrivateFiles::default();
            let path = "/etc/shadow".to_owned();
            files.add(&Private { path, uid: 7, mode }, &status());
            files
        };
        let files = recorded(0o600);
        assert!(files.refuses(99, &status(), READ) && files.refuses(99, &status(), WRITE));
        assert!(!files.refuses(0, &status(), READ), "root");
        assert!(!files.refuses(7, &status(), READ), "the owner");
        assert!(
            !recorded(0o640).refuses(99, &status(), READ),
            "a group may have it"
        );
        assert!(!recorded(0o604).refuses(99, &status(), READ), "others may");
        let mut files = recorded(0o600);
        chmod(0o644);
        assert!(
            !files.refuses(99, &status(), READ),
            "the guest changed its mode"
        );
        chmod(0o600);
        files.forget(&status());
        assert!(
            !files.refuses(99, &status(), READ),
            "the guest gave it away"
        );
    }

    #[test]
    fn a_path_leads_through_the_directories_above_it() {
        let work = tempfile::tempdir().unwrap();
        let status = rustix::fs::stat(work.path()).unwrap();
        let mut files = PrivateFiles::default();
        let path = "/root".to_owned();
        files.add(
            &Private {
                path,
                uid: 0,
                mode: 0o700,
            },
            &status,
        );
        let above = |path| files.above(path).count();
        assert_eq!(
            (above("/root/key"), above("/root"), above("/rooted")),
            (1, 0, 0)
        );
    }
}
