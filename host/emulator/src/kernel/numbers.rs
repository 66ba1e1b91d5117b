//! The numbers of system calls: the kernel's, and one of our own.

pub use libc::*;

/// What a changed emulator tells its supervisor by (`qemu/told.rs`): x86-64 has no call of this
/// number, and its table goes on at 424.
pub const SYS_TOLD: c_long = 400;
