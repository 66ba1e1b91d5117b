//! The guest's processes, from `plugins.db`: what each ran, when, and how it ended.

use std::collections::HashMap;

use rookery_contract::options::QueryOptions;
use rookery_project::{Cancel, Results};
use rookery_records::python_texts;
use serde_json::{Value, json};

/// Processes that are looked at, the first ones; so many events of each kind are read.
pub const PROCESSES: u32 = 3000;
const EVENTS: u32 = 9000;
/// Characters of a command line that are shown.
const COMMAND: usize = 160;

const STARTS: &str = "SELECT s.id, s.pid, e.time_ms, s.ppid, s.comm FROM proc_start s \
                      JOIN event e USING (id) ORDER BY s.id";
const EXECS: &str = "SELECT x.id, e.proc_id, e.time_ms, 0, substr(x.argv, 1, 400) FROM exec x \
                     JOIN event e USING (id) ORDER BY x.id";
const EXITS: &str = "SELECT x.id, x.pid, e.time_ms, x.code, x.reason FROM proc_exit x \
                     JOIN event e USING (id) ORDER BY x.id";
const COUNT: &str = "SELECT count(*) FROM proc_start";

/// The processes of a run, in the order in which they were started.
#[derive(Default)]
pub struct Processes {
    pub all: Vec<Process>,
    /// How many there were, also those that are not in `all`.
    pub total: u64,
    /// When the newest event of them was.
    pub last: i64,
}

pub struct Process {
    pub pid: i64,
    /// Its index.
    pub parent: Option<usize>,
    /// Milliseconds since init was started, as all times here.
    pub started: i64,
    /// What it executed last, or what its parent had.
    pub command: String,
    /// Whether it executed anything itself.
    pub executed: bool,
    /// None where it was there to the last.
    pub end: Option<End>,
}

#[derive(Clone)]
pub struct End {
    pub at: i64,
    pub code: i64,
    pub signal: Option<String>,
}

/// How a process ended, as a class of the page's style.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    Alive,
    Done,
    Failed,
    Killed,
}

impl Process {
    pub fn fate(&self) -> Fate {
        match &self.end {
            None => Fate::Alive,
            Some(End {
                signal: Some(_), ..
            }) => Fate::Killed,
            Some(End { code: 0, .. }) => Fate::Done,
            Some(_) => Fate::Failed,
        }
    }

    /// The same in words.
    pub fn ending(&self) -> String {
        match &self.end {
            None => "still running".to_owned(),
            Some(End {
                signal: Some(signal),
                ..
            }) => signal.clone(),
            Some(End { code, .. }) => format!("exit {code}"),
        }
    }
}

enum What {
    Start(i64, String),
    Exec(String),
    Exit(i64, String),
}

impl Processes {
    /// None where nothing was recorded with its time, as by Penguin.
    pub fn read(results: &Results) -> Option<Self> {
        let mut events = Vec::new();
        let number = |cell: Option<&Value>| cell.and_then(Value::as_i64).unwrap_or(0);
        for (sql, limit, what) in [
            (STARTS, PROCESSES, What::Start as fn(i64, String) -> What),
            (EXECS, EVENTS, |_, argv| What::Exec(argv)),
            (EXITS, EVENTS, What::Exit),
        ] {
            for row in ask(results, sql, limit)? {
                let text = row.get(4).map(text).unwrap_or_default();
                events.push((
                    number(row.first()),
                    number(row.get(1)),
                    number(row.get(2)),
                    what(number(row.get(3)), text),
                ));
            }
        }
        events.sort_by_key(|(id, ..)| *id);
        let mut processes = Self::default();
        let mut living = HashMap::new();
        for (_, pid, at, what) in events {
            processes.happened(&mut living, pid, at, what);
        }
        let counted = ask(results, COUNT, 1)?;
        let total = counted.first().map_or(0, |row| number(row.first()));
        processes.total = u64::try_from(total).unwrap_or(0);
        Some(processes)
    }

    /// `living` has the index of each process by its number, which others may have had before.
    fn happened(&mut self, living: &mut HashMap<i64, usize>, pid: i64, at: i64, what: What) {
        let index = living.get(&pid).copied();
        let process = index.and_then(|index| self.all.get_mut(index));
        match (what, process) {
            (What::Start(maker, name), _) => {
                let parent = living.get(&maker).copied();
                living.insert(pid, self.all.len());
                self.all.push(Process {
                    pid,
                    parent,
                    started: at,
                    command: self.copied(parent, name),
                    executed: false,
                    end: None,
                });
            }
            (What::Exec(argv), Some(process)) => {
                let line = python_texts(&argv).join(" ");
                process.command = line.chars().take(COMMAND).collect();
                process.executed = true;
            }
            (What::Exit(code, reason), Some(process)) => {
                let signal = reason.strip_prefix("signal:").map(str::to_owned);
                process.end = Some(End { at, code, signal });
            }
            // Its start is behind those that are looked at.
            (_, None) => return,
        }
        self.last = self.last.max(at);
    }

    /// What a copy runs: what its parent does; of a daemon, whose parent has ended, the newest
    /// program of its name.
    fn copied(&self, parent: Option<usize>, name: String) -> String {
        let parent = parent.and_then(|parent| self.all.get(parent));
        let earlier = self.all.iter().rev().filter(|process| process.executed);
        let mut likely = parent.into_iter().chain(earlier);
        let same = likely.find(|process| is_named(&process.command, &name));
        same.map_or(name, |process| process.command.clone())
    }
}

/// Whether a command line is that of a process that the kernel calls `name`, which it cuts.
fn is_named(command: &str, name: &str) -> bool {
    let program = command.split(' ').next().unwrap_or_default();
    let base = program.rsplit('/').next().unwrap_or_default();
    !name.is_empty() && base.trim_start_matches('-').starts_with(name)
}

fn ask(results: &Results, sql: &str, limit: u32) -> Option<Vec<Vec<Value>>> {
    let options = QueryOptions {
        max_bytes: Some(QueryOptions::MAX_BYTES),
        ..QueryOptions::rows(limit)
    };
    let found = results.query(sql, &json!({}), &options, &Cancel::default());
    found.ok().map(|found| found.rows)
}

/// A cell as text: what is long comes as an object.
fn text(cell: &Value) -> String {
    let cell = cell.get("text").unwrap_or(cell);
    cell.as_str().unwrap_or_default().to_owned()
}
