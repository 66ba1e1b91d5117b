//! `health_final.yaml` and `health_*.txt`: how far the guest came, in counters.

use std::collections::{BTreeSet, HashSet};
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Collector;
use super::file::{one_line, write_atomic};
use crate::event::{Event, Operation, What};

const MAX_ENTRIES: usize = 20_000;

pub(super) struct Health {
    directory: PathBuf,
    devices: BTreeSet<String>,
    programs: BTreeSet<String>,
    commands: BTreeSet<String>,
    sockets: HashSet<(bool, u16, u32)>,
    dropped: u64,
}

impl Health {
    pub(super) fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            devices: BTreeSet::new(),
            programs: BTreeSet::new(),
            commands: BTreeSet::new(),
            sockets: HashSet::new(),
            dropped: 0,
        }
    }

    /// Distinct programs, sockets and devices: the counters that make the score.
    pub(super) fn counts(&self) -> (usize, usize, usize) {
        (self.programs.len(), self.sockets.len(), self.devices.len())
    }
}

fn insert(set: &mut BTreeSet<String>, entry: &str, dropped: &mut u64) {
    if set.len() < MAX_ENTRIES {
        set.insert(one_line(entry));
    } else if !set.contains(entry) {
        *dropped += 1;
    }
}

impl Collector for Health {
    fn event(&mut self, event: &Event) {
        match &event.what {
            What::Exec {
                path,
                argv,
                result: 0,
                ..
            } => {
                insert(&mut self.programs, path, &mut self.dropped);
                insert(
                    &mut self.commands,
                    &format!("{path} {}", argv.join(" ")),
                    &mut self.dropped,
                );
            }
            What::Path { path, .. }
            | What::Unmodelled {
                path,
                operation: Operation::Open { .. },
            } if path.starts_with("/dev/") => {
                insert(&mut self.devices, path, &mut self.dropped);
            }
            What::Listen { ip, port, .. } => {
                if self.sockets.len() < MAX_ENTRIES {
                    self.sockets
                        .insert((ip.is_ipv6(), *port, event.process.pid));
                } else {
                    self.dropped += 1;
                }
            }
            _ => {}
        }
    }

    fn flush(&mut self, _now: Duration) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self, _now: Duration) -> io::Result<()> {
        let (programs, sockets, devices) = self.counts();
        // Nine counters; Penguin keeps the others at zero, and so do we rather than let one number mean two things.
        let counters = [
            ("nproc", 0),
            ("nproc_args", 0),
            ("nfiles", 0),
            ("nuniquedevs", devices),
            ("nbound_sockets", sockets),
            ("nsyscalls", 0),
            ("nexecs", programs),
            ("nexecs_args", self.commands.len()),
            ("nioctls", 0),
        ];
        let mut text = String::new();
        for (name, count) in counters {
            let _ = writeln!(text, "  {name}: {count}");
        }
        write_atomic(&self.directory.join("health_final.yaml"), text.as_bytes())?;
        for (name, lines) in [
            ("health_devices_accessed.txt", &self.devices),
            ("health_procs.txt", &self.programs),
            ("health_procs_with_args.txt", &self.commands),
        ] {
            let text: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
            write_atomic(&self.directory.join(name), text.as_bytes())?;
        }
        Ok(())
    }

    fn dropped(&self) -> (&'static str, u64) {
        ("health", self.dropped)
    }
}
