//! `console.log`: what the guest wrote, byte for byte.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::Collector;
use super::file::Log;
use crate::event::{Event, What};

const LIMIT: u64 = 256 << 20;
const PANIC: &[u8] = b"Kernel panic";

pub(super) struct Console {
    log: Log,
    /// The end of what was written before, so that a panic is found across two events.
    tail: Vec<u8>,
    pub(super) panic: bool,
}

impl Console {
    pub(super) fn new(directory: &Path) -> Self {
        Self {
            log: Log::new(directory, "console.log", Some(""), LIMIT),
            tail: Vec::new(),
            panic: false,
        }
    }

    fn look_for_panic(&mut self, bytes: &[u8]) {
        if self.panic {
            return;
        }
        self.tail.extend_from_slice(bytes);
        self.panic = self.tail.windows(PANIC.len()).any(|window| window == PANIC);
        self.tail
            .drain(..self.tail.len().saturating_sub(PANIC.len() - 1));
    }
}

impl Collector for Console {
    fn event(&mut self, event: &Event) {
        if let What::Console(bytes) = &event.what {
            self.look_for_panic(bytes);
            self.log.push(bytes);
            if let Err(error) = self.log.flush() {
                tracing::error!(%error, "cannot write console.log");
            }
        }
    }

    fn flush(&mut self, _now: Duration) -> io::Result<()> {
        self.log.flush()
    }

    fn dropped(&self) -> (&'static str, u64) {
        ("console.log", self.log.dropped())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Process;

    #[test]
    fn bytes_are_kept_as_they_are_and_a_panic_is_found_across_events() {
        let directory = tempfile::tempdir().unwrap();
        let mut console = Console::new(directory.path());
        for bytes in [&b"boot\xff\r\nKernel"[..], b" pa", b"nic - not syncing"] {
            assert!(!console.panic);
            console.event(&Event {
                at: Duration::ZERO,
                process: Process::default(),
                what: What::Console(bytes.to_vec()),
            });
        }
        assert!(console.panic);
        assert_eq!(
            std::fs::read(directory.path().join("console.log")).unwrap(),
            b"boot\xff\r\nKernel panic - not syncing"
        );
    }
}
