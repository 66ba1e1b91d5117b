//! A rehosting project on disk: its configuration merged as Penguin does, changes to its patch, its results, its firmware.
//!
//! This crate is pure: it reads and writes files below the roots it is given, starts nothing, and knows neither
//! WebAssembly nor MCP. All functions block; those that can take long look at a [`Cancel`] flag.

pub mod cancel;
pub mod config;
mod create;
pub mod error;
pub mod firmware;
pub mod results;
pub mod roots;

use std::path::{Path, PathBuf};

pub use cancel::Cancel;
pub use error::{Error, Result};
pub use firmware::{Firmware, Node, Unpacked, unpack};
pub use results::Results;
pub use roots::Roots;
use serde_json::Value;

/// One project directory, below a root. Returned values have the shapes that `wit/config.wit` gives.
#[derive(Debug, Clone)]
pub struct Project {
    dir: PathBuf,
}

impl Project {
    /// Its absolute directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
    /// `config.effective`
    pub fn effective(&self) -> Result<Value> {
        unimplemented!()
    }
    /// `config.lookup`
    pub fn lookup(&self, _path: &str) -> Result<Value> {
        unimplemented!()
    }
    /// `config.patch`
    pub fn patch(&self) -> Result<Value> {
        unimplemented!()
    }
    /// `config-mutation.apply`; `options` as there.
    pub fn apply(&self, _fragment: Value, _options: &Value) -> Result<Value> {
        unimplemented!()
    }
    /// `config-mutation.remove`
    pub fn remove(&self, _path: &str, _options: &Value) -> Result<Value> {
        unimplemented!()
    }
    /// `config-mutation.reset`
    pub fn reset(&self, _options: &Value) -> Result<Value> {
        unimplemented!()
    }
    /// The root filesystem (`firmware.open`).
    pub fn firmware(&self, cancel: &Cancel) -> Result<Firmware> {
        Firmware::open(&self.dir, cancel)
    }
}
