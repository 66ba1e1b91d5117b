//! `pseudofiles_failures.yaml`: devices that are missing or lack a model, ranked by how much they
//! matter, with a first model to try.

mod failure;

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde_yaml::Mapping;

use crate::collect::collector::Collector;
use crate::collect::pseudofiles::failure::Failure;
use crate::event::{Event, Operation, What};
use crate::file::{one_line, scalar, write_atomic};

const HEADER: &str = "\
# Paths below /dev, /proc and /sys that the guest used and that no model covers, what matters most \
first:
# callers that crashed weigh most, then callers whose name crashed, then distinct callers, then \
hits.
#
# A `suggest` block is a first guess at a model, and a valid value of `pseudofiles:`. To try it, put
#   pseudofiles:
#     <path>:
#       <suggest block>
# into the configuration and run again. Then make it true to the device: `const_buf` with real \
contents
# where a program parses what it reads, and for each ioctl command the answer that the driver's
# documentation, or the program's own code, says it expects. Paths of processes are joined:
# /proc/PID stands for any of them, and is not to be modelled as it is written.
";
const SUGGEST: &str =
    "  suggest:  # a first guess: verify it against the device before relying on it\n";

const MAX_PATHS: usize = 5000;
const MAX_CALLERS: usize = 64;
/// Ioctls of terminals, which fail on every device that is none.
const TTY: std::ops::RangeInclusive<u32> = 0x5400..=0x54ff;

pub(super) struct Failures {
    path: PathBuf,
    by_path: HashMap<String, Failure>,
    crashed: HashSet<(String, u32)>,
    dirty: bool,
    dropped: u64,
}

#[derive(Serialize)]
struct Impact {
    hits: u64,
    distinct_callers: usize,
    crashing_callers: usize,
    crashing_callers_by_name: usize,
}

impl Impact {
    fn weight(&self) -> u64 {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        count(self.crashing_callers)
            .saturating_mul(1_000_000)
            .saturating_add(count(self.crashing_callers_by_name).saturating_mul(10_000))
            .saturating_add(count(self.distinct_callers).saturating_mul(1000))
            .saturating_add(self.hits)
    }
}

impl Failures {
    pub(super) fn new(directory: &Path) -> Self {
        let path = directory.join("pseudofiles_failures.yaml");
        Self {
            path,
            by_path: HashMap::new(),
            crashed: HashSet::new(),
            dirty: true,
            dropped: 0,
        }
    }

    /// Paths whose users crashed, at most so many, each with a model to try.
    pub(super) fn crashing(&self, most: usize) -> impl Iterator<Item = (&String, Mapping)> {
        let crashed = |failure: &Failure| {
            failure
                .callers
                .iter()
                .any(|caller| self.crashed.contains(caller))
        };
        let mut found: Vec<_> = self
            .by_path
            .iter()
            .filter(|(path, failure)| crashed(failure) && is_suggestible(path))
            .map(|(path, failure)| (path, failure.suggest(path)))
            .filter(|(_, model)| !model.is_empty())
            .collect();
        found.sort_by_key(|(path, _)| *path);
        found.truncate(most);
        found.into_iter()
    }

    /// How many paths lack a model.
    pub(super) fn count(&self) -> usize {
        self.by_path.len()
    }

    fn impact(&self, failure: &Failure, names: &HashSet<&str>) -> Impact {
        let crashing = failure
            .callers
            .iter()
            .filter(|caller| self.crashed.contains(*caller))
            .count();
        let by_name = failure
            .callers
            .iter()
            .filter(|caller| names.contains(caller.0.as_str()))
            .count();
        Impact {
            hits: failure.hits,
            distinct_callers: failure.callers.len(),
            crashing_callers: crashing,
            crashing_callers_by_name: by_name - crashing,
        }
    }

    fn render(&self) -> Result<String, serde_yaml::Error> {
        let names = self.crashed.iter().map(|(name, _)| name.as_str()).collect();
        let mut entries: Vec<_> = self
            .by_path
            .iter()
            .map(|(path, failure)| (path, failure, self.impact(failure, &names)))
            .collect();
        entries.sort_by(|(path, _, impact), (other_path, _, other)| {
            other
                .weight()
                .cmp(&impact.weight())
                .then(path.cmp(other_path))
        });
        let mut text = HEADER.to_owned();
        if entries.is_empty() {
            text.push_str("{}\n");
        }
        for (path, failure, impact) in entries {
            let _ = writeln!(text, "{}:\n  impact:", path_key(path));
            indent(&mut text, &serde_yaml::to_string(&impact)?, "    ");
            text.push_str("  callers:\n");
            for (name, pid) in &failure.callers {
                let _ = writeln!(text, "  - {}", caller(name, *pid));
            }
            text.push_str("  events:\n");
            indent(
                &mut text,
                &serde_yaml::to_string(&failure.events())?,
                "    ",
            );
            let suggest = failure.suggest(path);
            if !suggest.is_empty() {
                text.push_str(SUGGEST);
                indent(&mut text, &serde_yaml::to_string(&suggest)?, "    ");
            }
        }
        Ok(text)
    }
}

