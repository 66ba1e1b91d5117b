//! A project's configuration and the changes to it.

use std::path::{Path, PathBuf};

use rookery_contract::options::{ApplyOptions, RemoveOptions, ResetOptions, SetOptions};
use rookery_contract::shapes::{EffectiveConfig, Lookup, Patch};
use serde_json::Value;

use crate::config::{self, Changed, PenguinTrial};
use crate::{Cancel, Error, Firmware, Result};

/// One project directory, below a root.
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
    pub fn effective(&self) -> Result<EffectiveConfig> {
        config::effective(&self.dir)
    }

    /// The whole configuration as the embedded emulator uses it: without the patches that are for
    /// Penguin alone.
    pub fn for_embedded(&self) -> Result<Value> {
        config::for_embedded(&self.dir)
    }

    /// `config.lookup`: the value at a dotted path, the last file that sets it, and what every file
    /// sets there.
    pub fn lookup(&self, path: &str) -> Result<Lookup> {
        config::lookup(&self.dir, path)
    }

    /// `config.patch`: the patch that changes go to, as data and as text, with its history.
    pub fn patch(&self) -> Result<Patch> {
        config::patch(&self.dir)
    }

    /// `config-mutation.apply`: merge `fragment` into the patch.
    ///
    /// Nothing is written unless the whole project loads with the change.
    pub fn apply(&self, fragment: &Value, options: &ApplyOptions) -> Result<Changed> {
        config::apply(&self.dir, fragment, options)
    }

    /// The whole configuration as it would be with `fragment` in the patch, by the rules of
    /// [`Self::apply`]: for a trial run. Nothing is written.
    pub fn tried(&self, fragment: &Value, replace: &[String]) -> Result<Value> {
        Ok(config::tried(&self.dir, fragment, replace)?.to_json())
    }

    /// The same for a run of Penguin's, which reads files: with those that it has to read.
    pub fn tried_by_penguin(
        &self,
        fragment: &Value,
        replace: &[String],
    ) -> Result<(Value, PenguinTrial)> {
        let (config, files) = config::tried_by_penguin(&self.dir, fragment, replace)?;
        Ok((config.to_json(), files))
    }

    /// `config-mutation.set`: set the key at a dotted path of the patch, in the type that the
    /// structure has there.
    pub fn set(&self, path: &str, value: &Value, options: &SetOptions) -> Result<Changed> {
        config::set(&self.dir, path, value, options)
    }

    /// `config-mutation.remove`: take the key at a dotted path out of the patch.
    pub fn remove(&self, path: &str, options: &RemoveOptions) -> Result<Changed> {
        config::remove(&self.dir, path, options)
    }

    /// `config-mutation.reset`: drop the patch, or with `to_revision` bring a state of it back.
    ///
    /// Revision 0 is the project without a patch.
    pub fn reset(&self, options: &ResetOptions) -> Result<Changed> {
        config::reset(&self.dir, options)
    }
}
