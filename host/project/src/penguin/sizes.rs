//! Sizes that Penguin takes where a configuration names none, and those that it cannot exceed.

/// The size of a file made of `vals` at offsets (`const_map`, `const_map_file`), in bytes.
pub const SPARSE_FILE: u32 = 0x10000;
/// The kernel's limit for its command line, its NUL left out. It is the same on every
/// architecture.
pub const COMMAND_LINE: usize = 4095;
/// Room for what Penguin itself puts on the command line; our estimate.
pub const OWN_COMMAND_LINE: usize = 256;
