//! What is to be run: a project's effective configuration, resolved to what a backend needs.

mod addresses;
mod build;
mod files;
mod flash;
mod library;
pub mod models;
pub mod notes;
mod paths;
mod unsupported;
mod uplink;
mod usual;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::ports::Ports;

pub use addresses::Address;
pub use flash::{Flash, Held};
pub use uplink::{Time, Uplink};

/// Everything that a backend needs to know. Built from the effective configuration before the
/// supervisor starts.
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
    /// How many bytes unpacked root filesystems may take there, where the operator says it.
    #[serde(default)]
    pub cache_max: Option<u64>,
    /// The guest's architecture, by Penguin's name: `mipsel`, `mipseb`, `armel`, `aarch64`, …
    pub arch: String,
    /// The guest's init (`env.igloo_init`), an absolute path in the guest.
    pub init: String,
    /// The guest's boot arguments and initial environment (`env`), in order.
    pub env: Vec<(String, String)>,
    /// Network devices to create.
    pub netdevs: Vec<String>,
    /// Addresses that network devices have.
    #[serde(default)]
    pub addresses: Vec<Address>,
    /// The interface behind which something answers, where there is one.
    #[serde(default)]
    pub uplink: Option<Uplink>,
    /// Record what goes over them.
    #[serde(default)]
    pub capture: bool,
    /// Signals whose sending has no effect.
    pub blocked_signals: Vec<i32>,
    /// Modelled files of `/dev`, `/proc` and `/sys`, by path.
    pub pseudofiles: Vec<(String, Pseudofile)>,
    /// What drivers of network interfaces answer.
    #[serde(default)]
    pub interface_ioctls: Vec<InterfaceIoctl>,
    /// Flash partitions, by their numbers.
    #[serde(default)]
    pub flash: Vec<Flash>,
    /// Files to add, replace or remove before the start, by path, in configuration order.
    pub static_files: Vec<(String, StaticFile)>,
    /// NVRAM values.
    pub nvram: Vec<(String, String)>,
    /// The library that programs load before their own.
    #[serde(default)]
    pub library: Library,
    /// U-Boot environment values.
    pub uboot_env: Vec<(String, String)>,
    /// The kernel release that the guest sees, where the configuration names a kernel.
    pub kernel_release: Option<String>,
    /// The processor to emulate (`core.cpu`), by qemu's name; `None` where the emulator chooses.
    pub cpu: Option<String>,
    /// What `/proc/cmdline` ends with (`core.kernel_cmdline_append`).
    #[serde(default)]
    pub kernel_cmdline_append: Option<String>,
    /// Record every open, exec and bind in `plugins.db`.
    pub record_events: bool,
    /// Record missing boot arguments and environment.
    pub record_env: bool,
    /// Wall-clock seconds from the start of the run, its preparation included, to its end.
    pub timeout_s: u64,
    /// What the run may have instead where its services are still being started at its end; nothing
    /// where its length was asked for.
    #[serde(default)]
    pub extended_s: Option<u64>,
    /// The bytes of the host's memory that the guest may have.
    #[serde(default = "memory_max")]
    pub memory_max: u64,
    /// What the operator says of the host's ports that lead to the guest's.
    #[serde(default)]
    pub ports: Ports,
    /// Parts of the configuration that this backend does not honour, in words.
    pub notes: Vec<String>,
}

/// The library that programs load before their own: what Penguin calls `lib_inject`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Library {
    /// No program loads it (`lib_inject.enabled`).
    pub disabled: bool,
    /// Further names of its functions, each with the function's own (`lib_inject.aliases`).
    pub names: Vec<(String, String)>,
}

/// What a guest may have where its operator says nothing else.
pub const fn memory_max() -> u64 {
    1 << 30
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
    /// When it is ready, to a program that waits for that.
    #[serde(default)]
    pub poll: Poll,
    /// Whether its position cannot be set: `lseek` fails with `ESPIPE`.
    #[serde(default)]
    pub unseekable: bool,
    /// What ioctl commands answer; a command that is absent gets the wildcard's answer, or
    /// `ENOTTY`.
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
    /// These bytes, then end of file (`const_buf`, `zero`, `one`, `empty`, and `const_map`,
    /// `from_file` at start).
    Bytes(Vec<u8>),
    /// These bytes over and over, without an end (`cycle`).
    Cycle(Vec<u8>),
    /// These bytes at first, later what was written (`stateful`).
    Stateful(Vec<u8>),
    /// One entry after the other, each until it was read to its end (`sequence`).
    Sequence {
        /// What each gives, then end of file.
        entries: Vec<Vec<u8>>,
        /// The first follows the last, which else stays.
        wraps: bool,
    },
}

/// Write models.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Write {
    /// Accept; a stateful file has it then (`default`).
    #[default]
    Record,
    /// Accept, and forget (`discard`).
    Discard,
    /// Write it to a file of the run's results, by a path below `written/` there (`to_file`).
    ToFile(PathBuf),
    /// `EINVAL` (`unhandled`).
    Unhandled,
    /// Return this value without effect (`return_const`).
    Return(i32),
}

/// Poll models.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Poll {
    /// Always (`always_ready`).
    #[default]
    Always,
    /// Never (`blocking`).
    Never,
    /// Readable once in so many milliseconds (`periodic`).
    Periodic(u32),
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
    /// The time as a `struct rtc_time`: what no configuration can say.
    Time,
    /// A vendor's flash chip does this, which no configuration can say either.
    FlashChip(ChipCommand),
}

/// What a vendor's driver of a flash chip is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChipCommand {
    /// Read bytes.
    Read,
    /// Write bytes, whatever was there.
    Write,
    /// Nothing: the drivers erase what they write.
    Erase,
}

/// What a command answers that is about an interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceIoctl {
    /// The interface's name; every interface, where there is none.
    pub interface: Option<String>,
    /// The command.
    pub command: IoctlCommand,
    /// Its answer.
    pub answer: Ioctl,
    /// Data goes where the pointer behind the interface's name leads, else behind the name.
    pub by_pointer: bool,
}

/// One static file. Modes are permission bits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum StaticFile {
    /// A regular file.
    Inline {
        /// What it holds.
        contents: Vec<u8>,
        /// Its mode.
        mode: u32,
    },
    /// A copy of a file or directory of the host, below the project. Links in the directory stay
    /// links.
    Host {
        /// Its absolute path on the host, without links.
        path: PathBuf,
        /// The mode of the copy; for a directory, of everything in it.
        mode: u32,
    },
    /// A directory.
    Directory {
        /// Its mode.
        mode: u32,
    },
    /// A symbolic link.
    Symlink {
        /// Where it leads, as it is written into the link.
        target: String,
    },
    /// A device node.
    Device {
        /// Block device, else character device.
        block: bool,
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
        /// Its mode.
        mode: u32,
    },
    /// Remove the path.
    Delete,
    /// Move another guest path here.
    Move {
        /// The path that is moved.
        from: String,
        /// Its new mode, where it gets one.
        mode: Option<u32>,
    },
    /// Move the original to `/igloo/shims/NAME.orig` and link the path to `target`.
    Shim {
        /// The guest path that takes the original's place.
        target: String,
    },
    /// Overwrite bytes of an existing file.
    Patch {
        /// Offsets in the file, and what is written there.
        edits: Vec<(u64, Vec<u8>)>,
    },
}
