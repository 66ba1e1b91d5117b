//! The patch file and its history on disk: written whole, one writer at a time, never half.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::fs::{FlockOperation, OFlags, flock};
use serde::{Deserialize, Serialize};

use super::files::{self, PATCH};
use crate::{Error, Result};

const FOLDER: &str = ".rookery";
const PATIENCE: Duration = Duration::from_secs(30);
/// A history that outgrows this is cut to its newest [`KEPT`] revisions.
const MAX_HISTORY: u64 = 4 << 20;
const KEPT: usize = 100;
/// More of a history than this is not ours.
const MAX_READ: u64 = 64 << 20;

/// One state of the patch file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Revision {
    /// Number, from 1.
    #[serde(rename = "revision")]
    pub number: u64,
    /// When it was made, RFC 3339 in UTC.
    pub time: String,
    /// What was done.
    pub change: String,
    /// Text of the file, or nothing where it did not exist.
    pub patch: Option<String>,
}

/// The project's patch, locked against other writers as long as this lives.
pub struct Store<'a> {
    dir: &'a Path,
    _lock: File,
}

/// The text of the patch file, or nothing where it does not exist.
pub fn read_patch(dir: &Path) -> Result<Option<String>> {
    refuse_link(dir, PATCH)?;
    files::read(dir, PATCH).map_err(|refusal| match refusal.kind {
        super::refusal::Kind::Yaml => Error::InvalidArgument(format!(
            "{refusal}; repair it by hand, or reset the patch (the file is moved aside then)"
        )),
        _ => refusal.into(),
    })
}

/// The history, the oldest revision first. What a crash left half-written is left out.
pub fn history(dir: &Path) -> Result<Vec<Revision>> {
    let path = dir.join(FOLDER).join("history.jsonl");
    let open = OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed() | OFlags::NONBLOCK.bits().cast_signed())
        .open(&path);
    let text = match open {
        Ok(mut file) => {
            let mut text = Vec::new();
            Read::take(&mut file, MAX_READ)
                .read_to_end(&mut text)
                .map_err(|error| Error::io("read the history", &path, &error))?;
            String::from_utf8_lossy(&text).into_owned()
        }
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io("read the history", &path, &error)),
    };
    Ok(text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect())
}

