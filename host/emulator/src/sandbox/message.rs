//! What the processes of a sandbox tell the supervisor: the first byte of a message.

/// The world is ready; the listener comes with it.
pub const READY: u8 = b'R';
/// Something does not work, but the guest can do without: what kind of thing, a colon, and which.
pub const WARNING: u8 = b'W';
/// The guest cannot start.
pub const FAILED: u8 = b'F';
/// A descriptor of a file system comes with it that has no place in the guest's tree; which one
/// follows.
pub const DETACHED: u8 = b'M';
/// What the kernel asks the models' file system through.
pub const MODELS_DEVICE: u8 = 0;
/// The root of the models' file system.
pub const MODELS: u8 = 1;
/// The root of that of flash memory.
pub const FLASH: u8 = 2;
/// A descriptor that the guest is counted by comes with it; its place in
/// [`HANDLES`](crate::limits::HANDLES) follows.
pub const HANDLE: u8 = b'H';
