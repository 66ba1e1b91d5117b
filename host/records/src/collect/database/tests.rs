//! What stands in the database, and how much of it.

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
            "SELECT e.procname, s.retno, s.retno_repr, s.arg1_repr FROM syscall s JOIN event e \
             USING (id) WHERE s.retno = -2",
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
    let timed: i64 = reader
        .query_row(
            "SELECT count(*) FROM event WHERE proc_id = 412 AND time_ms = 396",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(
        timed,
        count(&reader, "event"),
        "each row has its process and its time"
    );
    let every_row_is_an_event = "SELECT count(*) FROM event WHERE id NOT IN (SELECT id FROM \
                                 syscall UNION SELECT id FROM exec UNION SELECT id FROM \
                                 proc_start UNION SELECT id FROM proc_exit)";
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
    assert_eq!(database.queue.len(), 2, "its start and the row wait");
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

#[test]
fn rows_take_a_bounded_number_of_bytes_also_while_they_wait() {
    let directory = tempfile::tempdir().unwrap();
    let mut database = Database::create(directory.path()).unwrap();
    let exec = || What::Exec {
        path: "/bin/true".into(),
        argv: vec!["a".repeat(30_000)],
        envp: Vec::new(),
        result: 0,
    };
    database.room = 40 << 20;
    for pid in 0..1000 {
        happen(&mut database, pid, exec());
        assert!(database.queued_bytes <= BATCH_BYTES + 60_000);
    }
    assert!(database.dropped > 0);
    database.flush(Duration::ZERO).unwrap();
    let file = directory.path().join("plugins.db");
    assert!(file.metadata().unwrap().len() < 45 << 20);
    let reader = Connection::open(file).unwrap();
    reader
        .execute_batch("BEGIN; SELECT count(*) FROM event")
        .unwrap();
    database.room = usize::MAX;
    for pid in 0..3000 {
        happen(&mut database, pid, exec());
    }
    assert!(database.queued_bytes <= MAX_QUEUE_BYTES);
}

#[test]
fn a_process_that_was_only_forked_is_a_process_and_a_counted_call_has_a_row() {
    let directory = tempfile::tempdir().unwrap();
    let mut database = Database::create(directory.path()).unwrap();
    let what = Box::new(path("/dev/dsa"));
    happen(&mut database, 7, What::Repeated { what, times: 40 });
    database.finish(Duration::ZERO).unwrap();
    let reader = Connection::open(directory.path().join("plugins.db")).unwrap();
    assert_eq!(count(&reader, "proc_start"), 1);
    assert_eq!(count(&reader, "syscall"), 1);
}

#[test]
fn a_count_that_is_told_after_the_end_starts_no_process() {
    let directory = tempfile::tempdir().unwrap();
    let mut database = Database::create(directory.path()).unwrap();
    let end = || What::Exit {
        code: Some(0),
        signal: None,
    };
    let counted = || What::Repeated {
        what: Box::new(path("/dev/x")),
        times: 40,
    };
    for what in [path("/dev/x"), end(), counted()] {
        happen(&mut database, 7, what);
    }
    database.finish(Duration::ZERO).unwrap();
    let reader = Connection::open(directory.path().join("plugins.db")).unwrap();
    assert_eq!(count(&reader, "proc_start"), 1);
    assert_eq!(count(&reader, "syscall"), 2, "the count has its row");
    // Another process of that number is one.
    for what in [path("/dev/y"), counted(), end()] {
        happen(&mut database, 7, what);
    }
    database.finish(Duration::ZERO).unwrap();
    assert_eq!(count(&reader, "proc_start"), 2);
}
