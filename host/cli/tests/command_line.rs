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
        &["plugins", "call"],
        &["plugins", "dev"],
        &["plugins", "record"],
        &["plugins", "componentize"],
        &["doctor"],
        &["report"],
        &["call"],
        &["ps"],
        &["attach"],
        &["logs"],
        &["stop"],
        &["prune"],
        &["completions"],
        &["man"],
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
        &["stop"],
        &["stop", "x", "--all"],
        &["logs"],
        &["report"],
        &["prune", "--keep", "0"],
        &["prune", "--older-than", "30"],
        &["completions", "tcsh"],
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
        &["report", "nowhere"],
        &["stop", "nowhere"],
        &["logs", "nowhere"],
        &["call", "nothing"],
        &["prune", "nowhere"],
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

#[test]
fn an_error_names_commands_and_tells_one_cause_once() {
    let home = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(home.path().join("fw")).expect("a directory");
    for args in [
        &["run", "fw"][..],
        &["init", "nowhere.tar"],
        &["call", "x", "y"],
    ] {
        let output = rookery(home.path(), args);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(text.matches("error:").count(), 1, "{text}");
        assert!(!text.contains("init_project"), "{text}");
        let mut parts: Vec<&str> = text.trim().split(": ").collect();
        let all = parts.len();
        parts.sort_unstable();
        parts.dedup();
        assert_eq!(parts.len(), all, "{text}");
    }
}

#[test]
fn there_is_no_colour_where_nobody_sees_it() {
    let home = tempfile::tempdir().expect("a directory");
    for args in [&["ps"][..], &["stop", "x"], &["call"]] {
        let output = rookery(home.path(), args);
        assert!(!output.stdout.contains(&0x1b) && !output.stderr.contains(&0x1b));
    }
}

#[test]
fn colour_can_be_asked_for_and_refused() {
    let home = tempfile::tempdir().expect("a directory");
    let ps = |variables: &[(&str, &str)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rookery"));
        command.arg("ps").env_clear().env("HOME", home.path());
        let output = command.envs(variables.iter().copied()).output();
        stdout(&output.expect("rookery starts"))
    };
    let forced = ("CLICOLOR_FORCE", "1");
    assert!(ps(&[forced]).contains("\u{1b}["));
    assert!(!ps(&[forced, ("NO_COLOR", "1")]).contains('\u{1b}'));
}

#[test]
fn shells_and_man_know_every_command() {
    let home = tempfile::tempdir().expect("a directory");
    for shell in ["bash", "zsh", "fish"] {
        let script = stdout(&rookery(home.path(), &["completions", shell]));
        for command in ["report", "attach", "prune"] {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
    let page = stdout(&rookery(home.path(), &["man"]));
    assert!(
        page.contains(".TH rookery 1") && page.contains("attach"),
        "{page}"
    );
    let written = rookery(home.path(), &["man", "--dir", "man1"]);
    assert_eq!(written.status.code(), Some(0), "{written:?}");
    assert!(home.path().join("man1/rookery-report.1").is_file());
}

/// A project that was run so often, without a firmware.
fn project_with_runs(home: &Path, runs: usize) {
    let project = home.join("fw");
    for run in 0..runs {
        let results = project.join(format!("results/{run}"));
        std::fs::create_dir_all(&results).expect("a directory");
        for file in [".ran", "score.txt", "console.log"] {
            std::fs::write(results.join(file), "1\n").expect("a file");
        }
    }
    std::fs::write(project.join("config.yaml"), "").expect("a file");
}

#[test]
fn prune_removes_what_is_beyond_the_quota_and_says_so_before() {
    let home = tempfile::tempdir().expect("a directory");
    project_with_runs(home.path(), 5);
    let left = || {
        let results = std::fs::read_dir(home.path().join("fw/results")).expect("results");
        let mut names: Vec<_> = results.flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        names
    };
    let nothing = stdout(&rookery(home.path(), &["prune"]));
    assert!(nothing.contains("next: rookery prune --keep"), "{nothing}");
    assert_eq!(left().len(), 5);
    let dry = stdout(&rookery(
        home.path(),
        &["prune", "fw", "--keep", "3", "--dry-run"],
    ));
    assert!(
        dry.contains("would remove") && dry.contains("results/1"),
        "{dry}"
    );
    assert!(dry.ends_with("next: rookery prune fw --keep 3\n"), "{dry}");
    assert_eq!(left().len(), 5);
    let done = stdout(&rookery(home.path(), &["prune", "--keep", "3", "--json"]));
    let done: serde_json::Value = serde_json::from_str(&done).expect("JSON");
    assert_eq!(done["removed"].as_array().map(Vec::len), Some(2), "{done}");
    assert_eq!(left(), ["2", "3", "4"]);
    std::fs::write(home.path().join("policy.toml"), "[keep]\nruns = 1\n").expect("a file");
    let quota = rookery(home.path(), &["prune", "--policy", "policy.toml"]);
    assert_eq!(quota.status.code(), Some(0), "{quota:?}");
    assert_eq!(left(), ["4"]);
}

#[test]
fn prune_never_follows_a_link_out_of_the_results() {
    let home = tempfile::tempdir().expect("a directory");
    project_with_runs(home.path(), 2);
    let precious = home.path().join("precious");
    std::fs::create_dir(&precious).expect("a directory");
    std::fs::write(precious.join(".ran"), "").expect("a file");
    for link in ["fw/results/0/link", "fw/results/7"] {
        std::os::unix::fs::symlink(&precious, home.path().join(link)).expect("a link");
    }
    let output = rookery(home.path(), &["prune", "fw", "--keep", "1"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(precious.join(".ran").is_file());
    assert!(!home.path().join("fw/results/0").exists());
}
