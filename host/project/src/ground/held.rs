//! Directories that are written into: whoever puts a link in the place of one has nothing written
//! elsewhere.

use std::fs;
use std::io::ErrorKind;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::fs::{replace, try_lock};
use super::regular;
use crate::{Error, Result};

/// The folder of a project that is Rookery's own.
pub(crate) const OWN: &str = ".rookery";
/// A writer waits so long for another.
const PATIENCE: Duration = Duration::from_secs(30);

/// A directory that stays the same, whatever its name comes to mean.
pub(crate) struct Held(OwnedFd);

impl Held {
    /// `dir` is canonical: what is opened must lie there and nowhere else.
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let held = rustix::fs::open(dir, flags, Mode::empty())
            .map(Self)
            .map_err(|errno| match errno {
                Errno::LOOP | Errno::NOTDIR => is_link(dir),
                errno => Error::io("open", dir, &errno.into()),
            })?;
        match fs::read_link(held.path("")) {
            Ok(real) if real == dir => Ok(held),
            _ => Err(is_link(dir)),
        }
    }

    /// The folder `name` in it, which is `shown`, made where it is not there.
    pub(crate) fn folder(&self, name: &str, shown: &Path) -> Result<Self> {
        match fs::create_dir(self.path(name)) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                Err(Error::io("create", shown, &error))
            }
            _ => Self::open(shown),
        }
    }

    /// The path of `name` in it, for as long as it is held.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        let own = PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()));
        if name.is_empty() { own } else { own.join(name) }
    }

    /// Keep other writers out, after those that are at it, for as long as the file `name` is open.
    /// `shown` is this directory's name for people, and `changed` what the writers change.
    pub(crate) fn lock(&self, name: &str, shown: &Path, changed: &Path) -> Result<fs::File> {
        let lock = regular::create(&self.path(name))
            .map_err(|error| Error::io("open", &shown.join(name), &error))?;
        let start = Instant::now();
        while try_lock(&lock).is_err() {
            if start.elapsed() > PATIENCE {
                return Err(Error::Conflict(format!(
                    "another process is changing {}; try again later",
                    changed.display()
                )));
            }
            sleep(Duration::from_millis(2));
        }
        Ok(lock)
    }

    /// Write all of a file. `shown` is its name for people.
    pub(crate) fn write_whole(&self, name: &str, text: &str, shown: &Path) -> Result<()> {
        replace(&self.path(name), text.as_bytes(), true)
            .map_err(|error| Error::io("write", shown, &error))?;
        self.sync(shown)
    }

    /// What was written and removed in it stays so after the machine lost its power.
    pub(crate) fn sync(&self, shown: &Path) -> Result<()> {
        rustix::fs::fsync(&self.0).map_err(|errno| Error::io("make durable", shown, &errno.into()))
    }
}

/// What is said of a name that does not lead where it says.
pub(crate) fn is_link(path: &Path) -> Error {
    Error::Denied(format!(
        "{} is a symbolic link, or was moved; put what it leads to in its place: nothing is \
         written through a link",
        path.display()
    ))
}
