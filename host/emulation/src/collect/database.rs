//! `plugins.db`: every exec, looked-up path and bind, in the tables of Penguin's database.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, params};

use super::Collector;
use super::crashes::signal_name;
use super::rows::{self, Syscall, python_dict, python_list};
use crate::event::{Event, What};

const SCHEMA: &str = "
CREATE TABLE event (id INTEGER NOT NULL, type VARCHAR NOT NULL, procname VARCHAR NOT NULL, proc_id INTEGER NOT NULL, PRIMARY KEY (id));
CREATE TABLE read (id INTEGER NOT NULL, fd INTEGER NOT NULL, fname VARCHAR NOT NULL, buffer BLOB,
    PRIMARY KEY (id), FOREIGN KEY(id) REFERENCES event (id));
CREATE TABLE write (id INTEGER NOT NULL, fd INTEGER NOT NULL, fname VARCHAR, buffer BLOB,
    PRIMARY KEY (id), FOREIGN KEY(id) REFERENCES event (id));
CREATE TABLE syscall (id INTEGER NOT NULL, name VARCHAR NOT NULL, retno INTEGER, retno_repr VARCHAR,
    arg0 INTEGER, arg0_repr VARCHAR, arg1 INTEGER, arg1_repr VARCHAR, arg2 INTEGER, arg2_repr VARCHAR,
    arg3 INTEGER, arg3_repr VARCHAR, arg4 INTEGER, arg4_repr VARCHAR, arg5 INTEGER, arg5_repr VARCHAR,
    PRIMARY KEY (id), FOREIGN KEY(id) REFERENCES event (id));
CREATE TABLE exec (id INTEGER NOT NULL, calltree VARCHAR NOT NULL, argc VARCHAR NOT NULL, argv VARCHAR NOT NULL,
    envp VARCHAR NOT NULL, euid INTEGER NOT NULL, egid INTEGER NOT NULL,
    PRIMARY KEY (id), FOREIGN KEY(id) REFERENCES event (id));
CREATE TABLE proc_start (id INTEGER NOT NULL, pid INTEGER NOT NULL, ppid INTEGER NOT NULL, create_time INTEGER NOT NULL,
    comm VARCHAR NOT NULL, uid INTEGER NOT NULL, gid INTEGER NOT NULL, euid INTEGER NOT NULL, egid INTEGER NOT NULL,
    PRIMARY KEY (id), FOREIGN KEY(id) REFERENCES event (id));
CREATE TABLE proc_exit (id INTEGER NOT NULL, pid INTEGER NOT NULL, create_time INTEGER NOT NULL, code INTEGER NOT NULL,
    reason VARCHAR NOT NULL, PRIMARY KEY (id), FOREIGN KEY(id) REFERENCES event (id));
";

const MAX_ROWS: i64 = 3_000_000;
/// Rows that wait for the next transaction; a reader that holds the database for long makes them wait.
const MAX_QUEUE: usize = 100_000;
const BATCH: usize = 2000;
/// Columns `arg0` to `arg5`.
const ARGUMENTS: usize = 6;
const MAX_PROCESSES: usize = 20_000;
/// The supervisor has a guest to serve: a locked database is tried again at the next flush.
const PATIENCE: Duration = Duration::from_millis(40);
const PATIENCE_AT_END: Duration = Duration::from_secs(5);

enum Row {
    Syscall(Syscall),
    Exec {
        argv: Vec<String>,
        envp: Vec<String>,
    },
    Start {
        pid: u32,
        ppid: u32,
        at: i64,
        comm: String,
    },
    Exit {
        pid: u32,
        at: i64,
        code: i32,
        reason: String,
    },
}

struct Queued {
    procname: String,
    row: Row,
}

/// What is remembered of a live process.
struct Program {
    argv0: String,
    started: i64,
}

pub(super) struct Database {
    connection: Connection,
    queue: Vec<Queued>,
    programs: HashMap<u32, Program>,
    next_id: i64,
    dropped: u64,
}

