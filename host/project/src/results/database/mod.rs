//! Read-only SQL on `plugins.db`, under limits.
//!
//! Three walls, each enough alone: the file is opened read-only, an authorizer refuses every action
//! but reading, and no extension or other database can be attached. Memory and time are bounded by
//! limits and by a progress handler.

mod cells;
mod connection;
mod failure;
mod limits;
mod params;

use std::fmt::Write;
use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rookery_contract::Next;
use rookery_contract::options::QueryOptions;
use rookery_contract::shapes::Rows;
use rusqlite::{ErrorCode, OpenFlags, ffi};
use serde_json::{Value, json};

use self::connection::Run;
use self::failure::Failure;
use super::parse::damaged;
use crate::ground::regular;
use crate::ground::scratch::Scratch;
use crate::penguin::result_files::DATABASE as FILE;
use crate::{Cancel, Error, Result, Unavailable};

/// The most that copies of databases may take on the disk, for all that are open at once, in bytes.
const MAX_COPIES: u64 = 4 << 30;
/// The length of a database's header, in bytes.
const HEADER: u64 = 100;
/// What begins the name of a copy's directory.
const COPY_PREFIX: &str = "rookery-db-";

/// A private copy of a database that its writer left in the middle of a transaction, rolled back.
pub(super) type Recovered = OnceLock<Copied>;

/// A copy on the disk, removed and given back to the budget when it is dropped.
#[derive(Debug)]
pub(super) struct Copied {
    dir: Scratch,
    bytes: u64,
}

/// What copies take now.
static COPIES: AtomicU64 = AtomicU64::new(0);

impl Copied {
    fn reserve(bytes: u64) -> Result<Self, Failure> {
        let within = |taken: u64| taken.checked_add(bytes).filter(|all| *all <= MAX_COPIES);
        if COPIES
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, within)
            .is_err()
        {
            return Err(Failure::Error(Error::Limit(format!(
                "the run was killed in the middle of a transaction, and a copy of {FILE} to \
                 recover it would take {bytes} bytes: all copies together may take {MAX_COPIES}. \
                 Try again when other calls have ended, or open the file once with the sqlite3 \
                 shell as a user who may write to it"
            ))));
        }
        let dir = Scratch::make(&std::env::temp_dir(), COPY_PREFIX);
        dir.map(|dir| Self { dir, bytes }).map_err(|error| {
            COPIES.fetch_sub(bytes, Ordering::Relaxed);
            uncopied(&error)
        })
    }
}

impl Drop for Copied {
    fn drop(&mut self) {
        COPIES.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

fn uncopied(error: &std::io::Error) -> Failure {
    Failure::Error(Error::Internal(format!(
        "cannot copy {FILE} to recover it: {error}"
    )))
}

pub(super) struct Database<'a> {
    pub dir: &'a Path,
    pub file: &'a File,
    pub bytes: u64,
    pub recovered: &'a Recovered,
}

impl Database<'_> {
    pub(super) fn query(
        &self,
        sql: &str,
        params: &Value,
        options: &QueryOptions,
        cancel: &Cancel,
    ) -> Result<Rows> {
        // SQLite takes what is shorter than its header for an empty database.
        if self.bytes < HEADER {
            let why = if self.bytes == 0 {
                "the run has recorded nothing yet"
            } else {
                "the file was cut off"
            };
            return Err(Error::Unavailable(Unavailable {
                what: FILE.into(),
                why: why.into(),
                how_to_enable: format!(
                    "Events are written every few seconds: ask again, or call {} for how the run \
                     went",
                    Next::call(
                        "health",
                        json!({ "results_dir": self.dir.to_string_lossy() })
                    )
                ),
            }));
        }
        let started = Instant::now();
        let run = Run {
            sql,
            params,
            options,
            cancel,
            deadline: started + Duration::from_millis(options.timeout_ms().into()),
        };
        let path = self.path()?;
        let mut read = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let outcome = if let Some(copy) = self.recovered.get() {
            run.on(&copy.dir.path().join(FILE), read)
        } else if self.is_logged() && beside(&path, "-wal").exists() {
            // Even a reader writes beside such a database.
            self.recover(&path)
                .and_then(|copy| run.on(&copy, OpenFlags::SQLITE_OPEN_READ_WRITE))
        } else {
            let place = if self.is_logged() {
                read |= OpenFlags::SQLITE_OPEN_URI;
                unchanging(&path)
            } else {
                path.clone()
            };
            match run.on(&place, read) {
                Err(Failure::Sql(error)) if needs_recovery(&error) => self
                    .recover(&path)
                    .and_then(|copy| run.on(&copy, OpenFlags::SQLITE_OPEN_READ_WRITE)),
                outcome => outcome,
            }
        };
        let mut answer = outcome.map_err(|failure| failure.explain(|| run.stopped()))?;
        answer.elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(answer)
    }