impl<'a> Store<'a> {
    /// Wait for other writers, then keep them out.
    pub fn lock(dir: &'a Path) -> Result<Self> {
        let folder = dir.join(FOLDER);
        refuse_link(dir, FOLDER)?;
        match fs::create_dir(&folder) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(Error::io("create", &folder, &error));
            }
            _ => {}
        }
        let path = folder.join("lock");
        let flags = OFlags::NOFOLLOW.bits().cast_signed();
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .custom_flags(flags)
            .open(&path);
        let lock = lock.map_err(|error| Error::io("open", &path, &error))?;
        let start = Instant::now();
        while flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            if start.elapsed() > PATIENCE {
                return Err(Error::Conflict(format!(
                    "another process is changing {}; try again later",
                    dir.display()
                )));
            }
            sleep(Duration::from_millis(2));
        }
        let store = Self { dir, _lock: lock };
        store.sweep();
        Ok(store)
    }

    /// Put `text` in place of the patch file, or remove the file, and note it in the history. Gives the new revision's number.
    pub fn replace(&self, old: Option<&str>, text: Option<&str>, change: &str) -> Result<u64> {
        let history = history(self.dir)?;
        let last = history.last();
        let mut next = last.map_or(1, |revision| revision.number + 1);
        // A state that was made by hand would be lost otherwise.
        if old.is_some() && last.and_then(|revision| revision.patch.as_deref()) != old {
            self.note(next, "found the file edited by hand", old)?;
            next += 1;
        }
        self.write(text)?;
        self.note(next, change, text)?;
        Ok(next)
    }

    /// Move a patch that cannot be kept in the history, because it is no text, out of the way. Gives its new path.
    pub fn set_aside(&self) -> Result<String> {
        let next = history(self.dir)?
            .last()
            .map_or(1, |revision| revision.number + 1);
        let target = format!("{FOLDER}/unreadable-{next}.yaml");
        let from = self.dir.join(PATCH);
        fs::rename(&from, self.dir.join(&target))
            .map_err(|error| Error::io("move away", &from, &error))?;
        Ok(target)
    }

    fn write(&self, text: Option<&str>) -> Result<()> {
        refuse_link(self.dir, PATCH)?;
        let path = self.dir.join(PATCH);
        match text {
            Some(text) => write_whole(&path, text)?,
            None => match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(Error::io("remove", &path, &error));
                }
                _ => {}
            },
        }
        sync_dir(self.dir)
    }

    fn note(&self, number: u64, change: &str, text: Option<&str>) -> Result<()> {
        let path = self.dir.join(FOLDER).join("history.jsonl");
        let io = |error: &std::io::Error| Error::io("write the history", &path, error);
        let entry = Revision {
            number,
            time: now(),
            change: change.to_owned(),
            patch: text.map(str::to_owned),
        };
        let line =
            serde_json::to_string(&entry).map_err(|error| Error::Internal(error.to_string()))?;
        if fs::metadata(&path).is_ok_and(|metadata| metadata.len() > MAX_HISTORY) {
            let history = history(self.dir)?;
            let kept = history
                .iter()
                .skip(history.len().saturating_sub(KEPT))
                .filter_map(|entry| serde_json::to_string(entry).ok());
            write_whole(&path, &kept.map(|line| line + "\n").collect::<String>())?;
        }
        let flags = OFlags::NOFOLLOW.bits().cast_signed();
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .custom_flags(flags)
            .open(&path)
            .map_err(|error| io(&error))?;
        // The first line end closes a line that a crash cut short; readers skip what it leaves.
        file.write_all(format!("\n{line}\n").as_bytes())
            .and_then(|()| file.sync_data())
            .map_err(|error| io(&error))
    }

    /// Remove what a writer that was killed left behind.
    fn sweep(&self) {
        let prefix = format!(".{PATCH}.tmp-");
        for name in files::names(self.dir, |name| name.starts_with(&prefix)) {
            let _ = fs::remove_file(self.dir.join(name));
        }
    }
}

fn refuse_link(dir: &Path, name: &str) -> Result<()> {
    let path = dir.join(name);
    match fs::symlink_metadata(&path) {
        Ok(metadata) if metadata.is_symlink() => Err(Error::Denied(format!(
            "{} is a symbolic link; put the file itself there, nothing is written through a link",
            path.display()
        ))),
        _ => Ok(()),
    }
}

/// Write beside the file, make it durable, then rename over it.
fn write_whole(path: &Path, text: &str) -> Result<()> {
    let io = |error: &std::io::Error| Error::io("write", path, error);
    let folder = path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut file = tempfile::Builder::new()
        .prefix(&format!(".{name}.tmp-"))
        .tempfile_in(&folder)
        .map_err(|error| io(&error))?;
    file.write_all(text.as_bytes())
        .map_err(|error| io(&error))?;
    file.as_file()
        .set_permissions(Permissions::from_mode(0o644))
        .map_err(|error| io(&error))?;
    file.as_file().sync_all().map_err(|error| io(&error))?;
    file.persist(path).map_err(|error| io(&error.error))?;
    sync_dir(&folder)
}

fn sync_dir(dir: &Path) -> Result<()> {
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(|error| Error::io("make durable", dir, &error))
}

fn now() -> String {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs());
    rfc3339(seconds)
}

/// The date of a number of seconds since 1970, by the days of the 400-year cycle counted from a first of March.
fn rfc3339(seconds: u64) -> String {
    let (days, time) = (seconds / 86400 + 719_468, seconds % 86400);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (
        day - (153 * month + 2) / 5 + 1,
        if month < 10 { month + 3 } else { month - 9 },
    );
    let year = era * 400 + year + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        time / 3600,
        time / 60 % 60,
        time % 60
    )
}

#[cfg(test)]
mod tests {
    use super::rfc3339;

    #[test]
    fn times_are_rfc_3339() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_827_696), "2000-02-29T12:34:56Z");
        assert_eq!(rfc3339(4_102_444_799), "2099-12-31T23:59:59Z");
    }
}
