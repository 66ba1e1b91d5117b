//! What a collector is, and how all write times.

use std::io;
use std::time::Duration;

use crate::event::Event;

/// One file or family of files.
pub(super) trait Collector {
    /// Take note of what happened.
    fn event(&mut self, event: &Event);
    /// Bring the files up to date; `now` is the time since the start of init.
    fn flush(&mut self, now: Duration) -> io::Result<()>;
    /// Write what is written at the end.
    fn finish(&mut self, now: Duration) -> io::Result<()> {
        self.flush(now)
    }
    /// Its name in the drop counters, and what it dropped.
    fn dropped(&self) -> (&'static str, u64);
}

/// Seconds as Penguin writes them, to the millisecond.
pub(super) fn seconds(at: Duration) -> String {
    format!("{:.3}", at.as_secs_f64())
}

/// Seconds as a number, to the millisecond.
pub(super) fn rounded(at: Duration) -> f64 {
    (at.as_secs_f64() * 1000.0).round() / 1000.0
}
