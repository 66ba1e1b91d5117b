//! The patch file and its history on disk: written whole, one writer at a time, never half.
//!
//! Invariant 6: all changes go to one file, whole or not at all.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;

use super::files::{self, PATCH};
use super::history::{HISTORY, History, Revision, newest};
use super::refusal::Kind;
use crate::ground::fs::clear_away;
use crate::ground::held::{Held, OWN, is_link};
use crate::ground::regular;
use crate::ground::yaml;
use crate::ground::yaml::value::Value;
use crate::{Error, Result};

const LOCK: &str = "lock";
/// A history that outgrows this is cut to the newest revisions that fit into half of it.
const MAX_HISTORY: usize = 4 << 20;
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
        let mut last = newest(self.dir)?;
        let next = |last: &Option<Revision>| last.as_ref().map_or(1, |last| last.number + 1);
        let is_last = last.as_ref().is_some_and(|last| last.holds(old));
        // A state that was made by hand would be lost otherwise.
        if old.is_some() && !is_last {
            let what = "found the file edited by hand";
            let found = Revision::after(None, next(&last), what, [None, old]);
            self.note(&found)?;
            last = Some(found);
        }
        self.write(text)?;
        let made = Revision::after(last.as_ref(), next(&last), change, [old, text]);
        self.note(&made)?;
        Ok(made.number)
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

    fn note(&self, revision: &Revision) -> Result<()> {
        let shown = self.dir.join(OWN).join(HISTORY);
        let path = self.folder.path(HISTORY);
        let io = |error: &std::io::Error| Error::io("write the history", &shown, error);
        let line = revision.line()?;
        if fs::metadata(&path).is_ok_and(|metadata| metadata.len() > MAX_HISTORY as u64) {
            let kept = History::read(self.dir)?.newest_lines(MAX_HISTORY / 2)?;
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

fn refuse_link(dir: &Path, name: &str) -> Result<()> {
    let path = dir.join(name);
    match fs::symlink_metadata(&path) {
        Ok(metadata) if metadata.is_symlink() => Err(is_link(&path)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::history::{History, KEPT, newest};
    use super::{MAX_HISTORY, Store};

    #[test]
    fn a_history_of_large_patches_keeps_the_newest_revisions() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        let store = Store::lock(&dir).unwrap();
        // Nothing in common, so that each is kept whole.
        let letter = |number: u64| char::from(b'a' + u8::try_from(number).unwrap());
        let text = |number: u64| letter(number).to_string().repeat(MAX_HISTORY / 4);
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
        let history = History::read(&dir).unwrap();
        let count = history.revisions.len();
        assert!((KEPT..10).contains(&count));
        let numbers = history.revisions[count - KEPT..]
            .iter()
            .map(|last| last.number);
        assert_eq!(numbers.collect::<Vec<_>>(), [19, 20]);
        assert_eq!(history.text(count - KEPT), Ok(Some(text(19))));
        let newest = newest(&dir).unwrap().unwrap();
        assert!(newest.holds(Some(&text(20))) && !newest.holds(Some(&text(19))));
        let fewest = history.newest_lines(0).unwrap();
        assert_eq!(fewest.lines().count(), KEPT, "never fewer");
    }
}
