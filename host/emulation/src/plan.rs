//! What is to be run: a project's effective configuration, resolved to what a backend needs.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Everything that a backend needs to know. Built from the effective configuration before the supervisor starts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    /// The project directory.
    pub project_dir: PathBuf,
    /// The root filesystem's archive (`core.fs`).
    pub archive: PathBuf,
    /// Where the run's result files go; exists and is empty.
    pub results_dir: PathBuf,
    /// Where unpacked root filesystems and other derived data are kept between runs.
    pub cache_dir: PathBuf,
    /// The guest's architecture, by Penguin's name: `mipsel`, `mipseb`, `armel`, `aarch64`, …
    pub arch: String,
    /// The guest's init (`env.igloo_init`), an absolute path in the guest.
    pub init: String,
    /// The guest's boot arguments and initial environment (`env`), in order.
    pub env: Vec<(String, String)>,
    /// Network devices to create.
    pub netdevs: Vec<String>,
    /// Signals whose sending has no effect.
    pub blocked_signals: Vec<i32>,
    /// Modelled files of `/dev`, `/proc` and `/sys`, by path.
    pub pseudofiles: Vec<(String, Pseudofile)>,
    /// Files to add, replace or remove before the start, by path, in configuration order.
    pub static_files: Vec<(String, StaticFile)>,
    /// NVRAM values.
    pub nvram: Vec<(String, String)>,
    /// U-Boot environment values.
    pub uboot_env: Vec<(String, String)>,
    /// The kernel release that the guest sees, where the configuration names a kernel.
    pub kernel_release: Option<String>,
    /// Record every open, exec and bind in `plugins.db`.
    pub record_events: bool,
    /// Record missing boot arguments and environment.
    pub record_env: bool,
    /// Wall-clock seconds from the start of init to the end of the run.
    pub timeout_s: u64,
    /// Parts of the configuration that this backend does not honour, in words.
    pub notes: Vec<String>,
}

/// One modelled file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pseudofile {
    /// Its size, where one is configured.
    pub size: Option<u64>,
    /// What reading gives.
    pub read: Read,
    /// What writing does.
    pub write: Write,
    /// What ioctl commands answer; a command that is absent gets the wildcard's answer, or `ENOTTY`.
    pub ioctl: Vec<(IoctlCommand, Ioctl)>,
}

/// Which ioctl command an answer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum IoctlCommand {
    /// Every command that has no answer of its own (`"*"`).
    Any,
    /// One command number.
    Number(u32),
}

/// Read models, `facts` of Penguin's `pseudofiles.*.read.model`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Read {
    /// No model: `EINVAL`.
    #[default]
    Default,
    /// These bytes, then end of file (`const_buf`, `zero`, `one`, `empty`, and `const_map`, `from_file`, `stateful` at start).
    Bytes(Vec<u8>),
}

/// Write models.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Write {
    /// Accept and record (`default`, `discard`).
    #[default]
    Discard,
    /// `EINVAL` (`unhandled`).
    Unhandled,
}

/// Ioctl models.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ioctl {
    /// Return this value (`return_const`, `zero`).
    Return(i64),
    /// Copy these bytes to the argument, then return the value (`write_data`).
    WriteData(Vec<u8>, i64),
    /// `ENOTTY` (`unhandled`).
    Unhandled,
}

/// One static file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum StaticFile {
    /// A regular file with these contents.
    Inline { contents: Vec<u8>, mode: u32 },
    /// A copy of a file or directory of the host, below the project.
    Host { path: PathBuf, mode: u32 },
    /// A directory.
    Directory { mode: u32 },
    /// A symbolic link.
    Symlink { target: String },
    /// A device node.
    Device {
        block: bool,
        major: u32,
        minor: u32,
        mode: u32,
    },
    /// Remove the path.
    Delete,
    /// Move another guest path here.
    Move { from: String, mode: Option<u32> },
    /// Move the original to `/igloo/shims/NAME.orig` and link the path to `target`.
    Shim { target: String },
    /// Overwrite bytes of an existing file.
    Patch { edits: Vec<(u64, Vec<u8>)> },
}
