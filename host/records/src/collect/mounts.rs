//! `mounts.csv`: each mount the guest asked for, when it was first seen. The file has no header,
//! and is absent without mounts.

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::time::Duration;

use crate::collect::collector::Collector;
use crate::event::{Event, What};
use crate::file::{Log, field};

const LIMIT: u64 = 4 << 20;

pub(super) struct Mounts {
    log: Log,
    seen: HashSet<String>,
}

impl Mounts {
    pub(super) fn new(directory: &Path) -> Self {
        Self {
            log: Log::new(directory, "mounts.csv", None, LIMIT),
            seen: HashSet::new(),
        }
    }
}

impl Collector for Mounts {
    fn event(&mut self, event: &Event) {
        let What::Mount {
            source,
            target,
            fstype,
            result,
            ..
        } = &event.what
        else {
            return;
        };
        let mount = format!("{},{},{}", field(source), field(target), field(fstype));
        if !self.seen.contains(&mount) {
            let before = self.log.dropped();
            self.log.push(format!("{mount},{result}\n").as_bytes());
            if self.log.dropped() == before {
                self.seen.insert(mount);
            }
        }
    }

    fn flush(&mut self, _now: Duration) -> io::Result<()> {
        self.log.flush()
    }

    fn dropped(&self) -> (&'static str, u64) {
        ("mounts.csv", self.log.dropped())
    }
}
