//! The emulators that the guest's programs run under.

use std::collections::HashSet;

use crate::qemu::emulator::Qemu;
use crate::qemu::ioctl_table::Table;

/// The emulators, and what was changed about the first.
pub struct Emulators<'a> {
    /// The plan's own first.
    pub all: &'a [Qemu],
    /// Ioctl commands that the emulator's table was given in advance.
    pub patched: HashSet<u32>,
    /// Where the emulator's ioctl table lies in its file, and the entries that may be overwritten.
    pub ioctl_table: Option<Table>,
    /// The emulator logs every system call before it makes it, for models of any command.
    pub announces_ioctls: bool,
    /// The host's number under which the guest's `SIGABRT` is sent.
    pub abort: i32,
}
