//! The query runs on a real database here, with a stand-in for the host's `guest_path`.

use rookery_plugin::testing::{FakeHost, call, check};
use rookery_plugin::{Error, Result, Unavailable, invalid};
use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;
use rusqlite::types::ValueRef;
use serde_json::{Value, json};

use super::missing_files;

/// Process, syscall, result, and two arguments as Penguin prints them.
const CALLS: &[(&str, &str, i64, &str, &str)] = &[
    (
        "/usr/sbin/httpd",
        "sys_open",
        -2,
        "filename=0x7e9f1610(\"/etc/httpd.conf\")",
        "flags=0x0",
    ),
    (
        "/usr/sbin/httpd",
        "sys_open",
        -2,
        "filename=0x7e9f9999(\"/etc/httpd.conf\")",
        "flags=0x0",
    ),
    (
        "httpd",
        "sys_openat",
        -2,
        "dfd=0xffffff9c",
        "filename=0x7e9f1950(\"/sys/class/gpio/gpio17/value\")",
    ),
    (
        "xhttpd",
        "sys_stat64",
        -2,
        "filename=0x1(\"/etc/other\")",
        "statbuf=0x2",
    ),
    (
        "it's",
        "sys_access",
        -2,
        "filename=0x1(\"/etc/it's\")",
        "mode=0x4",
    ),
    (
        "httpd",
        "sys_open",
        3,
        "filename=0x1(\"/etc/there\")",
        "flags=0x0",
    ),
    (
        "httpd",
        "sys_open",
        -13,
        "filename=0x1(\"/etc/secret\")",
        "flags=0x0",
    ),
    ("httpd", "sys_close", -2, "fd=0x3", ""),
    (
        "httpd",
        "sys_open",
        -2,
        "filename=0x1(\"relative.conf\")",
        "flags=0x0",
    ),
];

fn database() -> Connection {
    let db = Connection::open_in_memory().unwrap();
    db.execute_batch(
        "CREATE TABLE event (id INTEGER PRIMARY KEY, type VARCHAR NOT NULL, procname VARCHAR NOT \
         NULL, proc_id INTEGER NOT NULL);
         CREATE TABLE syscall (id INTEGER PRIMARY KEY, name VARCHAR NOT NULL, retno INTEGER, \
         retno_repr VARCHAR, arg0_repr VARCHAR, arg1_repr VARCHAR, arg2_repr VARCHAR, arg3_repr \
         VARCHAR, arg1 INTEGER, arg2 INTEGER);
         CREATE TABLE proc_exit (id INTEGER PRIMARY KEY, pid INTEGER NOT NULL, create_time INTEGER \
         NOT NULL, code INTEGER NOT NULL, reason VARCHAR NOT NULL);",
    )
    .unwrap();
    for (procname, name, retno, arg0, arg1) in CALLS {
        db.execute(
            "INSERT INTO event (type, procname, proc_id) VALUES ('syscall', ?1, 0)",
            [procname],
        )
        .unwrap();
        let id = db.last_insert_rowid();
        db.execute(
            "INSERT INTO syscall VALUES (?1, ?2, ?3, '', ?4, ?5, '', '', 0, 0)",
            (id, name, retno, arg0, arg1),
        )
        .unwrap();
    }
    db.create_scalar_function(
        "guest_path",
        -1,
        FunctionFlags::SQLITE_DETERMINISTIC,
        |arguments| {
            let path = (0..arguments.len()).find_map(|n| {
                let text = arguments.get_raw(n).as_str().ok()?;
                Some(text.split_once("(\"")?.1.rsplit_once("\")")?.0.to_owned())
            });
            Ok(path)
        },
    )
    .unwrap();
    db
}

