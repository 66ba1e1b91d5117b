//! The emulators.

pub mod arch;
pub mod emulator;
pub mod ioctl_table;
pub mod program;
pub mod signals;