    /// Where it really lies: its name may be a link inside the directory.
    fn path(&self) -> Result<PathBuf> {
        let link = self.dir.join(FILE);
        let path = link
            .canonicalize()
            .map_err(|e| Error::io("open", &link, &e))?;
        if !path.starts_with(self.dir) {
            return Err(damaged(
                FILE,
                "it is a link that leads out of the result directory",
            ));
        }
        // SQLite opens these by itself, and would wait at a FIFO.
        for suffix in ["-journal", "-wal", "-shm"] {
            let file = beside(&path, suffix);
            if file.symlink_metadata().is_ok_and(|meta| !meta.is_file()) {
                let why = format!("{FILE}{suffix} beside it is not a regular file; move it away");
                return Err(damaged(FILE, &why));
            }
        }
        Ok(path)
    }

    /// Whether its changes go to a log beside it first.
    fn is_logged(&self) -> bool {
        /// Where the header has the version that is needed to read it.
        const READ_VERSION: u64 = 19;
        let mut version = [0];
        self.file.read_exact_at(&mut version, READ_VERSION).is_ok() && version == [2]
    }

    /// Copy the database with its journal, so that opening the copy can roll back what was
    /// interrupted.
    fn recover(&self, path: &Path) -> Result<PathBuf, Failure> {
        let parts: Vec<(&str, PathBuf, u64)> = ["", "-journal", "-wal"]
            .into_iter()
            .filter_map(|suffix| {
                let from = beside(path, suffix);
                let metadata = from.symlink_metadata().ok().filter(Metadata::is_file)?;
                Some((suffix, from, metadata.len()))
            })
            .collect();
        let copy = Copied::reserve(parts.iter().map(|(_, _, bytes)| bytes).sum())?;
        for (suffix, from, bytes) in &parts {
            let to = copy.dir.path().join(format!("{FILE}{suffix}"));
            copy_at_most(from, &to, *bytes).map_err(|error| uncopied(&error))?;
        }
        let copy = self.recovered.get_or_init(|| copy);
        Ok(copy.dir.path().join(FILE))
    }
}

/// Copy `bytes` of a file that may grow meanwhile.
fn copy_at_most(from: &Path, to: &Path, bytes: u64) -> std::io::Result<()> {
    let mut to = File::create_new(to)?;
    let from = regular::open(from)?;
    std::io::copy(&mut from.take(bytes), &mut to)?;
    Ok(())
}

/// The path of a file that belongs to the database at `path`.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The URI of a database that nobody writes: it is read without locks, and nothing is made beside
/// it.
fn unchanging(path: &Path) -> PathBuf {
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(byte) {
            uri.push(char::from(*byte));
        } else {
            let _ = write!(uri, "%{byte:02x}");
        }
    }
    uri.push_str("?immutable=1");
    uri.into()
}

/// A journal that must be rolled back, or a write-ahead log that must be replayed, cannot be read
/// through a read-only file.
fn needs_recovery(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|e| {
        matches!(e.code, ErrorCode::ReadOnly | ErrorCode::CannotOpen)
            || e.extended_code == ffi::SQLITE_READONLY_ROLLBACK
    })
}
