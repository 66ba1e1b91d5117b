//! What grows with use costs what it did at the start: counted in bytes that the server reads and
//! in memory, which the load of a machine does not change.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rookery_tests::session::Options;
use rookery_tests::{Session, places};
use serde_json::json;

/// A project with one finished run.
fn project(root: &Path) -> Result<PathBuf> {
    let results = root.join("fw/results/0");
    fs::create_dir_all(&results)?;
    fs::write(root.join("fw/config.yaml"), "core: {version: 2}\n")?;
    fs::write(results.join(".ran"), "")?;
    fs::write(results.join("score.txt"), "1\n")?;
    Ok(results)
}

/// All that a process has read so far, from files and pipes.
fn read_by(process: u32) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/io"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("rchar: "));
    Ok(line.context("no count of bytes that were read")?.parse()?)
}

#[tokio::test]
async fn the_end_of_a_long_log_is_read_and_not_all_of_it() -> Result<()> {
    const LINES: u64 = 1 << 20;
    const FEW: u64 = 12 << 20;
    let root = tempfile::tempdir()?;
    let log = project(root.path())?.join("console.log");
    let line = |number: u64| format!("[{number:>10}] httpd[100]: request served, all is well\n");
    let mut file = std::io::BufWriter::new(fs::File::create(&log)?);
    for number in 1..=LINES {
        file.write_all(line(number).as_bytes())?;
    }
    drop(file);
    let size = log.metadata()?.len();
    assert!(size > 4 * FEW);

    let client = Session::new(root.path()).await?;
    client.tools().await?;
    let newest = json!({ "project_dir": "fw", "max_lines": 2 });
    let console = async |first: u64| {
        let found = client.ok("console", newest.clone()).await?;
        assert_eq!(found["line_numbers"], json!([first, first + 1]), "{found}");
        assert_eq!(found["total"], json!(first + 1));
        assert_eq!(found["file_lines"], json!(first + 1));
        assert_eq!(found["lines"][1], json!(line(first + 1).trim_end()));
        anyhow::Ok(())
    };
    // Reads the tools' code too.
    for (tool, arguments) in [
        ("health", json!({ "project_dir": "fw" })),
        ("console", newest.clone()),
    ] {
        let before = read_by(client.server)?;
        client.ok(tool, arguments.clone()).await?;
        let first = read_by(client.server)? - before;
        ensure!(
            tool == "console" || first < FEW,
            "{tool} read {first} bytes at first"
        );
        let before = read_by(client.server)?;
        client.ok(tool, arguments).await?;
        let again = read_by(client.server)? - before;
        ensure!(again < FEW / 2, "{tool} read {again} bytes of {size}");
    }
    console(LINES - 1).await?;
    let more = line(LINES + 1) + &line(LINES + 2);
    fs::File::options()
        .append(true)
        .open(&log)?
        .write_all(more.as_bytes())?;
    let before = read_by(client.server)?;
    console(LINES + 1).await?;
    let grown = read_by(client.server)? - before;
    ensure!(
        grown < FEW / 2,
        "{grown} bytes were read for two more lines"
    );
    client.close().await
}

#[tokio::test]
async fn fifty_thousand_failed_paths_take_little_memory() -> Result<()> {
    failed_paths(50_000, 120).await
}

#[tokio::test]
async fn ten_megabytes_of_failed_paths_take_little_memory() -> Result<()> {
    failed_paths(100_000, 200).await
}

/// So many paths failed; to say so takes at most `most_mb` of memory.
async fn failed_paths(paths: usize, most_mb: u64) -> Result<()> {
    let root = tempfile::tempdir()?;
    let results = project(root.path())?;
    let mut text = String::new();
    for number in 0..paths {
        let crashing = if number == 7 {
            "    crashing_callers: 1\n"
        } else {
            ""
        };
        writeln!(
            text,
            "/dev/thing{number}:\n  impact:\n    hits: {number}\n{crashing}  callers:\n  - \
             httpd:12\n  events:\n    open:\n      count: {number}"
        )?;
    }
    fs::write(results.join("pseudofiles_failures.yaml"), text)?;
    let client = Session::new(root.path()).await?;
    let arguments = json!({ "project_dir": "fw" });
    client
        .ok("health", json!({ "results_dir": "fw/results/0" }))
        .await
        .ok();
    client.ok("console", arguments.clone()).await?;
    let before = client.memory_mb()?;
    let found = client.ok("pseudofile_failures", arguments.clone()).await?;
    assert_eq!(
        (&found["total"], &found["truncated"]),
        (&json!(paths), &json!(true))
    );
    let first = &found["pseudofile_failures"][0];
    assert_eq!(
        first["path"], "/dev/thing7",
        "the one that crashes programs"
    );
    assert_eq!(
        found["pseudofile_failures"][1]["path"],
        format!("/dev/thing{}", paths - 1)
    );
    let health = client.ok("health", arguments).await?;
    assert!(
        health.to_string().contains(&format!("{paths} paths")),
        "{health}"
    );
    let grown = client.memory_mb()?.saturating_sub(before);
    ensure!(grown < most_mb, "{grown} MB for {paths} paths");
    client.close().await
}

/// What the plugins of these tests take is what an added one would.
fn added(root: &Path) -> Result<(Options, PathBuf)> {
    let plugins = root.join("plugins");
    fs::create_dir(&plugins)?;
    let file = plugins.join("echo.wasm");
    fs::copy(places::dist().join("test-plugins/echo.wasm"), &file)?;
    let mut options = Options::new(root);
    options.plugins = vec![plugins];
    options.cache = root.join("cache");
    Ok((options, file))
}

#[tokio::test]
async fn a_known_plugin_is_read_before_its_first_use_and_not_at_the_start() -> Result<()> {
    let root = tempfile::tempdir()?;
    let (mut options, file) = added(root.path())?;
    let size = file.metadata()?.len();
    // One that was just written may change again unseen.
    tokio::time::sleep(Duration::from_secs(5)).await;
    options.fill_cache()?;
    let start = async |options: &Options| {
        let client = Session::with(options).await?;
        assert_eq!(client.tools().await?, ["echo"]);
        anyhow::Ok((read_by(client.server)?, client))
    };
    let (unpinned, client) = start(&options).await?;
    let before = read_by(client.server)?;
    client.ok("echo", json!({ "message": "x" })).await?;
    ensure!(
        read_by(client.server)? - before >= size,
        "it was used unread"
    );
    client.close().await?;
    // Digests that are pinned are computed.
    let policy = root.path().join("policy.toml");
    fs::write(
        &policy,
        format!("[plugin.other]\ndigest = \"{}\"\n", "0".repeat(64)),
    )?;
    options.arguments = vec!["--policy".into(), policy.display().to_string()];
    let (pinned, client) = start(&options).await?;
    client.close().await?;
    ensure!(pinned >= unpinned + size, "{pinned} and {unpinned}");

    // What is put in its place after the start is not what was admitted.
    options.arguments.clear();
    let (_, client) = start(&options).await?;
    fs::copy(places::dist().join("test-plugins/loops.wasm"), &file)?;
    let refused = client.error("echo", json!({ "message": "x" })).await?;
    assert!(refused.contains("has changed since"), "{refused}");
    client.close().await
}
