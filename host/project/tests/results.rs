//! Result directories: real ones of Penguin's, odd ones, and hostile ones.

mod edge;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use edge::{Results, Roots};
use rookery_project::{Cancel, Error, Unavailable};
use serde_json::{Value, json};

fn roots(dir: &Path) -> Roots {
    Roots::new([dir.to_owned()]).unwrap()
}

/// A result directory with one file.
fn with_file(name: &str, content: &[u8]) -> (tempfile::TempDir, Results) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(name), content).unwrap();
    let results = roots(dir.path()).results(None, Some(".")).unwrap();
    (dir, results)
}

#[allow(clippy::needless_pass_by_value, reason = "reads better at the calls")]
fn csv(results: &Results, file: &str, options: Value) -> Value {
    results
        .read_csv(file, &options, &Cancel::default())
        .unwrap()
}

#[test]
fn the_newest_completed_run_is_chosen_by_number() {
    let dir = tempfile::tempdir().unwrap();
    let project = dir.path().join("p");
    for run in ["2", "9", "10", "11", "junk", "12x", "-1"] {
        fs::create_dir_all(project.join("results").join(run)).unwrap();
        fs::write(project.join("results").join(run).join("console.log"), "x").unwrap();
    }
    fs::write(project.join("config.yaml"), "{}").unwrap();
    for run in ["2", "9", "10"] {
        fs::write(project.join("results").join(run).join(".ran"), "").unwrap();
        fs::write(project.join("results").join(run).join("summary.json"), "{}").unwrap();
    }
    symlink("./14", project.join("results/latest")).unwrap();
    let results = roots(dir.path()).results(Some("p"), None).unwrap();
    let status = results.status().unwrap();
    assert_eq!(
        (&status["run"], &status["state"]),
        (&json!(10), &json!("completed"))
    );
    assert!(
        status["note"]
            .as_str()
            .unwrap()
            .contains("run 14 left nothing"),
        "{status}"
    );
}

#[test]
fn a_project_without_runs_says_so() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("config.yaml"), "{}").unwrap();
    let error = roots(dir.path()).results(Some("."), None).unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error}");
    fs::create_dir_all(dir.path().join("results/0")).unwrap();
    let results = roots(dir.path()).results(Some("."), None).unwrap();
    assert_eq!(results.status().unwrap()["state"], "never-ran");
}

#[test]
fn only_regular_files_of_the_directory_are_read() {
    let (dir, results) = with_file("console.log", b"hello\n");
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "secret").unwrap();
    symlink(outside.path().join("secret"), dir.path().join("score.txt")).unwrap();
    symlink("console.log", dir.path().join("alias.log")).unwrap();
    fs::create_dir(dir.path().join("scores.txt")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        dir.path().join("crashes.yaml"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("qmp.sock")).unwrap();

    assert!(matches!(
        results.read_text("score.txt", 0, 9),
        Err(Error::Unavailable(Unavailable { why, .. })) if why.contains("leads out")
    ));
    assert_eq!(
        results.read_text("alias.log", 0, 9).unwrap()["text"],
        "hello\n"
    );
    for name in ["scores.txt", "crashes.yaml", "qmp.sock"] {
        let error = results.read_text(name, 0, 9).unwrap_err();
        assert!(
            error.to_string().contains("not a regular file"),
            "{name}: {error}"
        );
    }
    for name in [
        "",
        ".",
        "..",
        "/etc/passwd",
        "../x",
        "a/b",
        "shared/../x",
        "shared/a/b",
        "nul\0",
    ] {
        assert!(
            matches!(
                results.read_text(name, 0, 9),
                Err(Error::InvalidArgument(_))
            ),
            "{name:?}"
        );
    }
}

#[test]
fn text_is_read_in_ranges_that_join() {
    let text = "añb🦀c\u{202e}d\n".repeat(50);
    let (_dir, results) = with_file("console.log", text.as_bytes());
    let (mut joined, mut at) = (String::new(), 0i64);
    loop {
        let part = results.read_text("console.log", at, 7).unwrap();
        joined += part["text"].as_str().unwrap();
        let next = part["next_offset"].as_i64().unwrap();
        if next == at {
            break;
        }
        at = next;
    }
    assert_eq!(joined, text.replace('\u{202e}', "\\u{202e}"));
    let end = results.read_text("console.log", -2, 100).unwrap();
    assert_eq!(
        (&end["text"], &end["next_offset"]),
        (&json!("d\n"), &end["bytes"])
    );
    assert_eq!(
        results.read_text("console.log", i64::MIN, 1).unwrap()["offset"],
        0
    );
    assert_eq!(
        results.read_text("console.log", i64::MAX, 1).unwrap()["text"],
        ""
    );
}

