//! SQL on `plugins.db`: what is read, what is refused, what is bounded.

mod edge;
use std::fs;
use std::path::Path;

use edge::{Results, Roots};
use rookery_project::{Cancel, Error};
use rusqlite::Connection;
use serde_json::{Value, json};

const SCHEMA: &str = "
    CREATE TABLE event(id INTEGER PRIMARY KEY, type VARCHAR NOT NULL, procname VARCHAR NOT NULL, \
    proc_id INTEGER NOT NULL);
    CREATE TABLE syscall(id INTEGER PRIMARY KEY, name VARCHAR, retno INTEGER, retno_repr VARCHAR, \
    arg0 INTEGER, arg0_repr VARCHAR,
        arg1 INTEGER, arg1_repr VARCHAR);
    CREATE TABLE read(id INTEGER PRIMARY KEY, fd INTEGER, fname VARCHAR, buffer BLOB);
    INSERT INTO event VALUES (1, 'syscall', '/usr/sbin/dsad', 0), (2, 'syscall', 'dsad', 0), (3, \
    'read', 'it''s', 7);
    INSERT INTO syscall VALUES (1, 'sys_open', -2, 'ENOENT(No such file)', 0, \
    'filename=0x7e9f0010(\"/dev/dsa\")', 2, 'flags=0x2'),
        (2, 'sys_openat', -2, 'ENOENT(No such file)', -100, 'dfd=0xffffff9c', 0, \
        'filename=0x7e9f1610(\"/dev/dsa\")');
    INSERT INTO read VALUES (3, 3, '/x', x'00ff10'), (4, 3, '/x', CAST('text' || char(10) AS \
    BLOB)), (5, 3, '/x', NULL);";

fn database() -> (tempfile::TempDir, Results) {
    let dir = tempfile::tempdir().unwrap();
    Connection::open(dir.path().join("plugins.db"))
        .unwrap()
        .execute_batch(SCHEMA)
        .unwrap();
    let results = open(dir.path());
    (dir, results)
}

fn open(dir: &Path) -> Results {
    Roots::new([dir.to_owned()])
        .unwrap()
        .results(None, Some("."))
        .unwrap()
}

fn query(results: &Results, sql: &str) -> Result<Value, Error> {
    results.query(sql, &Value::Null, &Value::Null, &Cancel::default())
}

fn rows(results: &Results, sql: &str) -> Value {
    query(results, sql).unwrap_or_else(|error| panic!("{sql}: {error}"))["rows"].take()
}

#[test]
fn every_reading_statement_is_allowed() {
    let (_dir, results) = database();
    assert_eq!(rows(&results, "-- why\nSELECT 1"), json!([[1]]));
    assert_eq!(
        rows(
            &results,
            "/* x; y */ WITH RECURSIVE n(i) AS (SELECT 1 UNION SELECT i+1 FROM n WHERE i<3) SELECT \
             i FROM n;"
        ),
        json!([[1], [2], [3]])
    );
    assert_eq!(rows(&results, "VALUES (';', 2)"), json!([[";", 2]]));
    assert!(
        !rows(&results, "EXPLAIN QUERY PLAN SELECT * FROM event")
            .as_array()
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        rows(&results, "SELECT name FROM pragma_table_info('event')")
            .as_array()
            .unwrap()
            .len(),
        4
    );
    assert!(
        rows(&results, "SELECT sql FROM sqlite_master")
            .to_string()
            .contains("retno_repr")
    );
}

#[test]
fn every_other_statement_is_refused_and_changes_nothing() {
    let (dir, results) = database();
    let before = fs::read(dir.path().join("plugins.db")).unwrap();
    for sql in [
        "DELETE FROM event",
        "WITH x AS (SELECT 1) INSERT INTO event SELECT 9, 'a', 'b', 0 FROM x",
        "UPDATE event SET type = 'x' RETURNING id",
        "DROP TABLE event",
        "CREATE TEMP TABLE t(x)",
        "ATTACH '/etc/passwd' AS p",
        "DETACH main",
        "PRAGMA journal_mode = wal",
        "PRAGMA writable_schema = 1",
        "PRAGMA query_only",
        "VACUUM",
        "VACUUM INTO '/tmp/x'",
        "BEGIN",
        "SAVEPOINT s",
        "ANALYZE",
        "REINDEX",
        "SELECT load_extension('x')",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP TABLE event",
        "",
        "-- nothing",
        "garbage",
        "SELECT nope FROM event",
    ] {
        let error = query(&results, sql).expect_err(sql);
        assert!(
            matches!(error, Error::Denied(_) | Error::InvalidArgument(_)),
            "{sql}: {error:?}"
        );
    }
    assert_eq!(fs::read(dir.path().join("plugins.db")).unwrap(), before);
    let names: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(names, ["plugins.db"], "nothing is left beside it");
}

