//! A rehosting project on disk: its configuration merged as Penguin does, changes to its patch, its results, its firmware.
//!
//! This crate is pure: it reads and writes files below the roots it is given, starts nothing, and knows neither
//! WebAssembly nor MCP. All functions block; those that can take long look at a [`Cancel`] flag.

pub mod cancel;
pub mod config;
pub mod error;
pub mod project;

use std::path::{Path, PathBuf};

pub use cancel::Cancel;
pub use error::{Error, Result};
use serde_json::Value;

/// The directories below which everything must lie.
#[derive(Debug, Clone)]
pub struct Roots {
    dirs: Vec<PathBuf>,
}

impl Roots {
    /// Confine to `dirs`; each must exist.
    pub fn new(dirs: impl IntoIterator<Item = PathBuf>) -> Result<Self> {
        Ok(Self { dirs: dirs.into_iter().collect() })
    }
    /// Whether `path` lies below a root once links are resolved.
    pub fn contains(&self, _path: &Path) -> bool {
        unimplemented!()
    }
    /// Open a project directory, absolute or relative to the first root.
    pub fn project(&self, _dir: &str) -> Result<Project> {
        let _ = &self.dirs;
        unimplemented!()
    }
    /// Open a result directory (see `wit/results.wit`, `open`).
    pub fn results(&self, _project: Option<&str>, _results_dir: Option<&str>) -> Result<Results> {
        unimplemented!()
    }
    /// Make a new project (see `wit/config.wit`, `init-project`).
    pub fn create(&self, _rootfs: &str, _output: &str, _cancel: &Cancel) -> Result<Value> {
        unimplemented!()
    }
}

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
    /// The root filesystem (`firmware.open`).
    pub fn firmware(&self, _cancel: &Cancel) -> Result<Firmware> {
        unimplemented!()
    }
}

/// One result directory, read-only. Returned values have the shapes that `wit/results.wit` gives.
#[derive(Debug, Clone)]
pub struct Results {
    dir: PathBuf,
}

impl Results {
    /// Its absolute directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
    /// `run-results.status`
    pub fn status(&self) -> Result<Value> {
        unimplemented!()
    }
    /// `run-results.read-yaml`
    pub fn read_yaml(&self, _file: &str) -> Result<Value> {
        unimplemented!()
    }
    /// `run-results.read-csv`
    pub fn read_csv(&self, _file: &str, _options: &Value, _cancel: &Cancel) -> Result<Value> {
        unimplemented!()
    }
    /// `run-results.search`
    pub fn search(&self, _file: &str, _pattern: &str, _options: &Value, _cancel: &Cancel) -> Result<Value> {
        unimplemented!()
    }
    /// `run-results.read-text`
    pub fn read_text(&self, _file: &str, _offset: i64, _length: u32) -> Result<Value> {
        unimplemented!()
    }
    /// `run-results.query`
    pub fn query(&self, _sql: &str, _params: &Value, _options: &Value, _cancel: &Cancel) -> Result<Value> {
        unimplemented!()
    }
}

/// One project's root filesystem, read-only. Returned values have the shapes that `wit/firmware.wit` gives.
#[derive(Debug, Clone)]
pub struct Firmware {
    archive: PathBuf,
}

impl Firmware {
    /// `root-filesystem.list-directory`
    pub fn list_directory(&self, _path: &str, _options: &Value) -> Result<Value> {
        let _ = &self.archive;
        unimplemented!()
    }
    /// `root-filesystem.stat`
    pub fn stat(&self, _path: &str) -> Result<Value> {
        unimplemented!()
    }
    /// `root-filesystem.read`
    pub fn read(&self, _path: &str, _offset: u64, _length: u32) -> Result<Vec<u8>> {
        unimplemented!()
    }
    /// `root-filesystem.search`
    pub fn search(&self, _pattern: &str, _options: &Value, _cancel: &Cancel) -> Result<Value> {
        unimplemented!()
    }
    /// `root-filesystem.init-candidates`
    pub fn init_candidates(&self) -> Result<Value> {
        unimplemented!()
    }
}

/// Unpack a root filesystem archive for the embedded emulator.
///
/// Every entry lands below `into`; device nodes are not made but reported. Hostile archives (`..`, links that lead out, bombs) are refused.
pub fn unpack(_archive: &Path, _into: &Path, _cancel: &Cancel) -> Result<Unpacked> {
    unimplemented!()
}

/// What [`unpack`] found.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub struct Unpacked {
    /// Number of entries.
    pub entries: u64,
    /// Bytes of regular files.
    pub bytes: u64,
    /// Device nodes, which an unprivileged user cannot make.
    pub nodes: Vec<Node>,
}

/// A device node of the archive.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Node {
    /// Absolute path in the guest.
    pub path: String,
    /// Block device, else character device.
    pub block: bool,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Permission bits.
    pub mode: u32,
}
