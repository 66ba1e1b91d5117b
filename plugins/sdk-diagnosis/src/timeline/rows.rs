//! The queries on `plugins.db`, and their rows as types.

use rookery_plugin::{Error, QueryOptions, Result, RunResults};
use serde_json::{Value, json};

/// Rows of each kind that are looked at, the newest.
const ROWS: u32 = 5000;

/// How long one query may take.
const PATIENCE_MS: u32 = 20_000;

const STARTS: &str = "SELECT s.id, s.pid, s.ppid, e.time_ms, s.comm FROM proc_start s \
                      JOIN event e USING (id) ORDER BY s.id DESC";
const EXECS: &str = "SELECT x.id, e.proc_id, e.time_ms, substr(x.argv, 1, 400) FROM exec x \
                     JOIN event e USING (id) ORDER BY x.id DESC";
const EXITS: &str = "SELECT x.id, x.pid, e.time_ms, x.code, x.reason FROM proc_exit x \
                     JOIN event e USING (id) ORDER BY x.id DESC";
const NEWEST: &str = "SELECT proc_id, max(time_ms), max(id) FROM event WHERE type = 'syscall' \
                      OR type = 'exec' GROUP BY proc_id ORDER BY max(id) DESC";
const FAILURES: &str = include_str!("failures.sql");
const KILLS: &str = "SELECT e.proc_id, e.time_ms, s.arg0, s.arg1 FROM syscall s \
                     JOIN event e USING (id) WHERE s.name IN ('sys_kill', 'sys_tgkill', \
                     'sys_tkill') ORDER BY s.id DESC";

/// The number of an event: later ones have higher numbers.
pub type Id = i64;

pub struct Start {
    pub id: Id,
    pub pid: i64,
    pub ppid: i64,
    pub at: i64,
    pub name: String,
}

pub struct Exec {
    pub id: Id,
    pub pid: i64,
    pub argv: Vec<String>,
}

pub struct Exit {
    pub id: Id,
    pub pid: i64,
    pub at: i64,
    pub code: i64,
    /// `exit_group`, or `signal:SIGSEGV`.
    pub reason: String,
}

/// The newest event of a process.
pub struct Newest {
    pub pid: i64,
    pub at: i64,
    pub id: Id,
}

/// A call that failed, once or again and again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failure {
    /// The process.
    pub pid: i64,
    /// `sys_openat`
    pub call: String,
    /// Negative.
    pub errno: i64,
    /// What it was about: a path, or the address of a peer.
    pub path: String,
    /// Its arguments as they are recorded.
    pub arguments: Vec<String>,
    /// How often.
    pub times: u64,
    /// Milliseconds since init was started.
    pub first: i64,
    /// The newest.
    pub last: i64,
    /// The newest one's number.
    pub last_id: Id,
    /// The same process found something of this name elsewhere.
    pub elsewhere: bool,
}

/// A signal that a process sent.
pub struct Kill {
    /// The sender.
    pub pid: i64,
    /// When.
    pub at: i64,
    /// Whom it was for.
    pub target: i64,
    /// Its number.
    pub signal: i64,
}

/// All that is read.
pub struct Recorded {
    pub starts: Vec<Start>,
    pub execs: Vec<Exec>,
    pub exits: Vec<Exit>,
    pub newest: Vec<Newest>,
    pub failures: Vec<Failure>,
    pub kills: Vec<Kill>,
}

