//! Cases of `plugins test` that need a real project, or a guest that is not there.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use rookery_tests::places;
use rusqlite::Connection;
use serde_json::Value;

fn rookery(arguments: &[&str], dir: &Path) -> Result<Output> {
    let output = Command::new(places::dist().join("rookery"))
        .arg("plugins")
        .args(arguments)
        .current_dir(dir)
        .env("ROOKERY_CACHE_DIR", places::dist().join("cache"))
        .env("ROOKERY_STATE_DIR", dir.join(".state"))
        .env("CI_DEPLOY_TOKEN", "token-of-this-machine")
        .output()?;
    Ok(output)
}

fn json(output: &Output) -> Result<Value> {
    serde_json::from_slice(&output.stdout).with_context(|| format!("{output:?}"))
}

fn write(dir: &Path, files: &[(&str, &str)]) -> Result<()> {
    for (path, text) in files {
        let file = dir.join(path);
        std::fs::create_dir_all(file.parent().context("a folder")?)?;
        std::fs::write(file, text)?;
    }
    Ok(())
}

/// Every file of a folder, with its bytes.
fn all(dir: &Path) -> Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(all(&path)?);
        } else {
            let text = String::from_utf8_lossy(&std::fs::read(&path)?).into_owned();
            files.push((path.to_string_lossy().into_owned(), text));
        }
    }
    Ok(files)
}

const EVENTS: &str = "
    CREATE TABLE event (id INTEGER NOT NULL, type VARCHAR NOT NULL, procname VARCHAR NOT NULL,
        proc_id INTEGER NOT NULL, PRIMARY KEY (id));
    CREATE TABLE exec (id INTEGER NOT NULL, calltree VARCHAR NOT NULL, argc VARCHAR NOT NULL,
        argv VARCHAR NOT NULL, envp VARCHAR NOT NULL, euid INTEGER NOT NULL,
        egid INTEGER NOT NULL, PRIMARY KEY (id));
    CREATE TABLE write (id INTEGER NOT NULL, fd INTEGER NOT NULL, fname VARCHAR, buffer BLOB,
        PRIMARY KEY (id));
    INSERT INTO event VALUES (1, 'exec', 'httpd', 7), (2, 'write', 'httpd', 7),
        (3, 'exec', 'telnetd', 8);
    INSERT INTO exec VALUES (1, '', '1', '[''httpd'']', '[''ADMIN_PASSWORD=swordfish'']', 0, 0),
        (3, '', '1', '[''telnetd'']', '[]', 0, 0);
    INSERT INTO write VALUES (2, 5, '/etc/shadow', 'root:hash');";