/// What the host does with a query, as far as this one needs it.
fn query(db: &Connection, asked: &Value) -> rusqlite::Result<Value> {
    let mut statement = db.prepare(asked["sql"].as_str().unwrap())?;
    for (name, value) in asked["params"].as_object().unwrap() {
        let index = statement
            .parameter_index(name)?
            .expect("every parameter is used");
        match value {
            Value::String(text) => statement.raw_bind_parameter(index, text)?,
            Value::Bool(flag) => statement.raw_bind_parameter(index, flag)?,
            Value::Number(number) => statement.raw_bind_parameter(index, number.as_i64())?,
            _ => statement.raw_bind_parameter(index, None::<&str>)?,
        }
    }
    let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let limit = usize::try_from(asked["options"]["limit"].as_u64().unwrap()).unwrap();
    let mut rows = Vec::new();
    let mut found = statement.raw_query();
    while let Some(row) = found.next()? {
        let cell = |n| {
            row.get_ref(n).map(|cell| match cell {
                ValueRef::Integer(number) => json!(number),
                ValueRef::Text(text) => match std::str::from_utf8(text) {
                    Ok(text) if text.len() <= 64 << 10 => json!(text),
                    Ok(text) => {
                        json!({ "text": &text[..64 << 10], "bytes": text.len(), "cut": true })
                    }
                    Err(_) => json!({ "base64": "AA==", "bytes": text.len() }),
                },
                ValueRef::Blob(bytes) => json!({ "base64": "AA==", "bytes": bytes.len() }),
                _ => Value::Null,
            })
        };
        rows.push(
            (0..columns.len())
                .map(cell)
                .collect::<rusqlite::Result<Vec<_>>>()?,
        );
    }
    let truncated = rows.len() > limit;
    rows.truncate(limit);
    Ok(json!({ "columns": columns, "row_count": rows.len(), "rows": rows, "truncated": truncated }))
}

fn host() -> FakeHost {
    host_of(database())
}

fn host_of(db: Connection) -> FakeHost {
    FakeHost::new().answer_with("run-results.query", move |asked| {
        query(&db, asked).map_err(|error| invalid(error.to_string()))
    })
}

fn paths(arguments: Value) -> Vec<String> {
    let answer = call::<missing_files>(&host(), arguments).unwrap();
    answer["missing_files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["path"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn its_definition_is_sound() {
    check::<missing_files>();
}

#[test]
fn each_path_is_counted_once_whatever_its_pointer_and_argument() {
    let answer = call::<missing_files>(&host(), json!({ "project_dir": "p" })).unwrap();
    let files = &answer["missing_files"];
    assert_eq!(
        files[0],
        json!({
            "path": "/etc/httpd.conf",
            "hits": 2,
            "callers": ["/usr/sbin/httpd"],
            "fix": "add_static_file"
        })
    );
    assert_eq!(
        (
            &answer["total"],
            files.as_array().unwrap().len(),
            &answer["truncated"]
        ),
        (&json!(5), 5, &json!(false))
    );
    let sys = files
        .as_array()
        .unwrap()
        .iter()
        .find(|file| file["path"].as_str().unwrap().starts_with("/sys"))
        .unwrap();
    assert_eq!(sys["fix"], "add_pseudofile");
    assert_eq!(
        answer["next"],
        json!({ "tool": "pseudofile_failures", "arguments": { "project_dir": "p" } })
    );
}

#[test]
fn a_program_is_found_by_name_and_by_path() {
    assert_eq!(
        paths(json!({ "project_dir": "p", "procname": "httpd" })),
        [
            "/etc/httpd.conf",
            "/sys/class/gpio/gpio17/value",
            "relative.conf"
        ]
    );
    assert_eq!(
        paths(json!({ "project_dir": "p", "procname": "/usr/sbin/httpd" })).len(),
        3,
        "a path also finds the bare name"
    );
    assert_eq!(
        paths(json!({ "project_dir": "p", "procname": "/bin/httpd" })),
        ["/sys/class/gpio/gpio17/value", "relative.conf"]
    );
    assert_eq!(
        paths(json!({ "project_dir": "p", "procname": "" })).len(),
        5
    );
}

#[test]
fn a_name_is_data_and_never_sql() {
    assert_eq!(
        paths(json!({ "project_dir": "p", "procname": "it's" })),
        ["/etc/it's"]
    );
    for name in ["' OR 1=1 --", "%", "_ttpd", "\\"] {
        assert_eq!(
            paths(json!({ "project_dir": "p", "procname": name })),
            [""; 0],
            "{name}"
        );
    }
}

#[test]
fn fewer_than_there_are_is_said_to_be_so() {
    let answer = call::<missing_files>(&host(), json!({ "project_dir": "p", "limit": 1 })).unwrap();
    assert_eq!(
        (
            &answer["total"],
            &answer["truncated"],
            answer["missing_files"].as_array().unwrap().len()
        ),
        (&json!(5), &json!(true), 1)
    );
}

#[test]
fn a_run_without_events_says_how_to_record_them() {
    let missing = Unavailable {
        what: "plugins.db".into(),
        why: "no logger".into(),
        how_to_enable: "enable db".into(),
    };
    let host = FakeHost::new().fail("run-results.query", Error::Unavailable(missing));
    let answer: Result<Value> = call::<missing_files>(&host, json!({ "project_dir": "p" }));
    assert_eq!(answer.unwrap()["how_to_enable"], "enable db");
}

#[test]
fn rows_of_another_shape_are_left_out() {
    let host = FakeHost::new().answer(
        "run-results.query",
        json!({ "rows": [[1], ["/x", 2, 1, 0, "a", "b"], [null, 1, 1]] }),
    );
    let answer = call::<missing_files>(&host, json!({ "project_dir": "p" })).unwrap();
    assert_eq!(answer["missing_files"].as_array().unwrap().len(), 1);
}

#[test]
fn one_odd_row_spoils_no_other() {
    let db = database();
    let long = format!("filename=0x1(\"/{}\")", "a".repeat(70_000));
    db.execute("UPDATE syscall SET arg0_repr = ?1 WHERE id = 5", [long])
        .unwrap();
    db.execute_batch(
        "UPDATE event SET procname = CAST(x'ff68' AS TEXT) WHERE id = 4; UPDATE event SET \
         procname = x'00ff' WHERE id = 9;",
    )
    .unwrap();
    let answer = call::<missing_files>(&host_of(db), json!({ "project_dir": "p" })).unwrap();
    let files = answer["missing_files"].as_array().unwrap();
    assert_eq!((files.len(), &answer["total"]), (5, &json!(5)));
    assert_eq!(files[0]["path"], "/etc/httpd.conf");
    let of = |path: &str| {
        files
            .iter()
            .find(|file| file["path"].as_str().unwrap().starts_with(path))
            .unwrap()
    };
    assert_eq!(of("/etc/other")["callers"], json!([]), "no text is no name");
    assert!(of("/aaa")["path"].as_str().unwrap().len() < 1100);
}

#[test]
fn thousands_of_callers_are_shown_by_the_first_and_the_last() {
    let db = database();
    db.execute_batch(
        "DELETE FROM event; DELETE FROM syscall;
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 5000) INSERT INTO \
         event SELECT i, 'syscall', 'p' || i, 0 FROM n;
         INSERT INTO syscall SELECT id, 'sys_open', -2, '', 'filename=0x1(\"/x\")', '', '', '', 0, \
         0 FROM event;",
    )
    .unwrap();
    let answer = call::<missing_files>(&host_of(db), json!({ "project_dir": "p" })).unwrap();
    assert_eq!(
        answer["missing_files"],
        json!([
            { "path": "/x", "hits": 5000, "callers": ["p1", "p5000"], "fix": "add_static_file" }
        ])
    );
}

