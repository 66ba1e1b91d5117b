//! `plugins.db`: every exec, looked-up path and bind, in the tables of Penguin's database.
//!
//! Penguin's rows have no time, and only those of `proc_start` and `proc_exit` a process. Here each
//! has both: `event.time_ms`, milliseconds since init was started, and `event.proc_id`. A call that
//! is only counted any more has a row each time that its count is told.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;
use std::time::Duration;

use rookery_contract::penguin::DATABASE_TABLES;
use rusqlite::{Connection, params};

use crate::collect::collector::Collector;
use crate::collect::crashes::ending;
use crate::collect::rows;
use crate::collect::rows::{Syscall, python_dict, python_list};
use crate::event::{Event, What};

const MAX_ROWS: i64 = 3_000_000;
/// What the text of all rows takes together.
const MAX_BYTES: usize = 1 << 30;
/// Rows that wait for the next transaction, and their text; a reader that holds the database for
/// long makes them wait.
const MAX_QUEUE: usize = 100_000;
const MAX_QUEUE_BYTES: usize = 64 << 20;
const BATCH: usize = 2000;
const BATCH_BYTES: usize = 8 << 20;
/// Columns `arg0` to `arg5`.
const ARGUMENTS: usize = 6;
const MAX_PROCESSES: usize = 20_000;
/// The supervisor has a guest to serve: a locked database is tried again at the next flush.
const PATIENCE: Duration = Duration::from_millis(40);
const PATIENCE_AT_END: Duration = Duration::from_secs(5);

enum Row {
    Syscall(Syscall),
    Exec {
        argc: usize,
        argv: String,
        envp: String,
    },
    Start {
        ppid: u32,
        comm: String,
    },
    Exit {
        started: i64,
        code: i32,
        reason: String,
    },
}

struct Queued {
    procname: String,
    pid: u32,
    /// Milliseconds since init was started.
    at: i64,
    row: Row,
}

impl Queued {
    /// How much text it holds.
    fn bytes(&self) -> usize {
        let row = match &self.row {
            Row::Syscall(call) => call.arguments.iter().map(|(_, text)| text.len()).sum(),
            Row::Exec { argv, envp, .. } => argv.len() + envp.len(),
            Row::Start { .. } | Row::Exit { .. } => 0,
        };
        self.procname.len() + row
    }
}

/// What is remembered of a live process.
struct Program {
    /// What it executed; none where it was forked only.
    argv0: Option<String>,
    started: i64,
}

pub(super) struct Database {
    connection: Connection,
    queue: Vec<Queued>,
    queued_bytes: usize,
    /// With how much text in the queue it is next written.
    write_at: usize,
    /// How much more text there may be.
    room: usize,
    programs: HashMap<u32, Program>,
    /// Processes that have ended and were not followed by one of their number.
    ended: HashSet<u32>,
    next_id: i64,
    dropped: u64,
}

impl Database {
    /// An empty database in the result directory.
    pub(super) fn create(directory: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open(directory.join("plugins.db"))?;
        connection.busy_timeout(PATIENCE)?;
        // A killed supervisor leaves a consistent file through the journal; only a crash of the
        // machine could harm it.
        connection.pragma_update(None, "synchronous", "OFF")?;
        // Else a transaction that outgrows the cache asks for the locked file page by page, with
        // patience for each.
        connection.pragma_update(None, "cache_spill", "OFF")?;
        connection.execute_batch(DATABASE_TABLES)?;
        Ok(Self {
            connection,
            queue: Vec::new(),
            queued_bytes: 0,
            write_at: BATCH_BYTES,
            room: MAX_BYTES,
            programs: HashMap::new(),
            ended: HashSet::new(),
            next_id: 1,
            dropped: 0,
        })
    }

    fn push(&mut self, event: &Event, procname: String, row: Row) {
        let queued = i64::try_from(self.queue.len()).unwrap_or(i64::MAX);
        let row = Queued {
            procname,
            pid: event.process.pid,
            at: milliseconds(event.at),
            row,
        };
        let bytes = row.bytes();
        if self.queue.len() < MAX_QUEUE
            && self.queued_bytes + bytes <= MAX_QUEUE_BYTES
            && self.next_id.saturating_add(queued) <= MAX_ROWS
            && bytes <= self.room
        {
            self.room -= bytes;
            self.queued_bytes += bytes;
            self.queue.push(row);
        } else {
            self.dropped += 1;
        }
    }

    /// The name under which Penguin logs a process: its `argv[0]`.
    fn procname(&self, event: &Event) -> String {
        let known = self.programs.get(&event.process.pid);
        let argv0 = known.and_then(|program| program.argv0.clone());
        argv0.unwrap_or_else(|| {
            if event.process.program.is_empty() {
                event.process.name.clone()
            } else {
                event.process.program.clone()
            }
        })
    }

