//! `console.log`: what the guest wrote, byte for byte; and `console_times.csv`: when.
//!
//! A row of the latter is the number of a line, from 1, and the milliseconds since init was started
//! at which its first byte came. A line without a row came with the one before it.

use std::io;
use std::path::Path;
use std::time::Duration;

use crate::collect::collector::Collector;
use crate::event::{Event, What};
use crate::file::Log;

const LIMIT: u64 = 256 << 20;
const TIMES_LIMIT: u64 = 4 << 20;
const TIMES_HEADER: &str = "line,time_ms\n";
const PANIC: &[u8] = b"Kernel panic";

pub(super) struct Console {
    log: Log,
    /// The end of what was written before, so that a panic is found across two events.
    tail: Vec<u8>,
    pub(super) panic: bool,
    times: Log,
    /// The line that the next byte belongs to, and whether it is that line's first.
    line: u64,
    at_its_start: bool,
    /// The time of the newest row.
    told: Option<u128>,
}

impl Console {
    pub(super) fn new(directory: &Path) -> Self {
        Self {
            log: Log::new(directory, "console.log", Some(""), LIMIT),
            tail: Vec::new(),
            panic: false,
            times: Log::new(
                directory,
                "console_times.csv",
                Some(TIMES_HEADER),
                TIMES_LIMIT,
            ),
            line: 1,
            at_its_start: true,
            told: None,
        }
    }

    /// Note when the first line that begins in `bytes` came.
    fn note_time(&mut self, bytes: &[u8], at: Duration) {
        let ends = bytes.split(|byte| *byte == b'\n').skip(1).count();
        let first = match bytes.iter().position(|byte| *byte == b'\n') {
            _ if bytes.is_empty() => return,
            _ if self.at_its_start => Some(self.line),
            // What ends a line and begins none has none to tell of.
            Some(end) if end + 1 < bytes.len() => Some(self.line + 1),
            _ => None,
        };
        let at = at.as_millis();
        if let Some(line) = first.filter(|_| self.told != Some(at)) {
            self.times.push(format!("{line},{at}\n").as_bytes());
            self.told = Some(at);
        }
        self.line += u64::try_from(ends).unwrap_or(0);
        self.at_its_start = bytes.last() == Some(&b'\n');
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
            self.note_time(bytes, event.at);
            self.log.push(bytes);
            // What fails is kept, and fails again where it is looked at.
            let _ = self.log.flush();
        }
    }

    fn flush(&mut self, _now: Duration) -> io::Result<()> {
        self.times.flush()?;
        self.log.flush()
    }

    fn dropped(&self) -> (&'static str, u64) {
        ("console.log", self.log.dropped() + self.times.dropped())
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
    fn each_line_has_the_time_of_its_first_byte() {
        let directory = tempfile::tempdir().unwrap();
        let mut console = Console::new(directory.path());
        for (at, text) in [
            (5, "one\ntwo\nth"),
            (70, "ree\n"),
            (90, "four\n"),
            (90, "five\n"),
            (95, "six"),
            (99, ""),
            (120, "\nseven\neight\n"),
        ] {
            console.event(&Event {
                at: Duration::from_millis(at),
                process: Process::default(),
                what: What::Console(text.into()),
            });
        }
        console.flush(Duration::ZERO).unwrap();
        let times = std::fs::read_to_string(directory.path().join("console_times.csv")).unwrap();
        assert_eq!(times, "line,time_ms\n1,5\n4,90\n6,95\n7,120\n");
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
