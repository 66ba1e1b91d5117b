//! SQL that one call of a function could make slow, and databases that a careless reader would
//! change.

mod edge;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use edge::{Results, Roots};
use rookery_project::{Cancel, Error};
use rusqlite::Connection;
use serde_json::{Value, json};

fn database(script: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let writer = Connection::open(dir.path().join("plugins.db")).unwrap();
    writer.execute_batch(script).unwrap();
    dir
}

fn open(dir: &Path) -> Results {
    Roots::new([dir.to_owned()])
        .unwrap()
        .results(None, Some("."))
        .unwrap()
}

fn query(results: &Results, sql: &str, options: &Value) -> Result<Value, Error> {
    results.query(sql, &Value::Null, options, &Cancel::default())
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn no_single_call_of_a_function_outlives_the_time_limit() {
    let dir = database(
        "CREATE TABLE a(id INTEGER PRIMARY KEY);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 300) INSERT INTO a \
         SELECT i FROM n",
    );
    let results = open(dir.path());
    for sql in [
        "SELECT instr(hex(zeroblob(15000000)), hex(zeroblob(7000000))||'1')",
        "SELECT instr(hex(zeroblob(130000)), hex(zeroblob(65000))||(id+1000)) FROM a",
        "SELECT length(replace(hex(zeroblob(130000)), hex(zeroblob(65000))||(id+1000), '')) FROM a",
        "SELECT replace(hex(zeroblob(16000000)),'0','a') LIKE \
         '%'||substr(replace(hex(zeroblob(2000)),'0','a'),1,900)||'b%'",
        "SELECT max(replace(hex(zeroblob(130000)),'0','a') LIKE \
         '%'||substr(replace(hex(zeroblob(2000)),'0','a'),1,90)||id||'%') FROM a, (SELECT 1 FROM \
         a)",
        "SELECT count(*) FROM (SELECT group_concat(hex(randomblob(100000)),'') OVER (ORDER BY \
         x.id) g FROM a x, a y)",
        "SELECT count(DISTINCT randomblob(20000)) FROM a x, a y, a z",
        "SELECT count(*) FROM (SELECT hex(randomblob(5000)) h FROM a x, a y, a z ORDER BY 1)",
    ] {
        let start = Instant::now();
        let error = query(&results, sql, &json!({"timeout_ms": 500})).expect_err(sql);
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "{sql}: {:?}",
            start.elapsed()
        );
        assert!(
            matches!(error, Error::Limit(_) | Error::InvalidArgument(_)),
            "{sql}: {error:?}"
        );
    }
}

/// Bytes that this thread wrote so far, to whatever file.
fn written() -> u64 {
    let io = fs::read_to_string("/proc/thread-self/io").unwrap();
    let line = io.lines().find_map(|line| line.strip_prefix("wchar: "));
    line.unwrap().parse().unwrap()
}

#[test]
fn sorting_and_grouping_write_no_files() {
    let dir = database(
        "CREATE TABLE a(id INTEGER PRIMARY KEY);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 300) INSERT INTO a \
         SELECT i FROM n",
    );
    let results = open(dir.path());
    let before = written();
    for sql in [
        "SELECT hex(randomblob(200)) h FROM a x, a y ORDER BY 1",
        "SELECT h, count(*) FROM (SELECT hex(randomblob(200)) h FROM a x, a y) GROUP BY 1",
        "SELECT count(DISTINCT hex(randomblob(200))) FROM a x, a y",
    ] {
        let answer = query(&results, sql, &json!({"limit": 1, "timeout_ms": 30_000})).unwrap();
        assert_eq!(answer["row_count"], 1, "{sql}");
    }
    // More than the engine may take.
    let sql = "SELECT hex(randomblob(2000)) h FROM a x, a y ORDER BY 1";
    let error = query(&results, sql, &json!({"timeout_ms": 30_000})).unwrap_err();
    assert!(
        matches!(&error, Error::Limit(why) if why.contains("192 MiB")),
        "{error}"
    );
    assert!(written() - before < 1 << 20, "{} bytes", written() - before);
}

