//! How much a root filesystem may hold.

/// The most entries of a root filesystem.
pub(super) const MAX_ENTRIES: usize = 400_000;
/// The most content of all files together, in bytes.
pub(super) const MAX_BYTES: u64 = 4 << 30;
/// The most that one compressed byte may become.
pub(super) const MAX_RATIO: u64 = 100;
/// Content below this size is not judged by its ratio.
pub(super) const RATIO_FROM: u64 = 1 << 30;
/// The most bytes of long names and extended headers before one entry.
pub(super) const MAX_META: u64 = 1 << 20;