#[test]
fn a_socket_that_nobody_made_is_no_file_to_add() {
    let db = database();
    db.execute_batch(
        "DELETE FROM event; DELETE FROM syscall;
         INSERT INTO event VALUES (1, 'syscall', 'web', 0), (2, 'syscall', 'web', 0);
         INSERT INTO syscall VALUES
         (1, 'sys_connect', -2, '', 'fd=0x3', 'uservaddr=0x0(\"/var/cfgd.sock\")', '', '', 0, 0),
         (2, 'sys_open', -2, '', 'filename=0x1(\"/dev/x\")', '', '', '', 0, 0);",
    )
    .unwrap();
    let answer = call::<missing_files>(&host_of(db), json!({ "project_dir": "p" })).unwrap();
    assert_eq!(
        answer["missing_files"],
        json!([
            { "path": "/dev/x", "hits": 1, "callers": ["web"], "fix": "add_pseudofile" },
            { "path": "/var/cfgd.sock", "hits": 1, "callers": ["web"], "socket": true }
        ])
    );
}

#[test]
fn what_is_no_failure_is_left_out_and_counted() {
    let db = database();
    db.execute_batch(
        "DELETE FROM event; DELETE FROM syscall;
         INSERT INTO event (id, type, procname, proc_id) VALUES
         (1, 'syscall', 'sh', 5), (2, 'syscall', 'sh', 5), (3, 'syscall', 'rm', 6),
         (4, 'syscall', 'mount', 7), (5, 'syscall', 'mount', 7), (6, 'syscall', 'fine', 8),
         (7, 'syscall', 'bad', 9), (8, 'syscall', 'stays', 10), (9, 'syscall', 'stays', 10);
         INSERT INTO syscall (id, name, retno, arg0_repr, arg1_repr, arg2) VALUES
         (1, 'sys_stat', -2, 'filename=0x0(\"/sbin/ls\")', '', 0),
         (2, 'sys_stat', 0, 'filename=0x0(\"/bin/ls\")', '', 0),
         (3, 'sys_unlink', -2, 'pathname=0x0(\"/tmp/gone\")', '', 0),
         (4, 'sys_stat', -2, 'filename=0x0(\"/tmpfs\")', '', 0),
         (5, 'sys_mount', 0, 'dev_name=0x0(\"tmpfs\")', 'dir_name=0x0(\"/tmp\")', 0),
         (6, 'sys_open', -2, 'filename=0x0(\"/etc/option\")', '', 0),
         (7, 'sys_openat', -2, 'dfd=0x0', 'filename=0x0(\"/var/lock/bad\")', 577),
         (8, 'sys_open', -2, 'filename=0x0(\"/etc/stays\")', '', 0),
         (9, 'sys_open', -2, 'filename=0x0(\"/etc/stays\")', '', 0);
         INSERT INTO proc_exit VALUES (20, 8, 0, 0, 'exit_group'), (21, 9, 0, 1, 'exit_group');",
    )
    .unwrap();
    let host = host_of(db);
    let answer = call::<missing_files>(&host, json!({ "project_dir": "p" })).unwrap();
    assert_eq!(
        answer["missing_files"],
        json!([
            {
                "path": "/var/lock/bad",
                "hits": 1,
                "callers": ["bad"],
                "directory": "/var/lock",
                "fix": "add_static_file"
            },
            { "path": "/etc/stays", "hits": 2, "callers": ["stays"], "fix": "add_static_file" }
        ]),
        "what a program that ended badly lacked comes first"
    );
    assert_eq!(answer["harmless"], 4);
    let all = call::<missing_files>(&host, json!({ "project_dir": "p", "all": true })).unwrap();
    assert_eq!((&all["total"], all.get("harmless")), (&json!(6), None));
}

