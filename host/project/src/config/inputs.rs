//! What a load reads of a project's directory, noted, so that the next one can tell whether it
//! would read the same.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use super::files;
use super::refusal::Refusal;

/// A project's directory, through which a load reads all that it reads.
pub struct Inputs<'a> {
    dir: &'a Path,
    seen: RefCell<Vec<Seen>>,
}

/// One thing that was asked of the directory, and the answer.
#[derive(Debug)]
pub enum Seen {
    Text(String, Option<String>),
    Names(PathBuf, fn(&str) -> bool, Vec<String>),
    IsFile(PathBuf, bool),
    Exists(PathBuf, bool),
}

impl<'a> Inputs<'a> {
    pub fn new(dir: &'a Path) -> Self {
        Self {
            dir,
            seen: RefCell::default(),
        }
    }

    /// The project's directory, for what is only said of it.
    pub fn dir(&self) -> &'a Path {
        self.dir
    }

    /// [`files::read`]. A load does not go on after a failure, so that needs no note.
    pub fn read(&self, file: &str) -> Result<Option<String>, Refusal> {
        let text = files::read(self.dir, file)?;
        self.note(Seen::Text(file.to_owned(), text.clone()));
        Ok(text)
    }

    /// [`files::names`] in a folder of the project.
    pub fn names(&self, folder: &str, wanted: fn(&str) -> bool) -> Vec<String> {
        let folder = self.dir.join(folder);
        let names = files::names(&folder, wanted);
        self.note(Seen::Names(folder, wanted, names.clone()));
        names
    }

    /// The patches that are found by name, in the order in which they apply, relative to the
    /// project.
    pub fn discover(&self) -> Vec<String> {
        let is_yaml = |name: &str| files::has_extension(name, "yaml");
        let mut found = self.names("", |name| {
            name.starts_with("patch_") && files::has_extension(name, "yaml")
        });
        let more = self.names("patches", is_yaml);
        found.extend(more.iter().map(|name| format!("patches/{name}")));
        found
    }

    pub fn is_file(&self, path: impl AsRef<Path>) -> bool {
        let path = self.dir.join(path);
        let is_file = path.is_file();
        self.note(Seen::IsFile(path, is_file));
        is_file
    }

    pub fn exists(&self, path: &str) -> bool {
        let path = self.dir.join(path);
        let exists = path.exists();
        self.note(Seen::Exists(path, exists));
        exists
    }

    fn note(&self, seen: Seen) {
        self.seen.borrow_mut().push(seen);
    }

    /// All that was asked, and the answers.
    pub fn into_seen(self) -> Vec<Seen> {
        self.seen.into_inner()
    }
}

impl Seen {
    /// Whether the answer would be the same now.
    pub fn is_so(&self, dir: &Path) -> bool {
        match self {
            Self::Text(file, text) => files::read(dir, file).is_ok_and(|now| now == *text),
            Self::Names(folder, wanted, names) => files::names(folder, wanted) == *names,
            Self::IsFile(path, is_file) => path.is_file() == *is_file,
            Self::Exists(path, exists) => path.exists() == *exists,
        }
    }
}
