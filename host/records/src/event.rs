//! What happened in the guest, as a backend saw it. Collectors turn these into Penguin's result
//! files.
//!
//! Strings come from the guest: they are data, may hold any character, and are bounded by the
//! backend to 4 KiB each, and lists of them to 32 KiB together.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rookery_contract::shapes::ServiceAnswer;

/// One thing that happened.
#[derive(Debug, Clone)]
pub struct Event {
    /// Since the start of the guest's init.
    pub at: Duration,
    /// Who did it.
    pub process: Process,
    /// What it did.
    pub what: What,
}

/// A guest process at the time of an event.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Process {
    /// Its id inside the guest's pid namespace; 0 where unknown.
    pub pid: u32,
    /// Its parent's.
    pub ppid: u32,
    /// The guest path of the program that it runs: `/usr/sbin/httpd`; a script's interpreter for a
    /// script.
    pub program: String,
    /// The name that Penguin calls procname: the basename of the program or script, at most 15
    /// bytes.
    pub name: String,
}

/// What a process did.
#[derive(Debug, Clone)]
pub enum What {
    /// Raw bytes written to the console.
    Console(Vec<u8>),
    /// A program was started.
    Exec {
        /// The path that was executed (a script's own path for a script).
        path: String,
        /// Its arguments.
        argv: Vec<String>,
        /// Its environment, `NAME=value`.
        envp: Vec<String>,
        /// 0, or the negative errno with which it failed.
        result: i32,
    },
    /// A process ended.
    Exit {
        /// Its exit code, where it exited.
        code: Option<i32>,
        /// The signal that killed it. Neither is known where nobody saw the end.
        signal: Option<i32>,
    },
    /// A path was looked at or opened.
    Path {
        /// The guest syscall's name without prefix: `open`, `openat`, `stat`, `access`,
        /// `readlink`, …
        syscall: &'static str,
        /// The absolute guest path, lexically normalised.
        path: String,
        /// Open flags, 0 elsewhere.
        flags: i32,
        /// 0 or a positive descriptor where known, or the negative errno; `None` where the kernel
        /// answered unseen.
        result: Option<i32>,
    },
    /// Another system call that firmware may fail at.
    Call {
        /// The guest syscall's name without prefix: `connect`, `shmget`, `clone`, …
        syscall: &'static str,
        /// Its arguments, by the kernel's names for them.
        arguments: Vec<(&'static str, Argument)>,
        /// 0 or the negative errno; `None` where the kernel, or the emulator alone, knows it.
        result: Option<i32>,
    },
    /// A modelled or missing device was used in a way that no model covers.
    Unmodelled {
        /// The path.
        path: String,
        /// How.
        operation: Operation,
    },
    /// A socket was bound and listens (or, for UDP, was bound).
    Listen {
        /// `tcp` or `udp`.
        proto: &'static str,
        /// The guest address.
        ip: IpAddr,
        /// The guest port.
        port: u16,
    },
    /// `bind` failed.
    BindFailed {
        /// `tcp` or `udp`.
        proto: &'static str,
        /// The guest address.
        ip: IpAddr,
        /// The guest port.
        port: u16,
        /// The negative errno.
        result: i32,
    },
    /// A listening socket is gone.
    Unlisten {
        /// `tcp` or `udp`.
        proto: &'static str,
        /// The guest address.
        ip: IpAddr,
        /// The guest port.
        port: u16,
    },
    /// The host now forwards to a guest port.
    Forward {
        /// `tcp` or `udp`.
        proto: &'static str,
        /// The guest address.
        ip: IpAddr,
        /// The guest port.
        port: u16,
        /// The port on 127.0.0.1 of the host.
        host_port: u16,
    },
    /// A TCP service was asked whether it answers, and this is what it said. The process is the one
    /// that listens.
    Answered {
        /// The guest address.
        ip: IpAddr,
        /// The guest port.
        port: u16,
        /// Whether it was asked because the run ends.
        at_end: bool,
        /// What it said, and when.
        answer: ServiceAnswer,
    },
    /// A file system was mounted, or the mount was faked.
    Mount {
        /// What was mounted.
        source: String,
        /// Where.
        target: String,
        /// Its type.
        fstype: String,
        /// 0 or the negative errno that the guest saw.
        result: i32,
        /// Whether the supervisor answered without mounting.
        faked: bool,
    },
    /// A signal was sent.
    Signal {
        /// The guest syscall that sent it.
        syscall: &'static str,
        /// Its number in the guest.
        signal: i32,
        /// The target's pid in the guest.
        target: i32,
        /// Whether it was swallowed.
        blocked: bool,
    },
    /// A process dies of a signal.
    Crash {
        /// The signal.
        signal: i32,
        /// The program counter, where known.
        pc: Option<u64>,
        /// What it had asked for last, the oldest first.
        last: Vec<LastCall>,
    },
    /// A boot argument, environment variable or U-Boot variable was looked for and not there.
    EnvMissing {
        /// Its name.
        name: String,
    },
    /// A value of the NVRAM was asked for or changed.
    Nvram {
        /// How.
        operation: NvramOperation,
        /// Its key; `*` where all are cleared.
        key: String,
        /// What it was set to; empty for other operations.
        value: String,
        /// Where the value is from that was found, or is set now; none of one that is missing.
        origin: Option<NvramOrigin>,
    },
    /// Something was compared with the value that stands for one that is looked for.
    Compared {
        /// With what.
        value: String,
    },
    /// A hook has printed a line, which ends as such.
    Hooked {
        /// The hook's number.
        hook: u32,
        /// The line.
        line: String,
    },
    /// A network interface was used that does not exist, or asked for an address that it does not
    /// have (an ioctl such as `SIOCGIFADDR` failed).
    InterfaceMissing {
        /// The interface's name.
        name: String,
        /// The ioctl.
        command: u32,
        /// The negative errno.
        result: i32,
    },
    /// Something happened again and again: only how often is reported from some number on.
    Repeated {
        /// One of these events.
        what: Box<What>,
        /// How many more there were since the last report.
        times: u64,
    },
    /// A sentence about what this run lacks.
    Note(Cow<'static, str>),
    /// Something of the machine that this backend fakes: a kernel module, the clock, a reboot
    /// request.
    Faked {
        /// The guest syscall.
        syscall: &'static str,
        /// What was asked for.
        detail: String,
    },
}

/// What happened to a value of the NVRAM, by the words of Penguin's `nvram.csv`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NvramOperation {
    /// It was asked for, and there.
    Hit,
    /// It was asked for, and not there.
    Miss,
    /// It was set.
    Set,
    /// It was removed.
    Clear,
}

/// Where a value of the NVRAM is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NvramOrigin {
    /// The project's configuration.
    Configuration,
    /// A file of the firmware's, by its path in the guest.
    Firmware(Arc<str>),
    /// What Penguin gives to every firmware.
    Penguin,
    /// A program of the guest has set it in this run.
    Guest,
}

