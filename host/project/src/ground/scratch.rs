//! Directories in which something is made before it is moved to its place, and what killed
//! processes left of them.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use tempfile::TempDir;

use super::fs::try_lock;

/// A new directory, closed to others, and removed when it is dropped. Where that does not come
/// about, since the process was killed, the next one that makes such a directory in the same place
/// removes it.
#[derive(Debug)]
pub struct Scratch {
    dir: TempDir,
    /// Held while this process lives, so that others know that it is in use.
    _lock: File,
}

impl Scratch {
    /// Make one in `parent`, whose name begins with `prefix`, and clear away what others of that
    /// prefix were left.
    pub fn make(parent: &Path, prefix: &str) -> io::Result<Self> {
        clear_away(parent, prefix);
        // One that is not locked yet may be taken for one that was left; then another is made.
        for _ in 0..16 {
            let dir = tempfile::Builder::new().prefix(prefix).tempdir_in(parent);
            // The error itself would name the new directory, which nobody knows.
            let dir = dir.map_err(|error| io::Error::from(error.kind()))?;
            match lock(dir.path()) {
                Ok(lock) if dir.path().exists() => return Ok(Self { dir, _lock: lock }),
                Ok(_) => {}
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::NotFound | io::ErrorKind::WouldBlock
                    ) => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::ResourceBusy.into())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Give it its final name. It is nobody's any more then.
    pub fn persist(self, to: &Path) -> io::Result<()> {
        fs::rename(self.path(), to)?;
        let _: PathBuf = self.dir.keep();
        Ok(())
    }
}

/// Remove directories of this user in `parent` whose names begin with `prefix` and that no living
/// process uses.
pub fn clear_away(parent: &Path, prefix: &str) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let is_named = entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.starts_with(prefix));
        if !is_named {
            continue;
        }
        // Held until it is gone, so that nobody begins to use it meanwhile.
        let unused = lock(&entry.path()).and_then(|lock| {
            let own = rustix::fs::fstat(&lock)?.st_uid == rustix::process::geteuid().as_raw();
            Ok(own.then_some(lock))
        });
        if let Ok(Some(_lock)) = unused {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Lock a directory, which must not be a link to one.
fn lock(dir: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(dir, flags, Mode::empty())?);
    try_lock(&file)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_is_removed_at_once_and_what_is_in_use_is_not() {
        let parent = tempfile::tempdir().unwrap();
        let at = |name: &str| parent.path().join(name);
        fs::create_dir_all(at(".x-left/base")).unwrap();
        fs::create_dir(at(".y-other")).unwrap();
        fs::write(at(".x-file"), "").unwrap();
        std::os::unix::fs::symlink(".y-other", at(".x-link")).unwrap();
        let first = Scratch::make(parent.path(), ".x-").unwrap();
        let second = Scratch::make(parent.path(), ".x-").unwrap();
        assert!(first.path().exists() && second.path().exists());
        assert!(!at(".x-left").exists());
        assert!(at(".y-other").exists() && at(".x-file").exists());
        assert!(at(".x-link").symlink_metadata().is_ok());
        second.persist(&at("made")).unwrap();
        drop(first);
        clear_away(parent.path(), ".x-");
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 4);
        assert!(at("made").exists());
    }

    #[test]
    fn an_error_does_not_name_what_was_not_made() {
        let error = Scratch::make(Path::new("/proc/self/fd"), ".x-").unwrap_err();
        assert!(!error.to_string().contains("/proc"), "{error}");
    }

    #[test]
    fn many_at_once_get_one_each() {
        let parent = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let scratch = Scratch::make(parent.path(), ".x-").unwrap();
                        fs::write(scratch.path().join("file"), "").unwrap();
                        assert!(scratch.path().join("file").exists());
                    }
                });
            }
        });
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }
}
