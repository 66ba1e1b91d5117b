//! How much one query may take.

use std::time::Duration;

/// How long to wait for a writer to finish its transaction.
pub(super) const BUSY: Duration = Duration::from_secs(3);
/// The longest value that a query may build, in bytes. `instr` of two such takes half a second,
/// and cannot be interrupted.
pub(super) const MAX_BUILT: i32 = 256 << 10;
/// What the database engine may take in this process, for all queries at once, in bytes. Sorting
/// a million rows takes a third.
pub(super) const HEAP: i64 = 192 << 20;
