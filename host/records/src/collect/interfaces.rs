//! `iface.log` and `iface_ioctl.log`: network interfaces that the guest used and that are not
//! there, or have no address.

use std::collections::{BTreeSet, HashSet};
use std::io;
use std::path::Path;
use std::time::Duration;

use rookery_project::rules::is_interface_name;

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
    /// Those that do not exist, by names that a configuration can have.
    missing: BTreeSet<String>,
    dropped: u64,
}

impl Interfaces {
    pub(super) fn new(directory: &Path) -> Self {
        Self {
            names: Log::new(directory, "iface.log", Some(""), LIMIT),
            calls: Log::new(directory, "iface_ioctl.log", Some(""), LIMIT),
            seen: HashSet::new(),
            seen_calls: HashSet::new(),
            missing: BTreeSet::new(),
            dropped: 0,
        }
    }

    /// The interfaces that the guest asked for and that do not exist.
    pub(super) fn missing(&self) -> &BTreeSet<String> {
        &self.missing
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
        if *result == -libc::ENODEV && is_interface_name(name) {
            self.missing.insert(name.clone());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Process;

    #[test]
    fn an_interface_that_does_not_exist_can_be_suggested_by_a_plain_name_only() {
        let directory = tempfile::tempdir().unwrap();
        let mut interfaces = Interfaces::new(directory.path());
        for (name, result) in [
            ("br0", -libc::ENODEV),
            ("eth0", -libc::EADDRNOTAVAIL),
            ("a b", -libc::ENODEV),
        ] {
            interfaces.event(&Event {
                at: Duration::ZERO,
                process: Process::default(),
                what: What::InterfaceMissing {
                    name: name.into(),
                    command: 0x8915,
                    result,
                },
            });
        }
        assert_eq!(interfaces.missing().iter().collect::<Vec<_>>(), ["br0"]);
    }
}
