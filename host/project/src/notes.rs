//! What tools keep of a project between their calls: small JSON values, each component's own.
//!
//! They lie beside the history of the patch, and no configuration is made of them.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rookery_contract::options::NoteOptions;
use rookery_contract::shapes::Note;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::ground::fs::clear_away;
use crate::ground::held::{Held, OWN};
use crate::{Error, Project, Result, regular};

const FOLDER: &str = "notes";
const LOCK: &str = ".lock";
const EXTENSION: &str = "json";
/// More of a file than this is not a note: what stands around it is small.
const MAX_FILE: u64 = 2 * NoteOptions::MAX_BYTES as u64;

impl Project {
    /// `notes.read`, of the component `owner`.
    pub fn read_note(&self, owner: &str, name: &str) -> Result<Note> {
        let file = file_of(name)?;
        let folder = self.dir.join(OWN).join(FOLDER).join(folder_of(owner));
        let path = folder.join(file);
        read(&path, &path)
    }

    /// `notes.write`, of the component `owner`.
    pub fn write_note(
        &self,
        owner: &str,
        name: &str,
        note: Value,
        options: &NoteOptions,
    ) -> Result<Note> {
        let file = file_of(name)?;
        let (folder, shown) = self.notes_of(owner)?;
        let _lock = folder.lock(LOCK, &shown, &shown)?;
        clear_away(&folder.path(""), None);
        let shown = shown.join(&file);
        let old = read(&folder.path(&file), &shown)?;
        if let Some(expected) = options
            .expected
            .filter(|expected| *expected != old.revision)
        {
            return Err(Error::Conflict(format!(
                "the note {name} is at revision {}, not {expected}: another call has written it. \
                 Nothing was written; read it again",
                old.revision
            )));
        }
        if note.is_null() {
            return match fs::remove_file(folder.path(&file)) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    Err(Error::io("remove", &shown, &error))
                }
                _ => folder.sync(&shown).map(|()| Note::default()),
            };
        }
        if old.revision == 0 && count(&folder.path("")) >= NoteOptions::MAX_NOTES {
            return Err(Error::Limit(format!(
                "a component keeps at most {} notes of a project; remove one first",
                NoteOptions::MAX_NOTES
            )));
        }
        let new = Note {
            revision: old.revision.saturating_add(1),
            note,
        };
        folder.write_whole(&file, &text_of(&new)?, &shown)?;
        Ok(new)
    }

    /// The folder of a component's notes, and its name.
    fn notes_of(&self, owner: &str) -> Result<(Held, PathBuf)> {
        let mut shown = self.dir.clone();
        let mut folder = Held::open(&shown)?;
        for name in [OWN, FOLDER, &folder_of(owner)] {
            shown.push(name);
            folder = folder.folder(name, &shown)?;
        }
        Ok((folder, shown))
    }
}

fn text_of(note: &Note) -> Result<String> {
    let internal = |error: serde_json::Error| Error::Internal(error.to_string());
    let bytes = note.note.to_string().len();
    if bytes > NoteOptions::MAX_BYTES {
        return Err(Error::Limit(format!(
            "the note would have {bytes} bytes, and {} is the limit",
            NoteOptions::MAX_BYTES
        )));
    }
    serde_json::to_string(note).map_err(internal)
}

/// The note in a file, which need not be there; `shown` is its name for people.
fn read(path: &Path, shown: &Path) -> Result<Note> {
    let text = match regular::read(path, MAX_FILE) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Note::default()),
        Err(error) => return Err(Error::io("read", shown, &error)),
    };
    serde_json::from_slice(&text).map_err(|error| {
        Error::InvalidArgument(format!(
            "{} is damaged ({error}); remove the file",
            shown.display()
        ))
    })
}

fn count(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter(|entry| {
            Path::new(&entry.file_name())
                .extension()
                .is_some_and(|e| e == EXTENSION)
        })
        .count()
}

