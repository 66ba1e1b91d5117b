//! Promises of the command line: help, exit codes, and what goes to which stream.

use std::path::Path;
use std::process::{Command, Output, Stdio};

fn rookery(home: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rookery"))
        .args(args)
        .env_clear()
        .env("HOME", home)
        .current_dir(home)
        .stdin(Stdio::null())
        .output()
        .expect("rookery starts")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn every_subcommand_explains_itself_with_an_example() {
    let home = tempfile::tempdir().expect("a directory");
    for command in [
        &["init"][..],
        &["run"],
        &["serve"],
        &["plugins"],
        &["plugins", "list"],
        &["plugins", "check"],
        &["doctor"],
    ] {
        let output = rookery(home.path(), &[command, &["--help"]].concat());
        assert_eq!(output.status.code(), Some(0), "{command:?}");
        assert!(stdout(&output).contains("Example"), "{command:?}");
        assert!(
            stdout(&output).contains(&format!("rookery {}", command.join(" "))),
            "{command:?}"
        );
    }
}

#[test]
fn a_wrong_command_line_exits_with_2_and_leaves_stdout_empty() {
    let home = tempfile::tempdir().expect("a directory");
    for args in [
        &[][..],
        &["nope"],
        &["serve"],
        &["run"],
        &["run", "p", "--timeout", "0"],
        &["run", "p", "--backend", "x"],
        &["supervise"],
    ] {
        let output = rookery(home.path(), args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert_eq!(stdout(&output), "", "{args:?}");
    }
}

#[test]
fn a_failure_exits_with_1_and_says_why() {
    let home = tempfile::tempdir().expect("a directory");
    std::fs::write(home.path().join("x.wasm"), "not a component").expect("a file");
    for args in [
        &["plugins", "check", "x.wasm"][..],
        &["plugins", "list", "--plugins", "nowhere"],
        &["serve", "--root", "nowhere"],
    ] {
        let output = rookery(home.path(), args);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {output:?}");
        assert!(
            !output.stdout.is_empty() || !output.stderr.is_empty(),
            "{args:?}"
        );
    }
    let output = rookery(
        home.path(),
        &["plugins", "list", "--plugins", "nowhere", "--json"],
    );
    assert!(
        stdout(&output).starts_with("{\"error\":\"nowhere is not a directory"),
        "{output:?}"
    );
}

#[test]
fn serve_without_tools_still_speaks_the_protocol_and_nothing_else() {
    let home = tempfile::tempdir().expect("a directory");
    let output = rookery(home.path(), &["serve", "--root", "."]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(stdout(&output), "");
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("no plugin"),
        "{output:?}"
    );
}