#[test]
fn values_keep_their_type_and_columns_their_place() {
    let (_dir, results) = database();
    let answer = query(
        &results,
        "SELECT 9007199254740993 AS x, -9223372036854775808 AS x, 1.5 AS x, 1e999, NULL",
    )
    .unwrap();
    assert_eq!(answer["columns"], json!(["x", "x", "x", "1e999", "NULL"]));
    assert_eq!(
        answer["rows"].to_string(),
        "[[9007199254740993,-9223372036854775808,1.5,\"inf\",null]]"
    );
    assert_eq!(
        rows(&results, "SELECT buffer FROM read ORDER BY id"),
        json!([[{"base64": "AP8Q", "bytes": 3}], [{"text": "text\n", "bytes": 5}], [null]])
    );
    let long = rows(&results, "SELECT zeroblob(100000)");
    assert_eq!(
        (&long[0][0]["bytes"], &long[0][0]["cut"]),
        (&json!(100_000), &json!(true))
    );
    assert_eq!(
        rows(&results, "SELECT CAST(x'ff41' AS TEXT)"),
        json!([[{"base64": "/0E=", "bytes": 2}]])
    );
}

#[test]
fn parameters_are_never_sql() {
    let (_dir, results) = database();
    let ask =
        |sql: &str, params: Value| results.query(sql, &params, &Value::Null, &Cancel::default());
    let by_name = ask(
        "SELECT id FROM event WHERE procname = :p AND id > :n",
        json!({"p": "it's", ":n": 1}),
    )
    .unwrap();
    assert_eq!(by_name["rows"], json!([[3]]));
    let positional = ask(
        "SELECT ?, ?2, ?",
        json!(["x' OR 1=1 --", 7, {"base64": "AP8="}]),
    )
    .unwrap();
    assert_eq!(
        positional["rows"],
        json!([["x' OR 1=1 --", 7, {"base64": "AP8=", "bytes": 2}]])
    );
    for (sql, params) in [
        ("SELECT ?", json!([])),
        ("SELECT ?", Value::Null),
        ("SELECT 1", json!([1])),
        ("SELECT :a", json!({"b": 1})),
        ("SELECT :a, :b", json!({"a": 1})),
        ("SELECT ?", json!([[1]])),
        ("SELECT 1", json!("x")),
    ] {
        let error = ask(sql, params.clone()).expect_err(sql);
        assert!(
            matches!(&error, Error::InvalidArgument(m) if m.contains("param")),
            "{sql} {params}: {error}"
        );
    }
}

#[test]
fn the_same_missing_path_is_one_group() {
    let (_dir, results) = database();
    let sql = "SELECT guest_path(arg0_repr, arg1_repr) AS path, count(*) FROM syscall WHERE retno \
        = -2 GROUP BY path";
    assert_eq!(rows(&results, sql), json!([["/dev/dsa", 2]]));
    assert_eq!(
        rows(&results, "SELECT guest_path(), guest_path(NULL, 1, x'00')"),
        json!([[null, null]])
    );
}