impl NvramOrigin {
    /// The word for it in `nvram.csv`.
    pub fn name(&self) -> &str {
        match self {
            Self::Configuration => "configuration",
            Self::Firmware(file) => file,
            Self::Penguin => "penguin",
            Self::Guest => "guest",
        }
    }
}

/// What is known of an argument.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Argument {
    /// A number.
    Number(i64),
    /// A pointer, and what it leads to: a path, an address.
    Text(String),
}

/// A call that came before a crash.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LastCall {
    /// The guest syscall's name without prefix.
    pub syscall: &'static str,
    /// What it was about: a path, an address, a number.
    pub about: String,
    /// As that of [`What::Path`].
    pub result: Option<i32>,
}

/// What was written at once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Written {
    /// The first bytes of it.
    pub payload: Vec<u8>,
    /// How many there were; 0 where nobody saw them.
    pub bytes: u64,
}

impl Written {
    /// So many bytes tell what a program sends.
    pub const PAYLOAD_MAX: usize = 64;

    /// As it was written.
    pub fn of(data: &[u8]) -> Self {
        let end = data.len().min(Self::PAYLOAD_MAX);
        Self {
            payload: data[..end].to_vec(),
            bytes: data.len() as u64,
        }
    }
}

/// How a device was used without a model for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Opened or looked at, and not there.
    Open {
        /// Whether it was opened for writing.
        write: bool,
    },
    /// Read from a file without a read model.
    Read,
    /// Written to.
    Write(Written),
    /// An ioctl without an answer.
    Ioctl {
        /// The command number.
        command: u32,
    },
}
