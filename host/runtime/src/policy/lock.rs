//! The lock: which components were installed when the operator looked, and what is said of others.

use std::fmt::Write as _;
use std::path::Path;

use rookery_project::regular;
use serde::Deserialize;

use super::{PolicyError, digest};
use crate::decision::Refusal;

/// A lock holds a line or two for each component.
const LOCK_BYTES: u64 = 1 << 20;
/// The version of the format.
const VERSION: u32 = 1;

/// Digests outside which nothing is served.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    version: u32,
    #[serde(default)]
    plugin: Vec<Locked>,
}

/// One component as it was.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(deny_unknown_fields)]
struct Locked {
    name: String,
    sha256: String,
    /// Whether it came with the program, which grants it more: one that moves there is another.
    built_in: bool,
}

/// Where a component lies, in the words of a refusal.
fn place(built_in: bool) -> &'static str {
    if built_in {
        "among the built-in plugins"
    } else {
        "among the added plugins"
    }
}

impl Lock {
    /// Of all components that were admitted.
    pub(crate) fn of<'a>(plugins: impl Iterator<Item = (String, &'a str, bool)>) -> Self {
        let mut plugin: Vec<_> = plugins
            .map(|(name, sha256, built_in)| Locked {
                name,
                sha256: sha256.to_owned(),
                built_in,
            })
            .collect();
        plugin.sort();
        Self {
            version: VERSION,
            plugin,
        }
    }

    /// Read a lock.
    pub fn read(file: &Path) -> Result<Self, PolicyError> {
        let cannot = |why: &dyn std::fmt::Display| {
            PolicyError(format!(
                "the lock {} cannot be used: {why}. `rookery plugins lock` writes one",
                file.display()
            ))
        };
        let bytes = regular::read(file, LOCK_BYTES).map_err(|error| cannot(&error))?;
        let text = String::from_utf8(bytes).map_err(|error| cannot(&error))?;
        Self::from_toml(&text).map_err(|error| cannot(&error))
    }

    fn from_toml(text: &str) -> Result<Self, String> {
        let mut lock: Self =
            toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
        if lock.version != VERSION {
            return Err(format!(
                "its version is {}, and this program reads {VERSION}",
                lock.version
            ));
        }
        for locked in &mut lock.plugin {
            locked.sha256 = digest(&locked.sha256).map_err(|error| error.0)?;
        }
        lock.plugin.sort();
        Ok(lock)
    }

    /// As a file.
    pub fn to_toml(&self) -> String {
        let mut text = format!(
            "# Written by `rookery plugins lock`. `rookery serve --locked` serves these components \
             only.\nversion = {VERSION}\n"
        );
        for Locked {
            name,
            sha256,
            built_in,
        } in &self.plugin
        {
            // A TOML string escapes as JSON does, and one character more.
            let name = serde_json::Value::from(name.as_str()).to_string();
            let name = name.replace('\u{7f}', "\\u007f");
            let _ = write!(
                text,
                "\n[[plugin]]\nname = {name}\nsha256 = \"{sha256}\"\nbuilt_in = {built_in}\n"
            );
        }
        text
    }

    /// How many components it names.
    pub fn len(&self) -> usize {
        self.plugin.len()
    }

    /// Whether it names none.
    pub fn is_empty(&self) -> bool {
        self.plugin.is_empty()
    }

    /// What is new in it beside `old`, a line each.
    pub fn differences(&self, old: &Self) -> Vec<String> {
        let named = |lock: &Self, of: &Locked| {
            let mut same = lock.plugin.iter();
            same.any(|other| other.name == of.name && other.built_in == of.built_in)
        };
        let new = self.plugin.iter().filter(|new| !old.plugin.contains(new));
        let new = new.map(|new| {
            let verb = if named(old, new) { "changed" } else { "added" };
            format!("{verb} {}", new.name)
        });
        let gone = old.plugin.iter().filter(|gone| !named(self, gone));
        new.chain(gone.map(|gone| format!("gone {}", gone.name)))
            .collect()
    }

    /// Whether the component of this file name and digest is one of those that were installed.
    pub(crate) fn admit(&self, name: &str, digest: &str, built_in: bool) -> Result<(), Refusal> {
        let mut of_the_name = self.plugin.iter().filter(|locked| locked.name == name);
        let mut here = of_the_name.clone().filter(|one| one.built_in == built_in);
        if here.clone().any(|locked| locked.sha256 == digest) {
            return Ok(());
        }
        let what = match (here.next(), of_the_name.next()) {
            (Some(locked), _) => format!(
                "`{name}` was changed: the lock has the SHA-256 digest {}, and its file has \
                 {digest}",
                locked.sha256
            ),
            (None, Some(_)) => format!(
                "`{name}` was moved: its file lies {}, where the lock does not have it",
                place(built_in)
            ),
            (None, None) => format!("`{name}` was added: the lock does not name it"),
        };
        Err(Self::refusal(&what))
    }

    /// The components that it names and that are not among those `installed`, of which the name is
    /// given and whether they are built in.
    pub(crate) fn missing(&self, installed: &[(String, bool)]) -> Vec<(String, Refusal)> {
        let is_there = |locked: &Locked| {
            let mut installed = installed.iter();
            installed.any(|(name, built_in)| *name == locked.name && *built_in == locked.built_in)
        };
        let missing = self.plugin.iter().filter(|locked| !is_there(locked));
        let refused = missing.map(|Locked { name, built_in, .. }| {
            let what = format!(
                "`{name}` is missing: the lock names it {}, and its file is not there",
                place(*built_in)
            );
            (name.clone(), Self::refusal(&what))
        });
        refused.collect()
    }

    fn refusal(what: &str) -> Refusal {
        Refusal::by(
            "lock",
            format!(
                "{what}. If that is what the operator wants, `rookery plugins lock` writes the \
                 lock anew"
            ),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "00000000000000000000000000000000000000000000000000000000000000aa";
    const B: &str = "00000000000000000000000000000000000000000000000000000000000000bb";

    fn lock(plugins: &[(&str, &str, bool)]) -> Lock {
        let plugins = plugins.iter();
        Lock::of(plugins.map(|(name, digest, built_in)| ((*name).to_owned(), *digest, *built_in)))
    }

    #[test]
    fn a_lock_is_read_as_it_was_written() {
        let lock = lock(&[("run", A, true), ("odd \"name\"\u{7f}\u{1}é", B, false)]);
        assert_eq!(Lock::from_toml(&lock.to_toml()), Ok(lock));
    }

    #[test]
    fn what_is_not_as_it_was_is_refused_by_name_and_kind() {
        let lock = lock(&[("run", A, true), ("mine", A, false)]);
        assert_eq!(lock.admit("run", A, true), Ok(()));
        let refusal = |name: &str, digest: &str, built_in: bool| {
            let refusal = lock.admit(name, digest, built_in).unwrap_err();
            assert_eq!(refusal.rule, "lock");
            refusal.reason
        };
        assert!(refusal("run", B, true).starts_with("`run` was changed"));
        assert!(refusal("other", A, false).starts_with("`other` was added"));
        // Built-in plugins may do more: the same bytes there are not the same thing.
        assert!(refusal("mine", A, true).starts_with("`mine` was moved"));
        let missing = lock.missing(&[("run".to_owned(), true), ("mine".to_owned(), true)]);
        assert_eq!(missing.len(), 1);
        assert!(missing[0].1.reason.starts_with("`mine` is missing"));
    }

    #[test]
    fn a_new_lock_says_what_became_of_the_old_one() {
        let old = lock(&[("a", A, true), ("b", A, true), ("c", A, true)]);
        let new = lock(&[("a", A, true), ("b", B, true), ("d", A, true)]);
        assert_eq!(new.differences(&old), ["changed b", "added d", "gone c"]);
        assert!(new.differences(&new).is_empty());
    }

    #[test]
    fn a_lock_that_is_not_one_is_refused_in_words() {
        for text in [
            "",
            "version = 2",
            "version = 1\n[[plugin]]\nname = 'a'\nsha256 = 'abc'\nbuilt_in = true",
            "version = 1\n[[plugin]]\nname = 'a'",
            "version = 1\nmore = 1",
        ] {
            assert!(Lock::from_toml(text).is_err(), "{text}");
        }
        let dir = tempfile::tempdir().unwrap();
        let error = Lock::read(&dir.path().join("none"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("rookery plugins lock"), "{error}");
    }
}
