//! People who write tools: a project of a new tool builds outside this repository, and a component
//! is tried without a server.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use rookery_tests::places;
use serde_json::Value;

fn rookery(arguments: &[&str], dir: &Path) -> Result<Output> {
    let output = Command::new(places::dist().join("rookery"))
        .arg("plugins")
        .args(arguments)
        .current_dir(dir)
        .env("ROOKERY_CACHE_DIR", places::dist().join("cache"))
        .env("ROOKERY_STATE_DIR", dir.join(".state"))
        .output()?;
    Ok(output)
}

fn text(output: &Output) -> String {
    let bytes = [output.stdout.as_slice(), &output.stderr].concat();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A folder for a case, with these files.
fn case(dir: &Path, name: &str, files: &[(&str, &str)]) -> Result<PathBuf> {
    let folder = dir.join(name);
    for (path, text) in files {
        let file = folder.join(path);
        std::fs::create_dir_all(file.parent().context("a folder")?)?;
        std::fs::write(file, text)?;
    }
    Ok(folder)
}

/// What `plugins test` says of a component on the cases of `dir`: its exit code, and its report.
fn tried(component: &Path, dir: &Path) -> Result<(Option<i32>, Value)> {
    let component = component.to_str().context("a path")?;
    let output = rookery(&["test", component, "cases", "--json"], dir)?;
    let report = serde_json::from_slice(&output.stdout).with_context(|| text(&output))?;
    Ok((output.status.code(), report))
}

fn one<'a>(report: &'a Value, name: &str) -> Result<&'a Value> {
    let mut tried = report["tried"].as_array().into_iter().flatten();
    tried
        .find(|one| one["name"] == name)
        .with_context(|| format!("{name} was not tried: {report}"))
}

/// Dependencies are those of this repository's own tools, and were built with them.
fn build(project: &Path) -> Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| places::workspace().join("target"), PathBuf::from);
    let target = std::path::absolute(target)?;
    let output = Command::new(env!("CARGO"))
        .args(["build", "--offline", "--profile", "plugin", "--target", "wasm32-wasip2"])
        .arg("--target-dir")
        .arg(&target)
        .current_dir(project)
        // Flags for the host's tests are not for the component.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .output()?;
    ensure!(
        output.status.success(),
        "it does not build: {}",
        text(&output)
    );
    Ok(target.join("wasm32-wasip2/plugin/flash_report.wasm"))
}

#[test]
fn a_new_rust_tool_builds_outside_the_repository_and_passes_its_own_cases() -> Result<()> {
    let home = tempfile::tempdir()?;
    let made = rookery(&["new", "flash_report", "--lang", "rust"], home.path())?;
    ensure!(made.status.success(), "{}", text(&made));
    let project = home.path().join("flash_report");
    let component = build(&project)?;

    let (code, report) = tried(&component, &project)?;
    assert_eq!(code, Some(0), "{report}");
    for name in ["counts", "no_project", "example 1 of flash_report"] {
        assert_eq!(one(&report, name)?["passed"], true, "{report}");
    }

    // One that expects something else fails, and says where.
    let file = project.join("cases/counts/case.yaml");
    let wrong = std::fs::read_to_string(&file)?.replace("total: 2", "total: 3");
    std::fs::write(&file, wrong)?;
    let component = component.to_str().context("a path")?;
    let output = rookery(
        &["test", component, "cases", "--junit", "report.xml"],
        &project,
    )?;
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output);
    for words in [
        "FAIL counts",
        "/total",
        "expected 3",
        "got      2",
        "ok   no_project",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let junit = std::fs::read_to_string(project.join("report.xml"))?;
    assert!(
        junit.contains("failures=\"1\"") && junit.contains("/total"),
        "{junit}"
    );
    Ok(())
}

