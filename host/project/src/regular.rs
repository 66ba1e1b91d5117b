//! Regular files, opened without waiting.
//!
//! Whoever can write to a project can put a FIFO, a device, a socket or a link in the place of a file that is expected there: opening a
//! FIFO waits for its other end, opening a device may do something, and reading one may never end. So each file of a project, and of
//! the state and the cache that are kept beside it, is opened here. It is first only pointed at (`O_PATH`), and opened once it is known
//! to be a regular file; links in the last component are not followed.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{CWD, FileType, FlockOperation, Mode, OFlags, ResolveFlags, flock};
use rustix::io::Errno;

use crate::roots;

/// What is in a regular file's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotRegular(&'static str);

impl fmt::Display for NotRegular {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it is {}, not a regular file; move it away", self.0)
    }
}

impl std::error::Error for NotRegular {}

impl NotRegular {
    /// Whether an error of this module says that the thing is no regular file.
    pub fn is(error: &io::Error) -> bool {
        error
            .get_ref()
            .is_some_and(<dyn std::error::Error + Send + Sync>::is::<Self>)
    }
}

/// Open for reading.
pub fn open(path: &Path) -> io::Result<File> {
    reopen(&point_at(path)?, OFlags::RDONLY)
}

/// Open for reading a path in which no component is a link: the file lies where the path says, also when a link was just put there.
pub fn open_without_links(path: &Path) -> io::Result<File> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let resolve = ResolveFlags::NO_SYMLINKS;
    let handle = rustix::fs::openat2(CWD, path, flags, Mode::empty(), resolve)?;
    reopen(&handle, OFlags::RDONLY)
}

/// Open for reading below `dir`; links may be followed, but not out of it.
pub fn open_beneath(dir: &OwnedFd, path: impl AsRef<OsStr>) -> io::Result<File> {
    reopen(
        &roots::open_beneath(dir, path, OFlags::PATH)?,
        OFlags::RDONLY,
    )
}

/// Open for reading and writing. A file that is not there is made.
pub fn create(path: &Path) -> io::Result<File> {
    open_or_make(path, OFlags::RDWR)
}

/// Open for writing at its end. A file that is not there is made.
pub fn append(path: &Path) -> io::Result<File> {
    open_or_make(path, OFlags::WRONLY | OFlags::APPEND)
}

/// All of a file, if that is at most `limit` bytes.
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_all(open(path)?, limit)
}

/// What is left of an open file, if that is at most `limit` bytes.
pub fn read_all(file: File, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it is larger than {limit} bytes"),
        ));
    }
    Ok(bytes)
}

/// Write beside `path`, then rename over it: a reader sees the old file or the new one, never a part. With `durable`, also after the
/// machine lost its power.
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

/// Remove from `dir` what a writer that was killed in [`replace`] left there: for files called `name`, or for all.
pub fn clear_away(dir: &Path, name: Option<&str>) {
    let prefix = name.map_or_else(|| ".".to_owned(), |name| format!(".{name}{BESIDE}"));
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let is_ours = entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.starts_with(&prefix) && name.contains(BESIDE));
        // Its writer holds the lock for as long as it lives.
        let lock = FlockOperation::NonBlockingLockExclusive;
        if is_ours && open(&entry.path()).is_ok_and(|file| flock(file, lock).is_ok()) {
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
    // Whoever clears away holds it already, and removes it. A file system without locks is no reason not to write.
    let taken = flock(&file, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK);
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

/// A handle that opens nothing yet.
fn point_at(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

fn reopen(handle: &OwnedFd, flags: OFlags) -> io::Result<File> {
    let what = match FileType::from_raw_mode(rustix::fs::fstat(handle)?.st_mode) {
        FileType::RegularFile => {
            let path = format!("/proc/self/fd/{}", handle.as_raw_fd());
            let flags = flags | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
            return Ok(rustix::fs::open(path, flags, Mode::empty())?.into());
        }
        FileType::Directory => "a directory",
        FileType::Symlink => "a symbolic link",
        FileType::Fifo => "a FIFO",
        FileType::Socket => "a socket",
        _ => "a device",
    };
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        NotRegular(what),
    ))
}

fn open_or_make(path: &Path, flags: OFlags) -> io::Result<File> {
    // Another process may make or remove it between the two looks.
    for _ in 0..16 {
        match point_at(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            handle => return reopen(&handle?, flags),
        }
        let made = rustix::fs::open(
            path,
            flags | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC,
            Mode::from_raw_mode(0o644),
        );
        match made {
            Err(Errno::EXIST) => {}
            made => return Ok(made?.into()),
        }
    }
    Err(io::ErrorKind::ResourceBusy.into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;
    use std::path::PathBuf;
    use std::time::{Duration, Instant};

    use super::*;

    /// Everything that can stand in a file's place, with a word that says so.
    fn others(dir: &Path) -> Vec<(PathBuf, &'static str)> {
        let at = |name: &str| dir.join(name);
        rustix::fs::mknodat(CWD, at("fifo"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let _ = UnixListener::bind(at("socket")).unwrap();
        fs::create_dir(at("directory")).unwrap();
        fs::write(at("target"), "x").unwrap();
        symlink("target", at("link")).unwrap();
        symlink("nothing", at("dangling")).unwrap();
        symlink("loop", at("loop")).unwrap();
        vec![
            (at("fifo"), "FIFO"),
            (at("socket"), "socket"),
            (at("directory"), "directory"),
            (at("link"), "link"),
            (at("dangling"), "link"),
            (at("loop"), "link"),
            ("/dev/zero".into(), "device"),
        ]
    }

    #[test]
    fn nothing_but_a_regular_file_is_opened_and_nothing_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let start = Instant::now();
        for (path, what) in others(dir.path()) {
            for opened in [
                open(&path),
                create(&path),
                append(&path),
                read(&path, 10).map(|_| unreachable!("it was read")),
            ] {
                let error = opened.unwrap_err();
                assert!(NotRegular::is(&error), "{path:?}: {error}");
                assert!(error.to_string().contains(what), "{path:?}: {error}");
            }
        }
        assert!(!dir.path().join("nothing").exists());
        assert!(start.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn below_a_directory_links_are_followed_and_lead_to_regular_files_only() {
        let dir = tempfile::tempdir().unwrap();
        let others = others(dir.path());
        let handle = roots::open_dir(dir.path()).unwrap();
        assert!(open_beneath(&handle, "link").is_ok());
        assert!(open_beneath(&handle, "dangling").is_err());
        symlink("fifo", dir.path().join("to-fifo")).unwrap();
        symlink("/etc/passwd", dir.path().join("out")).unwrap();
        assert!(NotRegular::is(
            &open_beneath(&handle, "to-fifo").unwrap_err()
        ));
        assert!(open_beneath(&handle, "out").is_err());
        for (path, _) in others.iter().take(3) {
            assert!(open_beneath(&handle, path.file_name().unwrap()).is_err());
        }
    }

    #[test]
    fn a_file_is_read_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        assert_eq!(open(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
        fs::write(&path, "12345").unwrap();
        assert_eq!(read(&path, 5).unwrap(), b"12345");
        let error = read(&path, 4).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }

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
        flock(&busy, FlockOperation::LockExclusive).unwrap();
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
