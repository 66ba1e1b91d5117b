//! `iface.log` and `iface_ioctl.log`: network interfaces that the guest used and that are not
//! there, or have no address.

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::time::Duration;

use crate::collect::collector::Collector;
use crate::event::{Event, What};
use crate::file::{Log, field};

const LIMIT: u64 = 1 << 20;
const MAX_NAMES: usize = 4096;

pub(super) struct Interfaces {
    names: Log,
    calls: Log,
    seen: HashSet<String>,
    seen_calls: HashSet<String>,
    dropped: u64,
}

impl Interfaces {
    pub(super) fn new(directory: &Path) -> Self {
        Self {
            names: Log::new(directory, "iface.log", Some(""), LIMIT),
            calls: Log::new(directory, "iface_ioctl.log", Some(""), LIMIT),
            seen: HashSet::new(),
            seen_calls: HashSet::new(),
            dropped: 0,
        }
    }
}

impl Collector for Interfaces {
    fn event(&mut self, event: &Event) {
        let What::InterfaceMissing {
            name,
            command,
            result,
        } = &event.what
        else {
            return;
        };
        if self.seen_calls.len() >= MAX_NAMES {
            self.dropped += 1;
            return;
        }
        let name = field(name);
        let call = format!("{command:#x},{name},{result}\n");
        if self.seen.insert(name.clone()) {
            self.names.push(format!("{name}\n").as_bytes());
        }
        if self.seen_calls.insert(call.clone()) {
            self.calls.push(call.as_bytes());
        }
    }

    fn flush(&mut self, _now: Duration) -> io::Result<()> {
        self.names.flush()?;
        self.calls.flush()
    }

    fn dropped(&self) -> (&'static str, u64) {
        (
            "iface.log",
            self.dropped + self.names.dropped() + self.calls.dropped(),
        )
    }
}
