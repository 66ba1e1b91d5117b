//! How much is read at once.

/// The largest YAML or JSON file that is read, in bytes.
pub(super) const MAX_YAML: u64 = 32 << 20;
/// The most that one `read_text` gives, in bytes.
pub(super) const MAX_TEXT: u32 = 1 << 20;
