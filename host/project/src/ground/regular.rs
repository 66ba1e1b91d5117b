//! Regular files, opened without waiting.
//!
//! Whoever can write to a project can put a FIFO, a device, a socket or a link in the place of a
//! file that is expected there: opening a FIFO waits for its other end, opening a device may do
//! something, and reading one may never end. So each file of a project, and of the state and the
//! cache that are kept beside it, is opened here. It is first only pointed at (`O_PATH`), and
//! opened once it is known to be a regular file; links in the last component are not followed.
//!
//! Invariant 12: nothing but a regular file is opened.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::beneath;
pub use super::not_regular::NotRegular;

/// Open for reading.
pub fn open(path: &Path) -> io::Result<File> {
    reopen(&point_at(path)?, OFlags::RDONLY)
}

/// Open for reading a path in which no component is a link: the file lies where the path says, also
/// when a link was just put there.
pub fn open_without_links(path: &Path) -> io::Result<File> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let resolve = ResolveFlags::NO_SYMLINKS;
    let handle = rustix::fs::openat2(CWD, path, flags, Mode::empty(), resolve)?;
    reopen(&handle, OFlags::RDONLY)
}

/// Open for reading below `dir`; links may be followed, but not out of it.
pub fn open_beneath(dir: &OwnedFd, path: impl AsRef<OsStr>) -> io::Result<File> {
    reopen(
        &beneath::open_beneath(dir, path, OFlags::PATH)?,
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

/// Fill `buffer` from `offset` as far as the file goes.
pub(crate) fn read_at_most(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
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
    Err(NotRegular::refuse(what))
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
    use std::fs;
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
        let handle = beneath::open_dir(dir.path()).unwrap();
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
}
