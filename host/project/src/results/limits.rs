//! How much is read at once, and for how long.

/// The largest YAML or JSON file that is read, in bytes.
pub(super) const MAX_YAML: u64 = 32 << 20;
/// The most that one `read_text` gives, in bytes.
pub(super) const MAX_TEXT: u32 = 1 << 20;
/// The longest that a search or a query may be given, in milliseconds.
pub(super) const MAX_TIMEOUT_MS: u64 = 30_000;