#[test]
fn rows_bytes_and_time_are_bounded() {
    let (_dir, results) = database();
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT ";
    let ask = |sql: String, options: Value| {
        results.query(&sql, &Value::Null, &options, &Cancel::default())
    };
    let cut = ask(format!("{endless} i FROM n"), json!({"limit": 3})).unwrap();
    assert_eq!(
        (&cut["row_count"], &cut["truncated"]),
        (&json!(3), &json!(true))
    );
    let exact = ask("SELECT id FROM event".into(), json!({"limit": 3})).unwrap();
    assert_eq!(
        (&exact["row_count"], &exact["truncated"]),
        (&json!(3), &json!(false))
    );
    let wide = ask(
        format!("{endless} hex(zeroblob(1000)) FROM n"),
        json!({"limit": 10_000, "max_bytes": 10_000}),
    )
    .unwrap();
    assert_eq!(
        (&wide["row_count"], &wide["truncated"]),
        (&json!(4), &json!(true))
    );
    let error = ask(
        format!("{endless} count(*) FROM n"),
        json!({"timeout_ms": 50}),
    )
    .unwrap_err();
    assert!(
        matches!(&error, Error::Limit(m) if m.contains("50 ms")),
        "{error}"
    );
    let error = ask("SELECT length(zeroblob(1000000000))".into(), Value::Null).unwrap_err();
    assert!(matches!(error, Error::Limit(_)), "{error}");

    let cancel = Cancel::default();
    let stop = cancel.clone();
    let other = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(30));
        stop.cancel();
    });
    let outcome = results.query(
        &format!("{endless} count(*) FROM n"),
        &Value::Null,
        &Value::Null,
        &cancel,
    );
    assert_eq!(outcome, Err(Error::Cancelled));
    other.join().unwrap();
}

#[test]
fn a_damaged_database_is_unavailable() {
    let dir = tempfile::tempdir().unwrap();
    for junk in [
        &b"not a database at all, though long enough to hold a header of one hundred \
        bytes, which SQLite reads first of all"[..],
        b"x",
    ] {
        fs::write(dir.path().join("plugins.db"), junk).unwrap();
        let error = query(&open(dir.path()), "SELECT * FROM event").unwrap_err();
        assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    }
    let (whole, _) = database();
    let bytes = fs::read(whole.path().join("plugins.db")).unwrap();
    fs::write(dir.path().join("plugins.db"), &bytes[..bytes.len() / 2]).unwrap();
    assert!(query(&open(dir.path()), "SELECT * FROM event, syscall, read").is_err());
    fs::write(dir.path().join("plugins.db"), b"").unwrap();
    let error = query(&open(dir.path()), "SELECT * FROM event").unwrap_err();
    assert!(error.to_string().contains("recorded nothing"), "{error}");
}

#[test]
fn a_transaction_that_was_killed_is_rolled_back_in_a_copy() {
    let (dir, _) = database();
    let path = dir.path().join("plugins.db");
    let before = fs::read(&path).unwrap();
    let killed = tempfile::tempdir().unwrap();
    {
        // A tiny cache makes SQLite write into the file before the commit; the copy is what a kill
        // then leaves.
        let writer = Connection::open(&path).unwrap();
        writer
            .execute_batch("PRAGMA cache_size = 1; PRAGMA cache_spill = 1; BEGIN IMMEDIATE")
            .unwrap();
        writer
            .execute_batch(
                "WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i+1 FROM n WHERE \
            i < 20000) INSERT INTO event SELECT i, 'half', hex(randomblob(50)), 0 FROM n",
            )
            .unwrap();
        for name in ["plugins.db", "plugins.db-journal"] {
            fs::copy(dir.path().join(name), killed.path().join(name)).unwrap();
        }
    }
    let torn = fs::read(killed.path().join("plugins.db")).unwrap();
    assert_ne!(torn, before, "the half transaction reached the file");
    let results = open(killed.path());
    for _ in 0..2 {
        assert_eq!(
            rows(&results, "SELECT count(*), max(type = 'half') FROM event"),
            json!([[3, 0]])
        );
    }
    assert_eq!(
        fs::read(killed.path().join("plugins.db")).unwrap(),
        torn,
        "the results themselves are untouched"
    );
}

#[test]
fn a_busy_writer_is_waited_for() {
    let (dir, results) = database();
    let writer = Connection::open(dir.path().join("plugins.db")).unwrap();
    writer.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let done = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(150));
        writer.execute_batch("COMMIT").unwrap();
    });
    assert_eq!(rows(&results, "SELECT count(*) FROM event"), json!([[3]]));
    done.join().unwrap();
}
