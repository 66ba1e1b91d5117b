//! `lifeguard.csv`: signals that were sent, and which of them were blocked.

use std::io;
use std::path::Path;
use std::time::Duration;

use crate::collect::collector::Collector;
use crate::event::{Event, What};
use crate::file::Log;

const LIMIT: u64 = 4 << 20;

pub(super) struct Signals {
    log: Log,
}

impl Signals {
    pub(super) fn new(directory: &Path) -> Self {
        Self {
            log: Log::new(
                directory,
                "lifeguard.csv",
                Some("signal,target_process,blocked,mechanism\n"),
                LIMIT,
            ),
        }
    }
}

impl Collector for Signals {
    fn event(&mut self, event: &Event) {
        if let What::Signal {
            syscall,
            signal,
            target,
            blocked,
        } = event.what
        {
            let blocked = u8::from(blocked);
            self.log
                .push(format!("{signal},{target},{blocked},syscall:{syscall}\n").as_bytes());
        }
    }

    fn flush(&mut self, _now: Duration) -> io::Result<()> {
        self.log.flush()
    }

    fn dropped(&self) -> (&'static str, u64) {
        ("lifeguard.csv", self.log.dropped())
    }
}