fn file_of(name: &str) -> Result<String> {
    let clean =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    if (1..=NoteOptions::MAX_NAME).contains(&name.len()) && name.bytes().all(clean) {
        return Ok(format!("{name}.{EXTENSION}"));
    }
    Err(Error::InvalidArgument(format!(
        "a note's name is 1 to {} lower-case letters, digits, `-` and `_`, for example \"ledger\"",
        NoteOptions::MAX_NAME
    )))
}

/// The name of a component's folder: its own, where that is a plain name.
fn folder_of(owner: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if (1..=NoteOptions::MAX_NAME).contains(&owner.len()) && owner.bytes().all(plain) {
        return owner.to_owned();
    }
    let digest = Sha256::digest(owner.as_bytes());
    // The dot keeps it apart from every plain name.
    format!("other.{}", data_encoding::HEXLOWER.encode(&digest[..16]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn project() -> (tempfile::TempDir, Project) {
        let dir = tempfile::tempdir().unwrap();
        let project = Project::at(dir.path()).unwrap();
        (dir, project)
    }

    fn any() -> NoteOptions {
        NoteOptions::default()
    }

    #[test]
    fn a_note_is_kept_until_it_is_removed_and_is_its_writer_s_alone() {
        let (_dir, project) = project();
        assert_eq!(project.read_note("a", "x").unwrap(), Note::default());
        let written = project
            .write_note("a", "x", json!({ "n": 1 }), &any())
            .unwrap();
        assert_eq!(written.revision, 1);
        assert_eq!(project.read_note("a", "x").unwrap(), written);
        for other in ["b", "A", "a/../a", "", "\u{e4}"] {
            assert_eq!(
                project.read_note(other, "x").unwrap(),
                Note::default(),
                "{other}"
            );
            project
                .write_note(other, "x", json!(other), &any())
                .unwrap();
        }
        assert_eq!(project.read_note("a", "x").unwrap(), written);
        project.write_note("a", "x", Value::Null, &any()).unwrap();
        assert_eq!(project.read_note("a", "x").unwrap(), Note::default());
    }

    #[test]
    fn whoever_has_read_an_older_note_writes_nothing() {
        let (_dir, project) = project();
        let first = NoteOptions { expected: Some(0) };
        project.write_note("a", "x", json!(1), &first).unwrap();
        let late = project.write_note("a", "x", json!(2), &first);
        assert!(matches!(late, Err(Error::Conflict(_))), "{late:?}");
        assert_eq!(project.read_note("a", "x").unwrap().note, 1);
    }

    #[test]
    fn notes_are_bounded_in_number_and_size_and_named_plainly() {
        let (_dir, project) = project();
        for n in 0..NoteOptions::MAX_NOTES {
            project
                .write_note("a", &format!("n{n}"), json!(n), &any())
                .unwrap();
        }
        let more = project.write_note("a", "more", json!(1), &any());
        assert!(matches!(more, Err(Error::Limit(_))), "{more:?}");
        project
            .write_note("a", "n0", json!("again"), &any())
            .unwrap();
        project.write_note("b", "more", json!(1), &any()).unwrap();
        let large = json!("x".repeat(NoteOptions::MAX_BYTES));
        let large = project.write_note("a", "n0", large, &any());
        assert!(matches!(large, Err(Error::Limit(_))), "{large:?}");
        for name in ["", ".", "../x", "a/b", "A", "x.json", &"x".repeat(65)] {
            let refused = project.write_note("a", name, json!(1), &any());
            assert!(matches!(refused, Err(Error::InvalidArgument(_))), "{name}");
        }
    }

    #[test]
    fn nothing_is_written_through_a_link() {
        let (dir, project) = project();
        let elsewhere = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), dir.path().join(OWN)).unwrap();
        let refused = project.write_note("a", "x", json!(1), &any());
        assert!(matches!(refused, Err(Error::Denied(_))), "{refused:?}");
        assert_eq!(count_all(elsewhere.path()), 0);
    }

    fn count_all(dir: &Path) -> usize {
        fs::read_dir(dir).unwrap().count()
    }
}