impl Database {
    /// An empty database in the result directory.
    pub(super) fn create(directory: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open(directory.join("plugins.db"))?;
        connection.busy_timeout(PATIENCE)?;
        // A killed supervisor leaves a consistent file through the journal; only a crash of the machine could harm it.
        connection.pragma_update(None, "synchronous", "OFF")?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self {
            connection,
            queue: Vec::new(),
            programs: HashMap::new(),
            next_id: 1,
            dropped: 0,
        })
    }

    fn push(&mut self, procname: String, row: Row) {
        let queued = i64::try_from(self.queue.len()).unwrap_or(i64::MAX);
        if self.queue.len() < MAX_QUEUE && self.next_id.saturating_add(queued) <= MAX_ROWS {
            self.queue.push(Queued { procname, row });
        } else {
            self.dropped += 1;
        }
    }

    /// The name under which Penguin logs a process: its `argv[0]`.
    fn procname(&self, event: &Event) -> String {
        let known = self
            .programs
            .get(&event.process.pid)
            .map(|program| program.argv0.clone());
        known.unwrap_or_else(|| {
            if event.process.program.is_empty() {
                event.process.name.clone()
            } else {
                event.process.program.clone()
            }
        })
    }

    fn started(&mut self, event: &Event, argv: &[String]) {
        let process = &event.process;
        let argv0 = argv
            .first()
            .filter(|name| !name.is_empty())
            .unwrap_or(&process.program)
            .clone();
        let at = milliseconds(event.at);
        if let Some(program) = self.programs.get_mut(&process.pid) {
            program.argv0 = argv0;
        } else if self.programs.len() < MAX_PROCESSES {
            self.programs
                .insert(process.pid, Program { argv0, started: at });
            let row = Row::Start {
                pid: process.pid,
                ppid: process.ppid,
                at,
                comm: process.name.clone(),
            };
            self.push(process.name.clone(), row);
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
        Ok(())
    }
}