#[test]
fn a_recorded_case_has_what_a_tool_reads_and_nothing_that_is_private() -> Result<()> {
    let home = tempfile::tempdir()?;
    let project = home.path().join("customer/router");
    let run = project.join("results/0");
    let console: String = (0..3000).fold(String::new(), |text, n| text + &format!("line {n}\n"));
    let here = project.to_string_lossy().into_owned();
    let secret = format!("{console}psk is hunter-two; token-of-this-machine; at {here}/x\n");
    write(
        &project,
        &[
            (
                "config.yaml",
                "core: {}\nnvram:\n  wl0_wpa_psk: hunter-two\n  lan_ip: 10.0.0.1\n",
            ),
            ("base/fs.tar.gz", "the firmware"),
            ("results/0/console.log", &secret),
            ("results/0/capture.pcap", "packets"),
            (
                "results/0/nvram.csv",
                "key,operation,value\nhttp_passwd,set,abc\nlan_ip,hit,10.0.0.1\n",
            ),
        ],
    )?;
    Connection::open(run.join("plugins.db"))?.execute_batch(EVENTS)?;

    let arguments = [
        "record",
        "customer/router",
        "--out",
        "cases/router",
        "--events",
        "2",
    ];
    let output = rookery(&[&arguments[..], &["--json"]].concat(), home.path())?;
    let said = json(&output)?;
    assert_eq!(output.status.code(), Some(0), "{said}");
    let case = home.path().join("cases/router");
    for (file, text) in all(&case)? {
        for private in [
            "hunter-two",
            "token-of-this-machine",
            "swordfish",
            "root:hash",
            "the firmware",
            "packets",
            ",abc",
            here.as_str(),
        ] {
            ensure!(!text.contains(private), "{private} is in {file}: {text}");
        }
    }
    let read = |file: &str| std::fs::read_to_string(case.join(file));
    ensure!(read("config.yaml")?.contains("lan_ip: 10.0.0.1"));
    ensure!(read("results/console.log")?.contains("at /project/x"));
    assert_eq!(
        read("results/console.log")?.lines().count(),
        1000,
        "it is bounded"
    );
    // What was left out is told.
    let told = said.to_string();
    for words in [
        "capture.pcap",
        "\"base\"",
        "1000 of 3001 lines",
        "2 of 3 events",
    ] {
        ensure!(told.contains(words), "{words}: {said}");
    }
    ensure!(said["secrets_left_out"].as_u64() > Some(3), "{said}");

    // It is a case as it stands, and its database is a real one.
    let sql = "arguments: {project_dir: fw, sql: \"SELECT procname, envp FROM exec JOIN event \
               USING (id)\"}\nanswer: {rows: [{procname: httpd, envp: \"*(left out)*\"}], \
               \"...\": x}\n";
    std::fs::write(case.join("case.yaml"), sql)?;
    let component = places::dist().join("plugins/db_query.wasm");
    let component = component.to_str().context("a path")?;
    let report = json(&rookery(
        &["test", component, "cases/router", "--json"],
        home.path(),
    )?)?;
    assert_eq!(report["tried"][0]["passed"], true, "{report:#}");
    Ok(())
}

#[test]
fn a_case_answers_for_the_guest_and_fails_on_a_call_that_it_does_not_expect() -> Result<()> {
    let home = tempfile::tempdir()?;
    write(
        home.path(),
        &[
            ("policy.toml", "[plugin.reaches]\ngrant = [\"live\"]\n"),
            (
                "cases/answered/answers.yaml",
                "- call: live.capabilities\n  with: {run: run-x}\n  \
                 answer: {command: true, why: {hook: none here}}\n",
            ),
            (
                "cases/answered/case.yaml",
                "arguments: {run_id: run-x}\nanswer: {isError: false, content: [{type: text, text: \
                 \"*command: true*none here*\"}]}\n",
            ),
            (
                "cases/busy/answers.yaml",
                "- {call: live.capabilities, error: {kind: conflict, message: busy now}}\n",
            ),
            (
                "cases/busy/case.yaml",
                "arguments: {run_id: run-x}\nerror: {kind: conflict, message: \"*busy now*\"}\n",
            ),
            (
                "cases/other/answers.yaml",
                "- {call: live.capabilities, with: {run: run-y}, answer: {}}\n",
            ),
            (
                "cases/other/case.yaml",
                "arguments: {run_id: run-x}\nerror: {kind: unavailable}\n",
            ),
        ],
    )?;
    let component = places::dist().join("test-plugins/reaches.wasm");
    let component = component.to_str().context("a path")?;
    let arguments = [
        "test",
        component,
        "cases",
        "--policy",
        "policy.toml",
        "--json",
    ];
    let output = rookery(&arguments, home.path())?;
    let report = json(&output)?;
    let passed = |name: &str| {
        let mut tried = report["tried"].as_array().into_iter().flatten();
        tried
            .find(|one| one["name"] == name)
            .map(|one| &one["passed"])
    };
    assert_eq!(passed("answered"), Some(&Value::Bool(true)), "{report:#}");
    assert_eq!(passed("busy"), Some(&Value::Bool(true)), "{report:#}");
    assert_eq!(passed("other"), Some(&Value::Bool(false)), "{report:#}");
    assert_eq!(output.status.code(), Some(1));
    let told = report.to_string();
    for words in [
        "unexpected call live.capabilities",
        "left are: live.capabilities",
        "was not called",
    ] {
        ensure!(told.contains(words), "{words}: {report:#}");
    }
    Ok(())
}