    /// A process is started where it is first seen, which may be before it executes anything.
    fn seen(&mut self, event: &Event) {
        let process = &event.process;
        let known = process.pid == 0 || self.programs.contains_key(&process.pid);
        // How often something happened is told later, also of a process that has ended.
        let late = matches!(event.what, What::Repeated { .. }) && self.ended.contains(&process.pid);
        if known || late || self.programs.len() >= MAX_PROCESSES {
            return;
        }
        self.ended.remove(&process.pid);
        let program = Program {
            argv0: None,
            started: milliseconds(event.at),
        };
        self.programs.insert(process.pid, program);
        let row = Row::Start {
            ppid: process.ppid,
            comm: process.name.clone(),
        };
        self.push(event, process.name.clone(), row);
    }

    fn executed(&mut self, event: &Event, argv: &[String]) {
        if let Some(program) = self.programs.get_mut(&event.process.pid) {
            let argv0 = argv.first().filter(|name| !name.is_empty());
            program.argv0 = Some(argv0.unwrap_or(&event.process.program).clone());
        }
    }

    fn write(&mut self) -> rusqlite::Result<()> {
        if self.queue.is_empty() {
            return Ok(());
        }
        let transaction = self.connection.transaction()?;
        let mut id = self.next_id;
        for queued in &self.queue {
            insert(&transaction, id, queued)?;
            id += 1;
        }
        transaction.commit()?;
        self.next_id = id;
        self.queue.clear();
        self.queued_bytes = 0;
        Ok(())
    }
}

fn insert(
    connection: &Connection,
    id: i64,
    Queued {
        procname,
        pid,
        at,
        row,
    }: &Queued,
) -> rusqlite::Result<()> {
    let event = |kind: &str| {
        connection
            .prepare_cached("INSERT INTO event VALUES (?, ?, ?, ?, ?)")?
            .execute(params![id, kind, procname, pid, at])
    };
    match row {
        Row::Syscall(call) => {
            event("syscall")?;
            let unused = (0, String::new());
            let sql = "INSERT INTO syscall VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
            let mut statement = connection.prepare_cached(sql)?;
            statement.raw_bind_parameter(1, id)?;
            statement.raw_bind_parameter(2, &call.name)?;
            statement.raw_bind_parameter(3, call.result)?;
            statement.raw_bind_parameter(4, call.result_text())?;
            for index in 0..ARGUMENTS {
                let (value, text) = call.arguments.get(index).unwrap_or(&unused);
                statement.raw_bind_parameter(5 + 2 * index, value)?;
                statement.raw_bind_parameter(6 + 2 * index, text)?;
            }
            statement.raw_execute()?;
        }
        Row::Exec { argc, argv, envp } => {
            event("exec")?;
            connection
                .prepare_cached("INSERT INTO exec VALUES (?, '', ?, ?, ?, 0, 0)")?
                .execute(params![id, argc.to_string(), argv, envp])?;
        }
        Row::Start { ppid, comm } => {
            event("proc_start")?;
            connection
                .prepare_cached("INSERT INTO proc_start VALUES (?, ?, ?, ?, ?, 0, 0, 0, 0)")?
                .execute(params![id, pid, ppid, at, comm])?;
        }
        Row::Exit {
            started,
            code,
            reason,
        } => {
            event("proc_exit")?;
            connection
                .prepare_cached("INSERT INTO proc_exit VALUES (?, ?, ?, ?, ?)")?
                .execute(params![id, pid, started, code, reason])?;
        }
    }
    Ok(())
}

fn milliseconds(at: Duration) -> i64 {
    i64::try_from(at.as_millis()).unwrap_or(i64::MAX)
}

impl Collector for Database {
    fn event(&mut self, event: &Event) {
        self.seen(event);
        if let What::Exec {
            argv,
            envp,
            result: 0,
            ..
        } = &event.what
        {
            self.executed(event, argv);
            let procname = self.procname(event);
            self.push(
                event,
                procname,
                Row::Exec {
                    argc: argv.len(),
                    argv: python_list(argv),
                    envp: python_dict(envp),
                },
            );
        }
        if let Some(call) = rows::syscall(&event.what) {
            let procname = self.procname(event);
            self.push(event, procname, Row::Syscall(call));
        }
        if let What::Exit { code, signal } = event.what {
            if self.ended.len() < MAX_PROCESSES {
                self.ended.insert(event.process.pid);
            }
            let started = self
                .programs
                .remove(&event.process.pid)
                .map_or(0, |program| program.started);
            let (code, reason) = ending(code, signal);
            self.push(
                event,
                String::new(),
                Row::Exit {
                    started,
                    code,
                    reason,
                },
            );
        }
        if self.queue.len() % BATCH == BATCH - 1 || self.queued_bytes >= self.write_at {
            if let Err(error) = self.write() {
                tracing::debug!(%error, "plugins.db is busy; its rows wait");
            }
            self.write_at = self.queued_bytes + BATCH_BYTES;
        }
    }

    fn flush(&mut self, _now: Duration) -> io::Result<()> {
        match self.write() {
            Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => {
                Ok(())
            }
            written => written.map_err(io::Error::other),
        }
    }

    fn finish(&mut self, _now: Duration) -> io::Result<()> {
        self.connection
            .busy_timeout(PATIENCE_AT_END)
            .and_then(|()| self.write())
            .map_err(io::Error::other)
    }

    fn dropped(&self) -> (&'static str, u64) {
        ("plugins.db", self.dropped)
    }
}

#[cfg(test)]
mod tests;
