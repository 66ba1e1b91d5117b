//! The patch file and its history on disk: written whole, one writer at a time, never half.
//!
//! Invariant 6: all changes go to one file, whole or not at all.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::files::{self, PATCH};
use super::refusal::Kind;
use crate::ground::fs::clear_away;
use crate::ground::held::{Held, OWN, is_link};
use crate::ground::regular;
use crate::ground::time::rfc3339;
use crate::ground::yaml;
use crate::ground::yaml::value::Value;
use crate::{Error, Result};

const HISTORY: &str = "history.jsonl";
const LOCK: &str = "lock";
/// A history that outgrows this is cut to the newest revisions that fit into half of it.
const MAX_HISTORY: usize = 4 << 20;
/// Revisions that are kept however large they are: undoing needs the one before.
const KEPT: usize = 2;
/// More of a history than this, counted from its end, is not ours.
const MAX_READ: u64 = 64 << 20;

/// The newest revision is looked for in so much of the end of a history, then in more.
const NEWEST_READ: u64 = 64 << 10;

/// Revisions are numbered below this.
const MAX_REVISION: u64 = 1 << 53;

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
///
/// Everything is written through descriptors of the project's directory and of the folder in it:
/// whoever puts a link in the place of one of them has nothing written elsewhere.
pub struct Store<'a> {
    dir: &'a Path,
    project: Held,
    folder: Held,
    _lock: File,
}

/// The text of the patch file, or nothing where it does not exist.
pub fn read_patch(dir: &Path) -> Result<Option<String>> {
    refuse_link(dir, PATCH)?;
    files::read(dir, PATCH).map_err(|refusal| match refusal.kind {
        Kind::Yaml => Error::InvalidArgument(format!(
            "{refusal}; repair it by hand, or reset the patch (the file is moved aside then)"
        )),
        _ => refusal.into(),
    })
}

/// The content of the patch file, templates unrendered.
pub fn parse_patch(text: Option<&str>) -> Result<Value> {
    let Some(text) = text else {
        return Ok(Value::empty());
    };
    let advice = "repair it by hand, or reset the patch (its text stays in the history)";
    match yaml::parse_known(text) {
        Ok(Value::Null) => Ok(Value::empty()),
        Ok(tree @ Value::Map(_)) => Ok(tree),
        Ok(other) => Err(Error::InvalidArgument(format!(
            "{PATCH} must be a mapping of sections, not {}; {advice}",
            other.kind()
        ))),
        Err(error) => Err(Error::InvalidArgument(format!(
            "{PATCH} cannot be read: {error}; {advice}"
        ))),
    }
}

/// The history, the oldest revision first. What a crash left half-written is left out.
pub fn history(dir: &Path) -> Result<Vec<Revision>> {
    let (text, _) = end_of_history(dir, MAX_READ)?;
    Ok(text.lines().filter_map(revision).collect())
}

/// The newest revision of the history: a change needs no other, and a history may be long.
pub fn newest(dir: &Path) -> Result<Option<Revision>> {
    let mut length = NEWEST_READ;
    loop {
        let (text, is_all) = end_of_history(dir, length)?;
        let found = text.lines().rev().find_map(revision);
        if found.is_some() || is_all {
            return Ok(found);
        }
        length *= 4;
    }
}

/// At most so many bytes of the history, from its end, and whether there is no more to be had. The
/// first line may be half of one.
fn end_of_history(dir: &Path, length: u64) -> Result<(String, bool)> {
    let path = dir.join(OWN).join(HISTORY);
    let io = |error: &_| Error::io("read the history", &path, error);
    let mut file = match regular::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok((String::new(), true)),
        Err(error) => return Err(io(&error)),
    };
    let mut text = Vec::new();
    let size = file.metadata().map_err(|error| io(&error))?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(length)))
        .and_then(|_| Read::take(&mut file, length).read_to_end(&mut text))
        .map_err(|error| io(&error))?;
    let is_all = length >= size.min(MAX_READ);
    Ok((String::from_utf8_lossy(&text).into_owned(), is_all))
}

/// A line of the history. One that no other could follow was not written by us.
fn revision(line: &str) -> Option<Revision> {
    let revision: Revision = serde_json::from_str(line).ok()?;
    (revision.number < MAX_REVISION).then_some(revision)
}

impl<'a> Store<'a> {
    /// Wait for other writers, then keep them out.
    pub fn lock(dir: &'a Path) -> Result<Self> {
        let project = Held::open(dir)?;
        let own = dir.join(OWN);
        let folder = project.folder(OWN, &own)?;
        let store = Self {
            _lock: folder.lock(LOCK, &own, dir)?,
            dir,
            project,
            folder,
        };
        store.sweep();
        Ok(store)
    }

