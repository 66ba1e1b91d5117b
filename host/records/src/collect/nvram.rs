//! `nvram.csv`: what programs asked of the NVRAM; and `env_cmp.txt`: what a value that is looked
//! for was compared with.

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::time::Duration;

use crate::collect::collector::Collector;
use crate::event::{Event, NvramOperation, NvramOrigin, What};
use crate::file::{Log, field, one_line};

/// Penguin's columns, and where a value is from.
const HEADER: &str = "key,operation,value,origin\n";
const LIMIT: u64 = 4 << 20;
const COMPARED_LIMIT: u64 = 1 << 20;
const MAX_COMPARED: usize = 5000;

pub(super) struct Values {
    rows: Log,
}

impl Values {
    pub(super) fn new(directory: &Path) -> Self {
        Self {
            rows: Log::new(directory, "nvram.csv", Some(HEADER), LIMIT),
        }
    }
}

impl Collector for Values {
    fn event(&mut self, event: &Event) {
        let What::Nvram {
            operation,
            key,
            value,
            origin,
        } = &event.what
        else {
            return;
        };
        let operation = match operation {
            NvramOperation::Hit => "hit",
            NvramOperation::Miss => "miss",
            NvramOperation::Set => "set",
            NvramOperation::Clear => "clear",
        };
        let origin = origin.as_ref().map_or("", NvramOrigin::name);
        let row = format!(
            "{},{operation},{},{}\n",
            field(key),
            field(value),
            field(origin)
        );
        self.rows.push(row.as_bytes());
    }

    fn flush(&mut self, _now: Duration) -> io::Result<()> {
        self.rows.flush()
    }

    fn dropped(&self) -> (&'static str, u64) {
        ("nvram.csv", self.rows.dropped())
    }
}

pub(super) struct Compared {
    lines: Log,
    seen: HashSet<String>,
    dropped: u64,
}

impl Compared {
    pub(super) fn new(directory: &Path) -> Self {
        Self {
            lines: Log::new(directory, "env_cmp.txt", None, COMPARED_LIMIT),
            seen: HashSet::new(),
            dropped: 0,
        }
    }
}

impl Collector for Compared {
    fn event(&mut self, event: &Event) {
        let What::Compared { value } = &event.what else {
            return;
        };
        let line = one_line(value);
        if self.seen.contains(&line) {
            return;
        }
        if self.seen.len() >= MAX_COMPARED {
            self.dropped += 1;
            return;
        }
        self.lines.push(format!("{line}\n").as_bytes());
        self.seen.insert(line);
    }

    fn flush(&mut self, _now: Duration) -> io::Result<()> {
        self.lines.flush()
    }

    fn dropped(&self) -> (&'static str, u64) {
        ("env_cmp.txt", self.dropped + self.lines.dropped())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Process;

    fn event(what: What) -> Event {
        Event {
            at: Duration::ZERO,
            process: Process::default(),
            what,
        }
    }

    #[test]
    fn no_key_or_value_breaks_a_row() {
        let directory = tempfile::tempdir().unwrap();
        let mut values = Values::new(directory.path());
        let table = NvramOrigin::Firmware("/etc/a,b".into());
        for (operation, key, value, origin) in [
            (NvramOperation::Miss, "lan_ipaddr", "", None),
            (
                NvramOperation::Set,
                "a,hit,\n",
                "1\u{1b}[2J",
                Some(NvramOrigin::Guest),
            ),
            (NvramOperation::Hit, "x", "", Some(table)),
            (
                NvramOperation::Hit,
                "y",
                "",
                Some(NvramOrigin::Configuration),
            ),
        ] {
            let (key, value) = (key.to_owned(), value.to_owned());
            values.event(&event(What::Nvram {
                operation,
                key,
                value,
                origin,
            }));
        }
        values.flush(Duration::ZERO).unwrap();
        let text = std::fs::read_to_string(directory.path().join("nvram.csv")).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[..2],
            ["key,operation,value,origin", "lan_ipaddr,miss,,"]
        );
        assert_eq!(lines.len(), 5, "{text}");
        for line in lines {
            assert_eq!(line.matches(',').count(), 3, "{text}");
        }
        assert!(text.ends_with("y,hit,,configuration\n"), "{text}");
    }

    #[test]
    fn what_was_compared_is_told_once() {
        let directory = tempfile::tempdir().unwrap();
        let mut compared = Compared::new(directory.path());
        for value in ["0190", "0191", "0190"] {
            compared.event(&event(What::Compared {
                value: value.into(),
            }));
        }
        compared.flush(Duration::ZERO).unwrap();
        let text = std::fs::read_to_string(directory.path().join("env_cmp.txt")).unwrap();
        assert_eq!(text, "0190\n0191\n");
    }
}
