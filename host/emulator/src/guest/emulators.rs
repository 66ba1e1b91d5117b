//! The emulators that the guest's programs run under.

use std::collections::HashSet;

use crate::qemu::arch::Arch;
use crate::qemu::emulator::{COMPLETE, Qemu};
use crate::qemu::ioctl_table::Table;
use crate::qemu::prepare::Prepared;
use crate::qemu::signals;

/// The emulators, and what was changed about the first, the plan's own.
pub struct Emulators<'a> {
    all: &'a [Qemu],
    /// Ioctl commands that the emulator's table was given in advance.
    patched: HashSet<u32>,
    /// Where the emulator's ioctl table lies in its file, and the entries that may be overwritten.
    ioctl_table: Option<Table>,
    announces_ioctls: bool,
    tells: Option<u64>,
    abort: i32,
    attaches: bool,
    stack: Option<u64>,
    version: Option<(u32, u32)>,
    cpu: Option<String>,
}

impl<'a> Emulators<'a> {
    /// `all`, the plan's own first, as it was prepared.
    pub fn new(all: &'a [Qemu], prepared: Prepared) -> Self {
        Self {
            all,
            patched: prepared.patched,
            ioctl_table: prepared.table,
            announces_ioctls: prepared.announces_ioctls,
            tells: prepared.tells,
            abort: signals::abort_of(prepared.version),
            attaches: prepared.attaches,
            stack: prepared.stack,
            version: prepared.version,
            cpu: prepared.cpu,
        }
    }

    /// The plan's own.
    pub fn first(&self) -> Option<&'a Qemu> {
        self.all.first()
    }

    /// The one for programs of this architecture.
    pub fn of(&self, arch: &Arch) -> Option<&'a Qemu> {
        self.all.iter().find(|qemu| qemu.arch == arch)
    }

    /// The one that is at this path in the guest.
    pub fn at(&self, path: &str) -> Option<&'a Qemu> {
        self.all.iter().find(|qemu| qemu.guest_path() == path)
    }

    /// Whether its ioctl table was given this command in advance.
    pub fn knows(&self, command: u32) -> bool {
        self.patched.contains(&command)
    }

    /// Whether commands are taught to it: then its guests' pointers must be known.
    pub fn is_taught(&self) -> bool {
        self.ioctl_table.is_some() || !self.patched.is_empty()
    }

    /// Where its ioctl table lies.
    pub fn ioctl_table(&self) -> Option<&Table> {
        self.ioctl_table.as_ref()
    }

    /// Whether it logs every system call before it makes it, for models of any command.
    pub fn announces_ioctls(&self) -> bool {
        self.announces_ioctls
    }

    /// Whether `qemu` is to log every system call: it was changed to tell of some by what would
    /// print them, or what it prints is read.
    pub fn logs_calls(&self, qemu: &Qemu) -> bool {
        let is_first = self.first().is_some_and(|first| first.arch == qemu.arch);
        self.announces_ioctls || (self.tells.is_some() && is_first)
    }

    /// Where in the file of the plan's own a `syscall` is.
    pub fn call(&self) -> Option<u64> {
        self.tells
    }

    /// The processor that the plan asks for, for programs that `qemu` runs.
    pub fn cpu(&self, qemu: &Qemu) -> Option<&str> {
        let is_first = self.first().is_some_and(|first| first.arch == qemu.arch);
        self.cpu.as_deref().filter(|_| is_first)
    }

    /// How large the stacks of programs are that `qemu` runs, in bytes.
    pub fn stack(&self, qemu: &Qemu) -> Option<u64> {
        self.stack.filter(|_| qemu.arch.is_32_bit())
    }

    /// Whether the plan's own attaches shared memory at an address of the guest's choice.
    pub fn attaches_anywhere(&self) -> bool {
        self.attaches
    }

    /// Whether it does so because it was changed, and then over whatever is there.
    pub fn attaches_over(&self) -> bool {
        let older = self.version.is_some_and(|version| version < COMPLETE);
        self.attaches && older && self.first().is_some_and(|first| first.arch.is_32_bit())
    }

    /// The host's number under which the guest's `SIGABRT` is sent.
    pub fn abort(&self) -> i32 {
        self.abort
    }
}
