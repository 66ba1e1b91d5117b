//! `console.log`: what the guest wrote, byte for byte.

use std::io;
use std::path::Path;
use std::time::Duration;

use crate::collect::collector::Collector;
use crate::event::{Event, What};
use crate::file::Log;

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
            // What fails is kept, and fails again where it is looked at.
            let _ = self.log.flush();
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

    #[test]
    fn output_that_a_full_disk_does_not_take_is_a_failure() {
        let directory = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/full", directory.path().join("console.log")).unwrap();
        let mut console = Console::new(directory.path());
        console.flush(Duration::ZERO).unwrap();
        console.event(&Event {
            at: Duration::ZERO,
            process: Process::default(),
            what: What::Console(b"boot".to_vec()),
        });
        assert!(console.flush(Duration::ZERO).is_err());
    }
}