/// A path as a key: plain where it is made of harmless characters, which is nearly always.
fn path_key(path: &str) -> String {
    let plain = path
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"/_.-".contains(&byte));
    if plain { path.to_owned() } else { scalar(path) }
}

/// Whether it is one file's plain path, rather than one that stands for many.
fn is_suggestible(path: &str) -> bool {
    path_key(path) == path && !path.starts_with("/proc/PID")
}

/// `name:pid`, plain for an ordinary name.
fn caller(name: &str, pid: u32) -> String {
    let text = format!("{name}:{pid}");
    if scalar(name) == name {
        text
    } else {
        scalar(&text)
    }
}

fn indent(text: &mut String, block: &str, by: &str) {
    for line in block.lines() {
        let _ = writeln!(text, "{by}{line}");
    }
}

/// `/proc/412/stat` and `/proc/413/stat` are one path: `/proc/PID/stat`.
fn canonical(path: &str) -> String {
    let Some(rest) = path.strip_prefix("/proc/") else {
        return one_line(path);
    };
    let (first, below) = rest
        .split_once('/')
        .map_or((rest, None), |(first, below)| (first, Some(below)));
    match (
        first.is_empty() || !first.bytes().all(|byte| byte.is_ascii_digit()),
        below,
    ) {
        (true, _) => one_line(path),
        (false, None) => "/proc/PID".into(),
        (false, Some(below)) => one_line(&format!("/proc/PID/{below}")),
    }
}

fn is_pseudofile(path: &str) -> bool {
    ["/dev/", "/proc/", "/sys/"]
        .iter()
        .any(|root| path.starts_with(root))
}

impl Collector for Failures {
    fn event(&mut self, event: &Event) {
        let (what, times) = match &event.what {
            What::Repeated { what, times } => (&**what, *times),
            what => (what, 1),
        };
        match what {
            What::Crash { .. } if self.crashed.len() < MAX_PATHS => {
                self.dirty |= self
                    .crashed
                    .insert((one_line(&event.process.name), event.process.pid));
            }
            What::Unmodelled {
                operation: Operation::Ioctl { command },
                ..
            } if TTY.contains(command) => {}
            What::Unmodelled { path, operation } if is_pseudofile(path) => {
                let path = canonical(path);
                if !self.by_path.contains_key(&path) && self.by_path.len() >= MAX_PATHS {
                    self.dropped += 1;
                    return;
                }
                let failure = self.by_path.entry(path).or_default();
                failure.hits += times;
                failure.note(operation, times);
                // Who wrote may have ended before that was told.
                if event.process.pid != 0 && failure.callers.len() < MAX_CALLERS {
                    failure
                        .callers
                        .insert((one_line(&event.process.name), event.process.pid));
                }
                self.dirty = true;
            }
            _ => {}
        }
    }

    fn flush(&mut self, _now: Duration) -> io::Result<()> {
        if self.dirty {
            write_atomic(
                &self.path,
                self.render().map_err(io::Error::other)?.as_bytes(),
            )?;
            self.dirty = false;
        }
        Ok(())
    }

