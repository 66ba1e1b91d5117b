//! Nothing that stands in a file's place holds anybody up: each is refused at once, by the name
//! that the user knows.

mod edge;
mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use edge::Roots;
use rookery_project::{Cancel, Error};
use rustix::fs::{CWD, FileType, Mode};
use serde_json::{Value, json};

/// What is put in a file's place.
const OTHERS: [&str; 6] = ["fifo", "socket", "directory", "dangling", "loop", "device"];
/// No test waits: the ones who change a project wait 30 s for each other.
const AT_ONCE: Duration = Duration::from_secs(10);

fn put(what: &str, at: &Path) {
    match what {
        "fifo" => rustix::fs::mknodat(CWD, at, FileType::Fifo, Mode::RWXU, 0).unwrap(),
        "socket" => drop(UnixListener::bind(at).unwrap()),
        "directory" => fs::create_dir(at).unwrap(),
        "dangling" => symlink("nothing-here", at).unwrap(),
        "loop" => symlink(at.file_name().unwrap(), at).unwrap(),
        _ => symlink("/dev/zero", at).unwrap(),
    }
}

fn project() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let project = dir.path().canonicalize().unwrap().join("p");
    fs::create_dir_all(project.join("results/0")).unwrap();
    fs::write(project.join("config.yaml"), support::CONFIG).unwrap();
    (dir, project)
}

/// Everything that reads or changes the project.
fn everything(roots: &Roots) -> Vec<Result<Value, Error>> {
    let opened = match roots.project("p") {
        Ok(project) => project,
        Err(error) => return vec![Err(error)],
    };
    let change = json!({ "env": { "a": "b" } });
    let mut all = vec![
        opened.effective(),
        opened.patch(),
        opened.apply(change.clone(), &Value::Null),
        opened.reset(&Value::Null),
        opened.firmware(&Cancel::default()).map(|_| Value::Null),
    ];
    match roots.results(Some("p"), None) {
        Ok(results) => all.extend([
            results.status(),
            results.read_yaml("crashes.yaml"),
            results.read_csv("netbinds.csv", &Value::Null, &Cancel::default()),
            results.read_text("console.log", 0, 100),
            results.search("console.log", "x", &Value::Null, &Cancel::default()),
            results.query("SELECT 1", &Value::Null, &Value::Null, &Cancel::default()),
        ]),
        Err(error) => all.push(Err(error)),
    }
    all
}

#[test]
fn whatever_is_in_a_files_place_is_refused_at_once() {
    for file in [
        "config.yaml",
        "patch_90_mcp.yaml",
        "patch_10_mine.yaml",
        "patches/a.yaml",
        ".rookery",
        ".rookery/lock",
        ".rookery/history.jsonl",
        ".rookery-run.lock",
        "base/fs.tar.gz",
        "results",
        "results/0",
        "results/0/runtime.yaml",
        "results/0/core_config.yaml",
        "results/0/crashes.yaml",
        "results/0/netbinds.csv",
        "results/0/console.log",
        "results/0/plugins.db",
    ] {
        for what in OTHERS {
            let (dir, project) = project();
            let at = project.join(file);
            fs::create_dir_all(at.parent().unwrap()).unwrap();
            let _ = fs::remove_file(&at);
            let _ = fs::remove_dir_all(&at);
            put(what, &at);
            let roots = Roots::new([dir.path().to_owned()]).unwrap();
            let start = Instant::now();
            let outcomes = everything(&roots);
            assert!(start.elapsed() < AT_ONCE, "{what} as {file} was waited for");
            for error in outcomes.iter().filter_map(|one| one.as_ref().err()) {
                let text = error.to_string();
                assert!(
                    !text.contains("/proc/self") && !text.contains(".tmp-"),
                    "{what} as {file}: {text}"
                );
                assert!(
                    !text.contains("try again later"),
                    "{what} as {file}: {text}"
                );
            }
        }
    }
}

#[test]
fn a_fifo_as_the_lock_of_changes_is_named() {
    let (dir, project) = project();
    fs::create_dir(project.join(".rookery")).unwrap();
    put("fifo", &project.join(".rookery/lock"));
    let roots = Roots::new([dir.path().to_owned()]).unwrap();
    let change = json!({ "env": { "a": "b" } });
    let opened = roots.project("p").unwrap();
    let error = opened
        .apply(change.clone(), &Value::Null)
        .unwrap_err()
        .to_string();
    let lock = project.join(".rookery/lock");
    assert!(
        error.contains("FIFO") && error.contains(lock.to_str().unwrap()),
        "{error}"
    );
    fs::remove_file(&lock).unwrap();
    opened.apply(change.clone(), &Value::Null).unwrap();
}

#[test]
fn a_file_that_sqlite_would_wait_at_is_refused() {
    let (dir, project) = project();
    let results = project.join("results/0");
    fs::write(results.join("console.log"), "").unwrap();
    let database = rusqlite::Connection::open(results.join("plugins.db")).unwrap();
    database
        .execute_batch("CREATE TABLE event(id); INSERT INTO event VALUES (1)")
        .unwrap();
    drop(database);
    let roots = Roots::new([dir.path().to_owned()]).unwrap();
    let query = || {
        let results = roots.results(Some("p"), None).unwrap();
        results.query(
            "SELECT * FROM event",
            &Value::Null,
            &Value::Null,
            &Cancel::default(),
        )
    };
    query().unwrap();
    for suffix in ["-journal", "-wal", "-shm"] {
        let at = results.join(format!("plugins.db{suffix}"));
        put("fifo", &at);
        let start = Instant::now();
        let error = query().unwrap_err().to_string();
        assert!(start.elapsed() < AT_ONCE);
        assert!(error.contains(suffix), "{error}");
        fs::remove_file(&at).unwrap();
    }
    query().unwrap();
}

#[test]
fn no_history_keeps_a_project_from_being_changed() {
    let (dir, project) = project();
    fs::create_dir(project.join(".rookery")).unwrap();
    let line = json!({ "revision": u64::MAX, "time": "", "change": "", "patch": null });
    fs::write(
        project.join(".rookery/history.jsonl"),
        format!("{line}\n{{\"revision\": -1}}\n{{\"revision\": 1e30}}\n\0\n"),
    )
    .unwrap();
    let roots = Roots::new([dir.path().to_owned()]).unwrap();
    let opened = roots.project("p").unwrap();
    for (value, revision) in [("b", 1), ("c", 2)] {
        let change = json!({ "env": { "a": value } });
        let answer = opened.apply(change, &Value::Null).unwrap();
        assert_eq!(answer["revision"], revision, "{answer}");
    }
}

#[test]
fn of_names_without_a_number_no_run_is_chosen() {
    let (dir, project) = project();
    for name in ["18446744073709551615", "99999999999999999999", "-1", "+7"] {
        fs::create_dir(project.join("results").join(name)).unwrap();
    }
    fs::write(project.join("results/0/console.log"), "").unwrap();
    let roots = Roots::new([dir.path().to_owned()]).unwrap();
    let results = roots.results(Some("p"), None).unwrap();
    assert_eq!(results.dir(), project.join("results/0"));
    assert_eq!(results.status().unwrap()["run"], 0);
}
