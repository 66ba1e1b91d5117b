//! `env_missing.yaml` and its relatives: boot arguments and variables that the guest looked for in
//! vain.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::collect::collector::Collector;
use crate::event::{Event, What};
use crate::file::{one_line, scalar, write_atomic};

const MAX_NAMES: usize = 5000;

pub(super) struct Environment {
    directory: PathBuf,
    names: Vec<String>,
    seen: HashSet<String>,
    dirty: bool,
    dropped: u64,
}

impl Environment {
    pub(super) fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            names: Vec::new(),
            seen: HashSet::new(),
            dirty: true,
            dropped: 0,
        }
    }
}

impl Collector for Environment {
    fn event(&mut self, event: &Event) {
        let What::EnvMissing { name } = &event.what else {
            return;
        };
        let name = one_line(name);
        if self.seen.contains(&name) {
            return;
        }
        if self.names.len() >= MAX_NAMES {
            self.dropped += 1;
            return;
        }
        self.seen.insert(name.clone());
        self.names.push(name.clone());
        self.dirty = true;
    }

    fn flush(&mut self, _now: Duration) -> io::Result<()> {
        if self.dirty {
            let mut text = String::new();
            for name in &self.names {
                let _ = writeln!(text, "- {}", scalar(name));
            }
            if text.is_empty() {
                text.push_str(
                    "[]
",
                );
            }
            write_atomic(&self.directory.join("env_missing.yaml"), text.as_bytes())?;
            self.dirty = false;
        }
        Ok(())
    }

    fn finish(&mut self, now: Duration) -> io::Result<()> {
        self.flush(now)?;
        // An event does not tell a U-Boot variable from a boot argument; all are in
        // env_missing.yaml.
        write_atomic(&self.directory.join("env_uboot.txt"), b"[]\n")?;
        write_atomic(&self.directory.join("env_mtd.txt"), b"")
    }

    fn dropped(&self) -> (&'static str, u64) {
        ("env_missing.yaml", self.dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Process;

    #[test]
    fn names_that_yaml_readers_disagree_on_stay_names() {
        let directory = tempfile::tempdir().unwrap();
        let mut environment = Environment::new(directory.path());
        let names = [
            "sxid", "yes", "08", "0o17", "1e3", "~", "null", "12:30", "a: b", "- c", "", "sxid",
        ];
        for name in names {
            let what = What::EnvMissing { name: name.into() };
            environment.event(&Event {
                at: Duration::ZERO,
                process: Process::default(),
                what,
            });
        }
        environment.finish(Duration::ZERO).unwrap();
        let text = std::fs::read_to_string(directory.path().join("env_missing.yaml")).unwrap();
        let read: Vec<String> = serde_yaml::from_str(&text).unwrap();
        assert_eq!(read, names[..names.len() - 1]);
    }
}