    fn dropped(&self) -> (&'static str, u64) {
        ("pseudofiles_failures.yaml", self.dropped)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde_yaml::Value;

    use super::*;
    use crate::event::{Process, Written};

    fn happen(failures: &mut Failures, pid: u32, name: &str, what: What) {
        let process = Process {
            pid,
            name: name.into(),
            ..Process::default()
        };
        failures.event(&Event {
            at: Duration::ZERO,
            process,
            what,
        });
    }

    fn unmodelled(failures: &mut Failures, pid: u32, name: &str, path: &str, operation: Operation) {
        happen(
            failures,
            pid,
            name,
            What::Unmodelled {
                path: path.into(),
                operation,
            },
        );
    }

    #[test]
    #[allow(clippy::too_many_lines, reason = "most of it is the expected file")]
    fn failures_are_ranked_and_come_with_callers_events_and_a_suggestion() {
        let directory = tempfile::tempdir().unwrap();
        let mut failures = Failures::new(directory.path());
        for _ in 0..3 {
            unmodelled(
                &mut failures,
                7,
                "sh",
                "/proc/stride/board",
                Operation::Open { write: false },
            );
        }
        unmodelled(
            &mut failures,
            412,
            "dsad",
            "/dev/dsa",
            Operation::Open { write: true },
        );
        unmodelled(
            &mut failures,
            412,
            "dsad",
            "/dev/dsa",
            Operation::Ioctl {
                command: 0x4004_6401,
            },
        );
        unmodelled(
            &mut failures,
            412,
            "dsad",
            "/dev/dsa",
            Operation::Ioctl { command: 0x5401 },
        );
        unmodelled(
            &mut failures,
            7,
            "sh",
            "/etc/passwd",
            Operation::Open { write: false },
        );
        unmodelled(&mut failures, 7, "sh", "/proc/77/oom_adj", Operation::Read);
        happen(
            &mut failures,
            412,
            "dsad",
            What::Crash {
                signal: 11,
                pc: None,
                last: Vec::new(),
            },
        );
        failures.flush(Duration::ZERO).unwrap();
        let text =
            std::fs::read_to_string(directory.path().join("pseudofiles_failures.yaml")).unwrap();
        let (header, body) = text.split_at(HEADER.len());
        assert_eq!(
            header.lines().filter(|line| line.starts_with('#')).count(),
            11
        );
        let expected = "\
/dev/dsa:
  impact:
    hits: 2
    distinct_callers: 1
    crashing_callers: 1
    crashing_callers_by_name: 0
  callers:
  - dsad:412
  events:
    open:
      count: 1
    ioctl:
      1074029569:
        count: 1
"
        .to_owned()
            + SUGGEST
            + "    read:
      model: zero
    write:
      model: discard
    ioctl:
      '*':
        model: return_const
        val: 0
/proc/stride/board:
  impact:
    hits: 3
    distinct_callers: 1
    crashing_callers: 0
    crashing_callers_by_name: 0
  callers:
  - sh:7
  events:
    open:
      count: 3
" + SUGGEST + "    read:
      model: zero
/proc/PID/oom_adj:
";
        assert!(body.starts_with(&expected), "{body}");
        assert!(!text.contains("passwd"));
    }

    #[test]
    fn what_was_written_is_told_as_penguin_tells_it() {
        let directory = tempfile::tempdir().unwrap();
        let mut failures = Failures::new(directory.path());
        for data in [&b"AT\n"[..], b"AT\n", b"\xff\0", &[7; 200]] {
            let written = Operation::Write(Written::of(data));
            unmodelled(&mut failures, 7, "modemd", "/dev/modem", written);
        }
        let unseen = Operation::Write(Written::default());
        unmodelled(&mut failures, 0, "", "/dev/modem", unseen);
        let text: Value = serde_yaml::from_str(&failures.render().unwrap()).unwrap();
        let modem = &text["/dev/modem"];
        assert_eq!(modem["callers"], Value::from(vec!["modemd:7"]));
        let told = &modem["events"]["default_write"];
        assert_eq!(told["count"], 5);
        let details = told["details"].as_sequence().unwrap();
        assert_eq!(details.len(), 3, "each once");
        assert_eq!(
            (&details[0]["payload"], &details[0]["len"]),
            (&"41540a".into(), &3.into())
        );
        assert_eq!(details[1]["payload"], "ff00");
        assert_eq!(details[2]["payload"], "07".repeat(Written::PAYLOAD_MAX));
        assert_eq!(details[2]["len"], 200);
    }

    #[test]
    fn a_quiet_run_leaves_an_empty_map() {
        let directory = tempfile::tempdir().unwrap();
        Failures::new(directory.path())
            .flush(Duration::ZERO)
            .unwrap();
        let text =
            std::fs::read_to_string(directory.path().join("pseudofiles_failures.yaml")).unwrap();
        assert_eq!(text, format!("{HEADER}{{}}\n"));
    }

    #[test]
    fn hostile_paths_and_names_stay_data() {
        let directory = tempfile::tempdir().unwrap();
        let mut failures = Failures::new(directory.path());
        let paths = [
            "/dev/a\n  suggest:\n    read: {}",
            "/dev/: {x",
            "/dev/# y",
            "/dev/'q\"",
            "/dev/ ",
        ];
        for path in paths {
            unmodelled(
                &mut failures,
                1,
                "x: [\n- y",
                path,
                Operation::Open { write: false },
            );
        }
        failures.flush(Duration::ZERO).unwrap();
        let text =
            std::fs::read_to_string(directory.path().join("pseudofiles_failures.yaml")).unwrap();
        let read: BTreeMap<String, Value> = serde_yaml::from_str(&text).unwrap();
        let expected: BTreeSet<String> = paths.iter().map(|path| one_line(path)).collect();
        assert_eq!(read.into_keys().collect::<BTreeSet<_>>(), expected);
    }
}
