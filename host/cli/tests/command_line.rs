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
        &["plugins", "lock"],
        &["plugins", "compile"],
        &["plugins", "new"],
        &["plugins", "test"],
        &["plugins", "componentize"],
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
        &["run", "p", "--timeout", "604801"],
        &["run", "p", "--backend", "x"],
        &["run", "p", "--ports", "80"],
        &["run", "p", "--ports", "80=8080,81=8080"],
        &["serve", "--root", ".", "--ports", "9000-8000"],
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

#[test]
fn json_stays_json_whatever_a_name_holds() {
    let home = tempfile::tempdir().expect("a directory");
    let name = "e\u{ad}\u{200b}\u{9b}\u{1b}x.wasm";
    std::fs::write(home.path().join(name), "not a component").expect("a file");
    for name in [name, "nowhere\u{202e}.wasm"] {
        let output = stdout(&rookery(home.path(), &["plugins", "check", name, "--json"]));
        let report: serde_json::Value = serde_json::from_str(&output).expect("JSON");
        let file = report["rejected"][0]["file"].as_str().expect("a file");
        assert!(file.contains("\\u{"), "{file}");
        assert!(
            file.chars().all(|c| matches!(c, ' '..='~')),
            "what is hidden is written out: {file}"
        );
    }
}

#[test]
fn a_project_and_a_root_filesystem_may_be_named_by_a_link_or_from_below() {
    let home = tempfile::tempdir().expect("a directory");
    for dir in ["store/fwp/sub", "here"] {
        std::fs::create_dir_all(home.path().join(dir)).expect("a directory");
    }
    std::fs::write(home.path().join("store/img.tar.gz"), "no archive").expect("a file");
    for (target, link) in [("fwp", "fwp"), ("img.tar.gz", "img.tar.gz")] {
        std::os::unix::fs::symlink(
            Path::new("../store").join(target),
            home.path().join("here").join(link),
        )
        .expect("a link");
    }
    for args in [
        &["run", "here/fwp"][..],
        &["run", "store/fwp/sub/.."],
        &["init", "here/img.tar.gz", "-o", "here/new"],
    ] {
        let output = rookery(home.path(), args);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        // What is refused is what is in them.
        assert!(
            !text.contains("outside") && !text.contains("--root"),
            "{args:?}: {text}"
        );
    }
}

#[test]
fn only_the_environment_separates_roots_by_a_colon() {
    let home = tempfile::tempdir().expect("a directory");
    for dir in ["a:1", "b", "c"] {
        std::fs::create_dir(home.path().join(dir)).expect("a directory");
    }
    let output = rookery(home.path(), &["serve", "--root", "a:1"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let serve = |roots: &str| {
        Command::new(env!("CARGO_BIN_EXE_rookery"))
            .arg("serve")
            .env_clear()
            .env("HOME", home.path())
            .env("ROOKERY_ROOT", roots)
            .current_dir(home.path())
            .stdin(Stdio::null())
            .output()
            .expect("rookery starts")
    };
    assert_eq!(serve("b:c").status.code(), Some(0));
    assert!(String::from_utf8_lossy(&serve("b:nowhere").stderr).contains("nowhere"));
    assert_eq!(serve("").status.code(), Some(2));
}

#[test]
fn doctor_tells_of_a_cache_that_serve_does_not_use() {
    let home = tempfile::tempdir().expect("a directory");
    let components = home.path().join("cache/components");
    std::fs::create_dir_all(&components).expect("a directory");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o770);
    std::fs::set_permissions(&components, open).expect("its mode");
    let output = rookery(home.path(), &["doctor", "--json", "--cache-dir", "cache"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let cache = &report["directories"][1];
    assert_eq!(cache["ok"], false);
    assert_eq!(
        cache["needed"], false,
        "serve works without it, but starts slowly"
    );
    assert!(
        cache["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains("open to others")),
        "{cache}"
    );
}
