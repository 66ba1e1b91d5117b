//! `health_final.yaml` and `health_*.txt`: how far the guest came, in counters.

use std::collections::{BTreeSet, HashSet};
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::collect::collector::Collector;
use crate::event::{Event, Operation, What};
use crate::file::{one_line, write_atomic};

const MAX_ENTRIES: usize = 20_000;
/// What the lines of one file take together.
const MAX_BYTES: usize = 8 << 20;
/// The longest line, in characters; a longer one is cut.
const MAX_LINE: usize = 4096;

pub(super) struct Health {
    directory: PathBuf,
    devices: Lines,
    programs: Lines,
    commands: Lines,
    sockets: HashSet<(bool, u16, u32)>,
    dropped: u64,
}

/// Distinct lines of a file.
#[derive(Default)]
struct Lines {
    all: BTreeSet<String>,
    bytes: usize,
}

impl Lines {
    /// Add a line; false where there is no room.
    fn insert(&mut self, entry: &str) -> bool {
        let line: String = one_line(entry).chars().take(MAX_LINE).collect();
        if self.all.contains(&line) {
            return true;
        }
        let bytes = self.bytes + line.len();
        let fits = self.all.len() < MAX_ENTRIES && bytes <= MAX_BYTES;
        if fits {
            self.bytes = bytes;
            self.all.insert(line);
        }
        fits
    }
}

impl Health {
    pub(super) fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            devices: Lines::default(),
            programs: Lines::default(),
            commands: Lines::default(),
            sockets: HashSet::new(),
            dropped: 0,
        }
    }

    /// Distinct programs, sockets and devices: the counters that make the score.
    pub(super) fn counts(&self) -> (usize, usize, usize) {
        (
            self.programs.all.len(),
            self.sockets.len(),
            self.devices.all.len(),
        )
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
                let command = format!("{path} {}", argv.join(" "));
                self.dropped += u64::from(!self.programs.insert(path));
                self.dropped += u64::from(!self.commands.insert(&command));
            }
            What::Path { path, .. }
            | What::Unmodelled {
                path,
                operation: Operation::Open { .. },
            } if path.starts_with("/dev/") => {
                self.dropped += u64::from(!self.devices.insert(path));
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
        // Nine counters; Penguin keeps the others at zero, and so do we rather than let one number
        // mean two things.
        let counters = [
            ("nproc", 0),
            ("nproc_args", 0),
            ("nfiles", 0),
            ("nuniquedevs", devices),
            ("nbound_sockets", sockets),
            ("nsyscalls", 0),
            ("nexecs", programs),
            ("nexecs_args", self.commands.all.len()),
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
            let text: String = lines.all.iter().flat_map(|line| [line, "\n"]).collect();
            write_atomic(&self.directory.join(name), text.as_bytes())?;
        }
        Ok(())
    }

    fn dropped(&self) -> (&'static str, u64) {
        ("health", self.dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Process;

    #[test]
    fn command_lines_take_a_bounded_number_of_bytes() {
        let directory = tempfile::tempdir().unwrap();
        let mut health = Health::new(directory.path());
        let long = "a".repeat(MAX_LINE);
        for number in 0..3000 {
            health.event(&Event {
                at: Duration::ZERO,
                process: Process::default(),
                what: What::Exec {
                    path: "/bin/true".into(),
                    argv: vec![number.to_string(), long.clone(), long.clone()],
                    envp: Vec::new(),
                    result: 0,
                },
            });
        }
        let kept = health.commands.all.len();
        assert_eq!(kept, MAX_BYTES / MAX_LINE);
        assert_eq!(health.dropped, 3000 - kept as u64);
        health.finish(Duration::ZERO).unwrap();
        let file = directory.path().join("health_procs_with_args.txt");
        assert!(file.metadata().unwrap().len() <= (MAX_BYTES + kept) as u64);
    }
}
