//! Locks, and files that are replaced whole.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{FlockOperation, flock};

use super::regular;

/// Lock a file or a directory against all others until it is closed, without waiting: where
/// somebody else holds it, the error is `WouldBlock`.
pub fn try_lock(file: impl AsFd) -> io::Result<()> {
    Ok(flock(file, FlockOperation::NonBlockingLockExclusive)?)
}

/// Lock a file or a directory together with all who [share](share_lock) it, until it is closed.
/// Waits while somebody has it [alone](try_lock).
pub fn share_lock(file: impl AsFd) -> io::Result<()> {
    Ok(flock(file, FlockOperation::LockShared)?)
}

/// Write beside `path`, then rename over it: a reader sees the old file or the new one, never a
/// part. With `durable`, also after the machine lost its power.
pub fn replace(path: &Path, contents: &[u8], durable: bool) -> io::Result<()> {
    // Whoever clears away may take a file that is not locked yet for one that was left.
    for _ in 0..16 {
        match write_beside(path, contents, durable) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && parent_exists(path) => {}
            written => return written,
        }
    }
    Err(io::ErrorKind::ResourceBusy.into())
}

/// Remove from `dir` what a writer that was killed in [`replace`] left there: for files called
/// `name`, or for all.
pub fn clear_away(dir: &Path, name: Option<&str>) {
    let prefix = name.map_or_else(|| ".".to_owned(), |name| format!(".{name}{BESIDE}"));
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let is_ours = entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.starts_with(&prefix) && name.contains(BESIDE));
        // Its writer holds the lock for as long as it lives.
        if is_ours && regular::open(&entry.path()).is_ok_and(|file| try_lock(&file).is_ok()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// In the name of a file that is not complete.
const BESIDE: &str = ".tmp-";

fn write_beside(path: &Path, contents: &[u8], durable: bool) -> io::Result<()> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let fresh = path.with_file_name(format!(
        ".{name}{BESIDE}{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    ));
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&fresh)?;
    // Whoever clears away holds it already, and removes it. A file system without locks is no
    // reason not to write.
    let taken = try_lock(&file).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
    let written = if taken {
        Err(io::ErrorKind::NotFound.into())
    } else {
        file.write_all(contents)
    };
    let written = written
        .and_then(|()| file.set_permissions(fs::Permissions::from_mode(0o644)))
        .and_then(|()| if durable { file.sync_all() } else { Ok(()) })
        .and_then(|()| fs::rename(&fresh, path));
    written.inspect_err(|_| drop(fs::remove_file(&fresh)))
}

fn parent_exists(path: &Path) -> bool {
    path.parent().is_some_and(Path::is_dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_replaced_is_never_half_written_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        for contents in ["one", "two"] {
            replace(&path, contents.as_bytes(), true).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), contents);
        }
        fs::create_dir_all(dir.path().join("full/x")).unwrap();
        assert!(replace(&dir.path().join("full"), b"x", false).is_err());
        assert!(replace(&dir.path().join("absent/file"), b"x", false).is_err());
        assert_eq!(names(dir.path()), ["file", "full"]);
    }

    #[test]
    fn what_a_killed_writer_left_is_cleared_away_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        for name in [".file.tmp-1-0", ".other.tmp-2-0", ".file", "file.tmp-3"] {
            fs::write(dir.path().join(name), "half").unwrap();
        }
        let busy = File::create(dir.path().join(".file.tmp-4-0")).unwrap();
        try_lock(&busy).unwrap();
        clear_away(dir.path(), Some("file"));
        let kept = [".file", ".file.tmp-4-0", ".other.tmp-2-0", "file.tmp-3"];
        assert_eq!(names(dir.path()), kept);
        clear_away(dir.path(), None);
        assert_eq!(names(dir.path()), [".file", ".file.tmp-4-0", "file.tmp-3"]);
    }

    #[test]
    fn writers_and_one_who_clears_away_do_not_meet() {
        let dir = tempfile::tempdir().unwrap();
        let path = &dir.path().join("file");
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| (0..200).try_for_each(|_| replace(path, b"x", false))))
                .collect();
            while writers.iter().any(|writer| !writer.is_finished()) {
                clear_away(dir.path(), None);
            }
            for writer in writers {
                writer.join().unwrap().unwrap();
            }
        });
        assert_eq!(names(dir.path()), ["file"]);
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}