impl Recorded {
    /// None where nothing was recorded, or nothing with its time.
    pub fn read(run: &impl RunResults) -> Result<Option<Self>> {
        let Some(starts) = ask(run, STARTS, ROWS, |row| {
            Some(Start {
                id: number(row, 0)?,
                pid: number(row, 1)?,
                ppid: number(row, 2)?,
                at: number(row, 3)?,
                name: text(row, 4)?,
            })
        })?
        else {
            return Ok(None);
        };
        let execs = ask(run, EXECS, ROWS, |row| {
            Some(Exec {
                id: number(row, 0)?,
                pid: number(row, 1)?,
                argv: python_list(&text(row, 3)?),
            })
        })?;
        let exits = ask(run, EXITS, ROWS, |row| {
            Some(Exit {
                id: number(row, 0)?,
                pid: number(row, 1)?,
                at: number(row, 2)?,
                code: number(row, 3)?,
                reason: text(row, 4)?,
            })
        })?;
        let newest = ask(run, NEWEST, ROWS, |row| {
            Some(Newest {
                pid: number(row, 0)?,
                at: number(row, 1)?,
                id: number(row, 2)?,
            })
        })?;
        let kills = ask(run, KILLS, ROWS, |row| {
            Some(Kill {
                pid: number(row, 0)?,
                at: number(row, 1)?,
                target: number(row, 2)?,
                signal: number(row, 3)?,
            })
        })?;
        Ok(Some(Self {
            starts,
            execs: execs.unwrap_or_default(),
            exits: exits.unwrap_or_default(),
            newest: newest.unwrap_or_default(),
            failures: ask(run, FAILURES, ROWS, failure)?.unwrap_or_default(),
            kills: kills.unwrap_or_default(),
        }))
    }
}

fn failure(row: &[Value]) -> Option<Failure> {
    let arguments = (9..=11).filter_map(|column| text(row, column)).collect();
    Some(Failure {
        pid: number(row, 0)?,
        call: text(row, 1)?,
        errno: number(row, 2)?,
        path: text(row, 3)?,
        times: u64::try_from(number(row, 4)?).unwrap_or(1),
        first: number(row, 5)?,
        last: number(row, 6)?,
        last_id: number(row, 7)?,
        elsewhere: number(row, 8)? != 0,
        arguments,
    })
}

/// The rows of a query in the order of their events; one that says nothing is left out.
pub fn ask<T>(
    run: &impl RunResults,
    sql: &str,
    limit: u32,
    read: impl Fn(&[Value]) -> Option<T>,
) -> Result<Option<Vec<T>>> {
    let options = QueryOptions {
        timeout_ms: PATIENCE_MS,
        ..QueryOptions::rows(limit)
    };
    match run.query(sql, &json!({}), &options) {
        Ok(found) => {
            let rows = found.rows.iter().rev();
            Ok(Some(rows.filter_map(|row| read(row)).collect()))
        }
        Err(Error::Cancelled) => Err(Error::Cancelled),
        // Another layout, such as Penguin's, which has no times; a damaged file; a database that is
        // too large for its limits. The other files say what they say.
        Err(_) => Ok(None),
    }
}

/// A cell as a number.
pub fn number(row: &[Value], column: usize) -> Option<i64> {
    row.get(column)?.as_i64()
}

/// A cell as text; the host gives a long one or a blob as an object.
pub fn text(row: &[Value], column: usize) -> Option<String> {
    let cell = row.get(column)?;
    match cell.get("text").unwrap_or(cell) {
        Value::String(text) => Some(text.clone()),
        Value::Null => Some(String::new()),
        _ => None,
    }
}

/// The texts of `['/bin/sh', '-c']`, also where its end was cut off.
pub fn python_list(list: &str) -> Vec<String> {
    let mut texts = Vec::new();
    let mut rest = list.chars();
    while let Some(quote) = rest.by_ref().find(|c| matches!(c, '\'' | '"')) {
        let mut text = String::new();
        while let Some(character) = rest.next() {
            match character {
                '\\' => text.extend(rest.next()),
                _ if character == quote => break,
                _ => text.push(character),
            }
        }
        texts.push(text);
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_as_python_writes_it_is_read() {
        assert_eq!(python_list("['/bin/sh', '-c']"), ["/bin/sh", "-c"]);
        assert_eq!(python_list(r#"["it's", 'a \'b\'']"#), ["it's", "a 'b'"]);
        assert_eq!(python_list("['/bin/sh', '/etc/in"), ["/bin/sh", "/etc/in"]);
        assert!(python_list("[]").is_empty());
    }
}