    /// Put `text` in place of the patch file, or remove the file, and note it in the history. Gives
    /// the new revision's number.
    pub fn replace(&self, old: Option<&str>, text: Option<&str>, change: &str) -> Result<u64> {
        let last = newest(self.dir)?;
        let mut next = last.as_ref().map_or(1, |revision| revision.number + 1);
        // A state that was made by hand would be lost otherwise.
        if old.is_some() && last.and_then(|revision| revision.patch).as_deref() != old {
            self.note(next, "found the file edited by hand", old)?;
            next += 1;
        }
        self.write(text)?;
        self.note(next, change, text)?;
        Ok(next)
    }

    /// Move a patch that cannot be kept in the history, because it is no text, out of the way.
    /// Gives its new path.
    pub fn set_aside(&self) -> Result<String> {
        let next = newest(self.dir)?.map_or(1, |revision| revision.number + 1);
        let target = format!("{OWN}/unreadable-{next}.yaml");
        fs::rename(self.project.path(PATCH), self.project.path(&target))
            .map_err(|error| Error::io("move away", &self.dir.join(PATCH), &error))?;
        Ok(target)
    }

    fn write(&self, text: Option<&str>) -> Result<()> {
        refuse_link(self.dir, PATCH)?;
        let shown = self.dir.join(PATCH);
        match text {
            Some(text) => self.project.write_whole(PATCH, text, &shown),
            None => match fs::remove_file(self.project.path(PATCH)) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    Err(Error::io("remove", &shown, &error))
                }
                _ => self.project.sync(&shown),
            },
        }
    }

    fn note(&self, number: u64, change: &str, text: Option<&str>) -> Result<()> {
        let shown = self.dir.join(OWN).join(HISTORY);
        let path = self.folder.path(HISTORY);
        let io = |error: &std::io::Error| Error::io("write the history", &shown, error);
        let entry = Revision {
            number,
            time: rfc3339(SystemTime::now()),
            change: change.to_owned(),
            patch: text.map(str::to_owned),
        };
        let line =
            serde_json::to_string(&entry).map_err(|error| Error::Internal(error.to_string()))?;
        if fs::metadata(&path).is_ok_and(|metadata| metadata.len() > MAX_HISTORY as u64) {
            let kept = fitting(&history(self.dir)?, MAX_HISTORY / 2);
            self.folder.write_whole(HISTORY, &kept, &shown)?;
        }
        let mut file = regular::append(&path).map_err(|error| io(&error))?;
        // The first line end closes a line that a crash cut short; readers skip what it leaves.
        file.write_all(format!("\n{line}\n").as_bytes())
            .and_then(|()| file.sync_data())
            .map_err(|error| io(&error))
    }

    /// Remove what a writer that was killed left behind.
    fn sweep(&self) {
        clear_away(&self.project.path(""), Some(PATCH));
        clear_away(&self.folder.path(""), Some(HISTORY));
    }
}

/// The lines of the newest revisions that fit into `bytes`.
fn fitting(history: &[Revision], bytes: usize) -> String {
    let mut left = bytes;
    let lines = history.iter().rev().enumerate().map_while(|(at, entry)| {
        let line = serde_json::to_string(entry).ok()? + "\n";
        let fits = line.len() <= left;
        left = left.saturating_sub(line.len());
        (fits || at < KEPT).then_some(line)
    });
    let lines: Vec<_> = lines.collect();
    lines.into_iter().rev().collect()
}

fn refuse_link(dir: &Path, name: &str) -> Result<()> {
    let path = dir.join(name);
    match fs::symlink_metadata(&path) {
        Ok(metadata) if metadata.is_symlink() => Err(is_link(&path)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT, MAX_HISTORY, Store, fitting, history, newest};

    #[test]
    fn a_history_of_large_patches_keeps_the_newest_revisions() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        let store = Store::lock(&dir).unwrap();
        let text = |number: u64| format!("{number}{}", "a".repeat(MAX_HISTORY / 4));
        let mut old = None;
        for number in 1..=20 {
            let new = text(number);
            assert_eq!(store.replace(old.as_deref(), Some(&new), "x"), Ok(number));
            old = Some(new);
        }
        // A crash left half a line.
        let path = dir.join(".rookery/history.jsonl");
        let written = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, written + "{\"revision\": 2").unwrap();
        let history = history(&dir).unwrap();
        assert!(history.len() < 10 && history.len() >= KEPT);
        let last = &history[history.len() - KEPT..];
        assert_eq!((last[0].number, last[1].number), (19, 20));
        assert_eq!(last[0].patch, Some(text(19)));
        assert_eq!(newest(&dir).unwrap().unwrap().patch, Some(text(20)));
        assert_eq!(fitting(&history, 0).lines().count(), KEPT, "never fewer");
    }
}
