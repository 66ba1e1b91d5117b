//! How much one query may take.

use std::time::Duration;

use serde::Deserialize;

use crate::results::limits::MAX_TIMEOUT_MS;

/// The most rows of one answer.
pub(super) const MAX_ROWS: usize = 10_000;
/// The most that one answer may hold, in bytes.
pub(super) const MAX_OUTPUT: usize = 8 << 20;
/// How long to wait for a writer to finish its transaction.
pub(super) const BUSY: Duration = Duration::from_secs(3);
/// The longest value that a query may build, in bytes. `instr` of two such takes half a second,
/// and cannot be interrupted.
pub(super) const MAX_BUILT: i32 = 256 << 10;
/// What the database engine may take in this process, for all queries at once, in bytes. Sorting
/// a million rows takes a third.
pub(super) const HEAP: i64 = 192 << 20;

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::results) struct Options {
    pub limit: usize,
    pub timeout_ms: u64,
    pub max_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limit: 100,
            timeout_ms: 10_000,
            max_bytes: 1 << 20,
        }
    }
}

impl Options {
    pub(super) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms.min(MAX_TIMEOUT_MS))
    }
}