#[test]
fn a_time_limit_beyond_what_is_allowed_is_taken_for_the_most_that_is() {
    let dir = database("CREATE TABLE a(id INTEGER PRIMARY KEY)");
    fs::write(dir.path().join("console.log"), "one\n").unwrap();
    let results = open(dir.path());
    let without_end = json!({ "timeout_ms": u64::MAX });
    assert!(query(&results, "SELECT 1", &without_end).is_ok());
    let found = results.search("console.log", "one", &without_end, &Cancel::default());
    assert_eq!(found.unwrap()["total"], 1);
}

#[test]
fn a_long_value_that_was_stored_is_read_and_searched_in_vain() {
    let dir = database(
        "CREATE TABLE read(id INTEGER PRIMARY KEY, buffer BLOB);
         INSERT INTO read VALUES (1, zeroblob(3000000)), (2, x'41')",
    );
    let results = open(dir.path());
    let all = query(&results, "SELECT * FROM read", &Value::Null).unwrap();
    assert_eq!(
        (&all["row_count"], &all["rows"][0][1]["bytes"]),
        (&json!(2), &json!(3_000_000))
    );
    let part = query(
        &results,
        "SELECT octet_length(substr(buffer, 2999990, 100)) FROM read",
        &Value::Null,
    );
    assert_eq!(part.unwrap()["rows"], json!([[11], [0]]));
    let error = query(&results, "SELECT hex(buffer) FROM read", &Value::Null).unwrap_err();
    assert!(
        matches!(&error, Error::Limit(m) if m.contains("octet_length")),
        "{error}"
    );
    let short = "SELECT hex(buffer) FROM read WHERE octet_length(buffer) < 262144";
    assert_eq!(
        query(&results, short, &Value::Null).unwrap()["rows"],
        json!([["41"]])
    );
}

#[test]
fn nothing_is_written_beside_a_database_with_a_log() {
    let dir = database("PRAGMA journal_mode = wal; CREATE TABLE a(x); INSERT INTO a VALUES (1)");
    assert_eq!(names(dir.path()), ["plugins.db"]);
    let count = |dir: &Path| {
        query(&open(dir), "SELECT count(*) FROM a", &Value::Null).unwrap()["rows"][0][0].clone()
    };
    assert_eq!(count(dir.path()), 1);
    assert_eq!(names(dir.path()), ["plugins.db"]);

    // What a writer that was killed leaves: the second row is in the log alone.
    let killed = tempfile::Builder::new()
        .prefix("we?ird #%41")
        .tempdir()
        .unwrap();
    let writer = Connection::open(dir.path().join("plugins.db")).unwrap();
    writer.execute_batch("INSERT INTO a VALUES (2)").unwrap();
    for name in ["plugins.db", "plugins.db-wal"] {
        fs::copy(dir.path().join(name), killed.path().join(name)).unwrap();
    }
    assert_eq!(count(killed.path()), 2);
    assert_eq!(names(killed.path()), ["plugins.db", "plugins.db-wal"]);
    fs::remove_file(killed.path().join("plugins.db-wal")).unwrap();
    assert_eq!(
        count(killed.path()),
        1,
        "an odd name of a directory is no matter"
    );
}

#[test]
fn a_link_inside_the_directory_is_followed_and_one_that_leads_out_is_not() {
    let dir = database("CREATE TABLE a(x)");
    fs::rename(dir.path().join("plugins.db"), dir.path().join("real.db")).unwrap();
    std::os::unix::fs::symlink("real.db", dir.path().join("plugins.db")).unwrap();
    assert!(query(&open(dir.path()), "SELECT * FROM a", &Value::Null).is_ok());

    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("console.log"), "").unwrap();
    std::os::unix::fs::symlink(
        dir.path().join("real.db"),
        outside.path().join("plugins.db"),
    )
    .unwrap();
    let error = query(&open(outside.path()), "SELECT * FROM a", &Value::Null).unwrap_err();
    assert!(error.to_string().contains("leads out"), "{error}");
}