#[test]
fn a_comma_in_a_process_name_does_not_shift_columns() {
    let (_dir, results) = with_file(
        "netbinds.csv",
        b"procname,ipvn,domain,guest_ip,guest_port,pid,time,state,closed_time\n\
          a,b,c,4,tcp,0.0.0.0,80,1,2.0,listening,\nplain,6,tcp,[::],81,2,3.0,closed,4.0\n",
    );
    let all = csv(&results, "netbinds.csv", Value::Null);
    assert_eq!(all["total"], 2);
    assert_eq!(all["rows"][0]["procname"], "a,b,c");
    assert_eq!(all["rows"][0]["guest_port"], "80");
    let closed = csv(
        &results,
        "netbinds.csv",
        json!({"where": {"state": ["closed"]}}),
    );
    assert_eq!(
        (&closed["total"], &closed["rows"][0]["procname"]),
        (&json!(1), &json!("plain"))
    );
    let page = csv(&results, "netbinds.csv", json!({"limit": 1, "offset": 0}));
    assert_eq!(
        (page["rows"].as_array().unwrap().len(), &page["truncated"]),
        (1, &json!(true))
    );
    let page = csv(&results, "netbinds.csv", json!({"limit": 1, "offset": 1}));
    assert_eq!(
        (&page["rows"][0]["procname"], &page["truncated"]),
        (&json!("plain"), &json!(false))
    );
    let error = results
        .read_csv(
            "netbinds.csv",
            &json!({"where": {"nope": ["x"]}}),
            &Cancel::default(),
        )
        .unwrap_err();
    assert!(error.to_string().contains("closed_time"), "{error}");
    let error = results
        .read_csv("netbinds.csv", &json!({"limmit": 1}), &Cancel::default())
        .unwrap_err();
    assert!(error.to_string().contains("limmit"), "{error}");
}

#[test]
fn older_newer_and_headless_tables_are_read() {
    let (_dir, results) = with_file(
        "netbinds.csv",
        b"procname,ipvn,domain,guest_ip,guest_port,time\nhttpd,4,tcp,0.0.0.0,80,1.5\nshort,4\n",
    );
    let old = csv(&results, "netbinds.csv", Value::Null);
    assert_eq!(
        (&old["rows"][0]["time"], &old["rows"][1]["time"]),
        (&json!("1.5"), &Value::Null)
    );

    let (_dir, results) = with_file("mounts.csv", b"/dev/mtd3,/flash,jffs2,-1\na,b,/x,proc,0\n");
    let mounts = csv(&results, "mounts.csv", Value::Null);
    assert_eq!(
        (&mounts["total"], &mounts["rows"][1]["source"]),
        (&json!(2), &json!("a,b"))
    );
    let named = csv(
        &results,
        "mounts.csv",
        json!({"columns": ["a", "b", "c", "d"]}),
    );
    assert_eq!(
        (&named["total"], &named["rows"][0]["d"]),
        (&json!(2), &json!("-1"))
    );

    let (_dir, results) = with_file(
        "nvram.csv",
        b"key,operation,value\nlan,hit,\nboot,set,12,5 s\n\
        motd,set,line1\nline2\n\nline4\na,b,miss,\n",
    );
    let nvram = csv(&results, "nvram.csv", Value::Null);
    assert_eq!(nvram["total"], 4, "{nvram}");
    assert_eq!(nvram["rows"][1]["value"], "12,5 s");
    assert_eq!(nvram["rows"][2]["value"], "line1\nline2\n\nline4");
    assert_eq!(
        (&nvram["rows"][3]["key"], &nvram["rows"][3]["operation"]),
        (&json!("a,b"), &json!("miss"))
    );

    let (_dir, results) = with_file(
        "bash_cov.csv",
        b"filename,lineno,pid,command\r\n/x,2,88,\"echo \"\"a,b\"\"\r\nc\"\r\n",
    );
    assert_eq!(
        csv(&results, "bash_cov.csv", Value::Null)["rows"][0]["command"],
        "echo \"a,b\"\r\nc"
    );
    let (_dir, results) = with_file("lifeguard.csv", b"");
    assert_eq!(csv(&results, "lifeguard.csv", Value::Null)["total"], 0);
}

#[test]
fn a_sparse_giant_costs_neither_memory_nor_a_hang() {
    let (dir, results) = with_file("console.log", b"");
    let file = fs::File::options()
        .write(true)
        .open(dir.path().join("console.log"))
        .unwrap();
    file.set_len(10 << 30).unwrap();
    let error = results
        .search(
            "console.log",
            "panic",
            &json!({"timeout_ms": 50}),
            &Cancel::default(),
        )
        .unwrap_err();
    assert!(matches!(error, Error::Limit(_)), "{error}");
    assert_eq!(
        results.read_text("console.log", -4, 100).unwrap()["next_offset"],
        10u64 << 30
    );
    fs::rename(
        dir.path().join("console.log"),
        dir.path().join("crashes.yaml"),
    )
    .unwrap();
    assert!(matches!(
        results.read_yaml("crashes.yaml"),
        Err(Error::Limit(_))
    ));
}
