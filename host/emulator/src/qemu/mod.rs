//! The emulators.

pub mod arch;
pub mod clock;
pub mod code;
pub mod elf;
pub mod emulator;
pub mod guest_abi;
pub mod ioctl_table;
pub mod kept;
pub mod library;
pub mod mapped;
pub mod prepare;
pub mod program;
pub mod requests;
pub mod signals;
pub mod told;
pub mod unknown_ioctls;
