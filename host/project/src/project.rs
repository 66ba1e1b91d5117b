//! A project's configuration and the changes to it, in the shapes of `wit/config.wit`.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{Cancel, Error, Firmware, Result, config};

/// One project directory, below a root. Returned values have the shapes that `wit/config.wit`
/// gives.
#[derive(Debug, Clone)]
pub struct Project {
    pub(crate) dir: PathBuf,
}

impl Project {
    /// Its absolute directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The root filesystem (`firmware.open`).
    pub fn firmware(&self, cancel: &Cancel) -> Result<Firmware> {
        Firmware::open(&self.dir, cancel)
    }

    /// A project in a directory that the caller chose and trusts; [`crate::Roots::project`] is the
    /// way in for everyone else.
    pub fn at(dir: impl Into<PathBuf>) -> Result<Self> {
        let dir = dir.into();
        let dir = dir
            .canonicalize()
            .map_err(|error| Error::io("open the project", &dir, &error))?;
        Ok(Self { dir })
    }

    /// `config.effective`: everything merged, the files in the order in which they apply, and
    /// warnings.
    ///
    /// A project that Penguin would refuse is an error that names the file, the place and what is
    /// allowed there.
    pub fn effective(&self) -> Result<Value> {
        config::effective(&self.dir)
    }

    /// `config.lookup`: the value at a dotted path, the last file that sets it, and what every file
    /// sets there.
    pub fn lookup(&self, path: &str) -> Result<Value> {
        config::lookup(&self.dir, path)
    }

    /// `config.patch`: the patch that changes go to, as data and as text, with its history.
    pub fn patch(&self) -> Result<Value> {
        config::patch(&self.dir)
    }

    /// `config-mutation.apply`: merge `fragment` into the patch; `options` is `{"dry_run",
    /// "replace"}`.
    ///
    /// Nothing is written unless the whole project loads with the change.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "callers hand the fragment over"
    )]
    pub fn apply(&self, fragment: Value, options: &Value) -> Result<Value> {
        config::apply(&self.dir, &fragment, options)
    }

    /// `config-mutation.remove`: take the key at a dotted path out of the patch; `options` is
    /// `{"dry_run"}`.
    pub fn remove(&self, path: &str, options: &Value) -> Result<Value> {
        config::remove(&self.dir, path, options)
    }

    /// `config-mutation.reset`: drop the patch, or with `to_revision` bring a state of it back;
    /// `options` is `{"dry_run", "to_revision"}`.
    ///
    /// Revision 0 is the project without a patch.
    pub fn reset(&self, options: &Value) -> Result<Value> {
        config::reset(&self.dir, options)
    }
}