fn insert(
    connection: &Connection,
    id: i64,
    Queued { procname, row }: &Queued,
) -> rusqlite::Result<()> {
    let event = |kind: &str, pid: u32| {
        connection
            .prepare_cached("INSERT INTO event (id, type, procname, proc_id) VALUES (?, ?, ?, ?)")?
            .execute(params![id, kind, procname, pid])
    };
    match row {
        Row::Syscall(call) => {
            event("syscall", 0)?;
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
        Row::Exec { argv, envp } => {
            event("exec", 0)?;
            connection
                .prepare_cached("INSERT INTO exec VALUES (?, '', ?, ?, ?, 0, 0)")?
                .execute(params![
                    id,
                    argv.len().to_string(),
                    python_list(argv),
                    python_dict(envp)
                ])?;
        }
        Row::Start {
            pid,
            ppid,
            at,
            comm,
        } => {
            event("proc_start", *pid)?;
            connection
                .prepare_cached("INSERT INTO proc_start VALUES (?, ?, ?, ?, ?, 0, 0, 0, 0)")?
                .execute(params![id, pid, ppid, at, comm])?;
        }
        Row::Exit {
            pid,
            at,
            code,
            reason,
        } => {
            event("proc_exit", *pid)?;
            connection
                .prepare_cached("INSERT INTO proc_exit VALUES (?, ?, ?, ?, ?)")?
                .execute(params![id, pid, at, code, reason])?;
        }
    }
    Ok(())
}

fn milliseconds(at: Duration) -> i64 {
    i64::try_from(at.as_millis()).unwrap_or(i64::MAX)
}

impl Collector for Database {
    fn event(&mut self, event: &Event) {
        if let What::Exec {
            argv,
            envp,
            result: 0,
            ..
        } = &event.what
        {
            self.started(event, argv);
            let procname = self.procname(event);
            self.push(
                procname,
                Row::Exec {
                    argv: argv.clone(),
                    envp: envp.clone(),
                },
            );
        }
        if let Some(call) = rows::syscall(event) {
            let procname = self.procname(event);
            self.push(procname, Row::Syscall(call));
        }
        if let What::Exit { code, signal } = event.what {
            let at = self
                .programs
                .remove(&event.process.pid)
                .map_or(0, |program| program.started);
            let (code, reason) = match signal {
                Some(signal) => (128 + signal, format!("signal:{}", signal_name(signal))),
                None => (code.unwrap_or_default(), "exit_group".into()),
            };
            self.push(
                String::new(),
                Row::Exit {
                    pid: event.process.pid,
                    at,
                    code,
                    reason,
                },
            );
        }
        if self.queue.len() % BATCH == BATCH - 1
            && let Err(error) = self.write()
        {
            tracing::debug!(%error, "plugins.db is busy; its rows wait");
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
mod tests {
    use super::*;
    use crate::event::Process;

    fn happen(database: &mut Database, pid: u32, what: What) {
        let process = Process {
            pid,
            ppid: 1,
            program: "/bin/busybox".into(),
            name: "dsad".into(),
        };
        database.event(&Event {
            at: Duration::from_millis(396),
            process,
            what,
        });
    }

    fn path(path: &str) -> What {
        What::Path {
            syscall: "openat",
            path: path.into(),
            flags: 2,
            result: Some(-2),
        }
    }

    fn count(database: &Connection, table: &str) -> i64 {
        database
            .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
                row.get(0)
            })
            .unwrap()
    }

    #[test]
    fn rows_answer_the_questions_that_penguins_rows_answer() {
        let directory = tempfile::tempdir().unwrap();
        let mut database = Database::create(directory.path()).unwrap();
        let argv = vec!["/usr/sbin/dsad".to_owned(), "-d".to_owned()];
        happen(
            &mut database,
            412,
            What::Exec {
                path: "/usr/sbin/dsad".into(),
                argv,
                envp: vec!["A=1".into()],
                result: 0,
            },
        );
        happen(&mut database, 412, path("/dev/it's"));
        happen(
            &mut database,
            412,
            What::Exit {
                code: None,
                signal: Some(11),
            },
        );
        database.finish(Duration::ZERO).unwrap();
        let reader = Connection::open(directory.path().join("plugins.db")).unwrap();
        let missing: (String, i64, String, String) = reader
            .query_row(
                "SELECT e.procname, s.retno, s.retno_repr, s.arg1_repr FROM syscall s JOIN event e USING (id) WHERE s.retno = -2",
                [],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
            )
            .unwrap();
        assert_eq!(
            missing,
            (
                "/usr/sbin/dsad".into(),
                -2,
                "ENOENT(No such file or directory)".into(),
                "filename=0x0(\"/dev/it's\")".into()
            )
        );
        let exec: (String, String, String) = reader
            .query_row("SELECT argc, argv, envp FROM exec", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .unwrap();
        assert_eq!(
            exec,
            (
                "2".into(),
                "['/usr/sbin/dsad', '-d']".into(),
                "{'A': '1'}".into()
            )
        );
        let exit: (i64, i64, String) = reader
            .query_row(
                "SELECT create_time, code, reason FROM proc_exit",
                [],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .unwrap();
        assert_eq!(exit, (396, 139, "signal:SIGSEGV".into()));
        let every_row_is_an_event = "SELECT count(*) FROM event WHERE id NOT IN \
            (SELECT id FROM syscall UNION SELECT id FROM exec UNION SELECT id FROM proc_start UNION SELECT id FROM proc_exit)";
        assert_eq!(
            reader
                .query_row(every_row_is_an_event, [], |row| row.get::<_, i64>(0))
                .unwrap(),
            0
        );
    }

    #[test]
    fn a_reader_that_holds_the_database_delays_rows_and_loses_none() {
        let directory = tempfile::tempdir().unwrap();
        let mut database = Database::create(directory.path()).unwrap();
        let reader = Connection::open(directory.path().join("plugins.db")).unwrap();
        reader
            .execute_batch("BEGIN; SELECT count(*) FROM event")
            .unwrap();
        let mut held = reader.prepare("SELECT count(*) FROM event").unwrap();
        let mut rows = held.query([]).unwrap();
        rows.next().unwrap();
        happen(&mut database, 1, path("/x"));
        database.flush(Duration::ZERO).unwrap();
        assert_eq!(database.queue.len(), 1, "the row waits");
        drop(rows);
        drop(held);
        reader.execute_batch("COMMIT").unwrap();
        database.flush(Duration::ZERO).unwrap();
        assert_eq!(count(&reader, "syscall"), 1);
    }

    #[test]
    fn a_flood_is_written_in_batches() {
        let directory = tempfile::tempdir().unwrap();
        let mut database = Database::create(directory.path()).unwrap();
        for number in 0..3 * BATCH {
            happen(&mut database, 1, path(&number.to_string()));
        }
        assert!(database.queue.len() < BATCH);
        database.finish(Duration::ZERO).unwrap();
        assert_eq!(
            count(&database.connection, "syscall"),
            i64::try_from(3 * BATCH).unwrap()
        );
        assert_eq!(database.dropped, 0);
    }
}