#[test]
fn a_case_is_a_real_project_with_a_real_database_and_a_real_root_filesystem() -> Result<()> {
    let home = tempfile::tempdir()?;
    let cases = home.path().join("cases");
    case(
        &cases,
        "sql",
        &[
            (
                "case.yaml",
                "arguments: {project_dir: fw, sql: \"SELECT procname, retno, guest_path(arg0_repr) \
                 AS path FROM syscall JOIN event USING (id) ORDER BY id\"}\n\
                 answer: {rows: [{procname: httpd, retno: -2, path: /dev/panel}], \"...\": x}\n",
            ),
            (
                "tables/event.csv",
                "id,type,procname,proc_id,time_ms\n1,syscall,httpd,7,250\n",
            ),
            (
                "plugins.sql",
                "INSERT INTO syscall (id, name, retno, arg0_repr) \
                 VALUES (1, 'sys_open', -2, 'filename=0x7e9f1610(\"/dev/panel\")');",
            ),
        ],
    )?;
    case(
        &cases,
        "wrong_sql",
        &[
            (
                "case.yaml",
                "arguments: {project_dir: fw, sql: SELECT nowhere FROM syscall}\n\
                 error: {kind: invalid-argument, message: \"*no such column*\"}\n",
            ),
            ("plugins.sql", "DELETE FROM event;"),
        ],
    )?;
    let (code, report) = tried(&places::dist().join("plugins/db_query.wasm"), home.path())?;
    assert_eq!(one(&report, "sql")?["passed"], true, "{report:#}");
    assert_eq!(one(&report, "wrong_sql")?["passed"], true, "{report:#}");
    assert_eq!(code, Some(0), "{report:#}");

    let home = tempfile::tempdir()?;
    case(
        &home.path().join("cases"),
        "file",
        &[
            (
                "case.yaml",
                "arguments: {project_dir: fw, path: /etc/version}\n\
                 answer: {text: \"1.2.3*\", \"...\": x}\n",
            ),
            ("rootfs/etc/version", "1.2.3\n"),
        ],
    )?;
    let (_, report) = tried(
        &places::dist().join("plugins/read_firmware.wasm"),
        home.path(),
    )?;
    assert_eq!(one(&report, "file")?["passed"], true, "{report:#}");
    Ok(())
}

#[test]
fn a_tool_that_exceeds_a_budget_or_breaks_its_own_schema_fails_its_case() -> Result<()> {
    for (plugin, tool, words) in [
        ("allocates", "allocates", "memory"),
        ("garbage", "garbage_shape", "count"),
    ] {
        let home = tempfile::tempdir()?;
        case(
            &home.path().join("cases"),
            "greedy",
            &[("case.yaml", &format!("tool: {tool}\nanswer: \"*\"\n"))],
        )?;
        let component = places::dist().join(format!("test-plugins/{plugin}.wasm"));
        let (code, report) = tried(&component, home.path())?;
        assert_eq!(code, Some(1), "{report:#}");
        let greedy = one(&report, "greedy")?;
        assert_eq!(greedy["passed"], false, "{report:#}");
        let why = greedy["why"].as_str().unwrap_or_default();
        assert!(why.contains(words), "{plugin}: {why}");
    }
    Ok(())
}

#[test]
fn a_name_that_would_not_be_admitted_and_a_folder_in_use_are_refused() -> Result<()> {
    let home = tempfile::tempdir()?;
    for (name, words) in [
        ("Flash", "lower-case"),
        ("health_v2", "reads like the built-in tool"),
        ("type", "Rust"),
    ] {
        let output = rookery(&["new", name, "--lang", "rust"], home.path())?;
        assert_eq!(output.status.code(), Some(1), "{name}");
        assert!(text(&output).contains(words), "{name}: {}", text(&output));
        assert!(!home.path().join(name).exists(), "{name}");
    }
    std::fs::create_dir(home.path().join("flash_report"))?;
    std::fs::write(home.path().join("flash_report/notes"), "mine")?;
    let output = rookery(&["new", "flash_report", "--lang", "c"], home.path())?;
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("--output"), "{}", text(&output));
    let left = std::fs::read_dir(home.path().join("flash_report"))?.count();
    assert_eq!(left, 1, "what is there is not touched");
    Ok(())
}