#[test]
fn a_table_with_fewer_arguments_is_read() {
    let db = database();
    db.execute_batch(
        "ALTER TABLE syscall DROP COLUMN arg3_repr; ALTER TABLE syscall DROP COLUMN arg2_repr; \
         DROP TABLE proc_exit;",
    )
    .unwrap();
    let answer = call::<missing_files>(&host_of(db), json!({ "project_dir": "p" })).unwrap();
    assert_eq!(answer["total"], 5);
}

#[test]
fn that_no_call_was_recorded_is_not_that_nothing_was_missed() {
    for script in [
        "DELETE FROM syscall",
        "DROP TABLE syscall",
        "DROP TABLE event",
        "ALTER TABLE syscall DROP COLUMN retno",
    ] {
        for (plugins, how) in [
            (json!({}), "\"preset\":\"diagnostics\""),
            (
                json!({ "syscalls_logger": { "enabled": false } }),
                "Call set_config {",
            ),
            (
                json!({ "syscalls_logger": { "enabled": true } }),
                "Call run {",
            ),
        ] {
            let db = database();
            db.execute_batch(script).unwrap();
            let host = host_of(db).yaml("core_plugins.yaml", plugins);
            let answer = call::<missing_files>(&host, json!({ "project_dir": "p" })).unwrap();
            assert_eq!(answer["available"], false, "{script}: {answer}");
            let text = answer["how_to_enable"].as_str().unwrap();
            assert!(
                text.contains(how) && !answer.to_string().contains("SELECT"),
                "{answer}"
            );
        }
    }
    let none = call::<missing_files>(&host(), json!({ "project_dir": "p", "procname": "nobody" }))
        .unwrap();
    assert_eq!(none["total"], 0, "others called");
}

#[test]
fn no_fix_is_named_that_would_be_refused() {
    for (path, fix) in [
        ("/etc/x", Some("add_static_file")),
        ("/dev/x", Some("add_pseudofile")),
        ("/proc/sys/x", Some("add_pseudofile")),
        ("/proc/412/cmdline", None),
        ("/proc/PID/maps", None),
        ("/dev/mtd0", None),
        ("/dev", None),
        ("/etc//x", None),
        ("/etc/../x", None),
        ("/etc/x/", None),
        ("x", None),
        ("/", None),
    ] {
        assert_eq!(super::fix(path), fix, "{path}");
    }
}
