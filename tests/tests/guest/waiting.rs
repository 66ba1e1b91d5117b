//! Many calls that wait for runs at once: they keep nobody else from being served, and who cannot
//! wait is told what to do.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rookery_tests::session::{Answer, Options};
use rookery_tests::{Session, doctor, places};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// More than twice as many as run at the same time, and more than one plugin had places for.
const RUNS: usize = 34;
const WAITS: usize = 40;

/// What reads has to be answered within this time, on a machine that starts runs meanwhile.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server on which few runs are under way, with a policy of these lines, and so many projects.
async fn server(root: &Path, policy: &str, projects: usize) -> Result<Arc<Session>> {
    let file = root.join("policy.toml");
    std::fs::write(&file, policy)?;
    let mut options = Options::new(root);
    options.arguments = ["--policy", &file.display().to_string()]
        .into_iter()
        .chain(["--runs-at-once", "2"])
        .map(str::to_owned)
        .collect();
    let client = Session::with(&options).await?;
    std::fs::copy(places::demo_rootfs(), root.join("rootfs.tar.gz"))?;
    for number in 0..projects {
        let arguments = json!({"rootfs": "rootfs.tar.gz", "output": format!("p{number}")});
        client.ok("init_project", arguments).await?;
    }
    Ok(Arc::new(client))
}

/// Make a call that is waited for later.
fn begin(calls: &mut JoinSet<Result<Answer>>, client: &Arc<Session>, tool: &str, with: Value) {
    let (client, tool) = (Arc::clone(client), tool.to_owned());
    calls.spawn(async move { client.call(&tool, with).await });
}

/// Stop the runs; each call that waited for one has an answer then.
async fn end(
    client: Arc<Session>,
    runs: Vec<String>,
    mut calls: JoinSet<Result<Answer>>,
) -> Result<()> {
    for run_id in runs {
        client.ok("run_stop", json!({"run_id": run_id})).await?;
    }
    while let Some(answer) = calls.join_next().await {
        let answer = answer??;
        ensure!(!answer.is_error, "{}", answer.text);
    }
    Arc::into_inner(client)
        .context("nobody calls")?
        .close()
        .await
}

/// The runs that there are, by their state.
fn runs(root: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(root.join(".home/state/runs"));
    let names = entries.into_iter().flatten().flatten();
    names
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with("run-"))
        .collect()
}

async fn calls_that_wait_for_runs_keep_no_other_from_being_served() -> Result<()> {
    doctor::needs_emulator()?;
    let root = tempfile::tempdir()?;
    let client = server(root.path(), "", RUNS).await?;
    let mut calls = JoinSet::new();
    for number in 0..RUNS {
        let project = format!("p{number}");
        let arguments = json!({"project_dir": project, "timeout": 600, "wait_s": 45});
        begin(&mut calls, &client, "run", arguments);
    }
    let begun = Instant::now();
    while runs(root.path()).len() < RUNS && begun.elapsed() < PATIENCE * 3 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let runs = runs(root.path());
    ensure!(runs.len() == RUNS, "only {} runs begin", runs.len());
    for _ in 0..WAITS {
        let arguments = json!({"run_id": runs[0], "wait_s": 45});
        begin(&mut calls, &client, "run_wait", arguments);
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    for tool in ["health", "show_patch"] {
        let begun = Instant::now();
        let answer = client.call(tool, json!({"project_dir": "p0"})).await?;
        let took = begun.elapsed();
        ensure!(!answer.is_error, "{tool}: {}", answer.text);
        ensure!(took < PATIENCE, "{tool} took {took:?}");
    }
    end(client, runs, calls).await
}

async fn who_finds_no_place_to_wait_at_is_told_how_many_do_and_loses_no_run() -> Result<()> {
    doctor::needs_emulator()?;
    let root = tempfile::tempdir()?;
    // One plugin has three of them.
    let client = server(root.path(), "waiting_calls = 4\n", 3).await?;
    let begins = |project: &str, wait_s: u32| {
        let timeout = 600;
        json!({"project_dir": project, "timeout": timeout, "wait_s": wait_s})
    };
    let run = client.ok("run", begins("p0", 0)).await?;
    let run_id = run["run_id"].as_str().context("a run id")?;
    let mut calls = JoinSet::new();
    let waits = json!({"run_id": run_id, "wait_s": 45});
    for _ in 0..3 {
        begin(&mut calls, &client, "run_wait", waits.clone());
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let told = client.error("run_wait", waits).await?;
    for word in [
        "3 calls wait already",
        "run goes on",
        "`wait_s` 0",
        "waiting_calls",
    ] {
        ensure!(told.contains(word), "{word}: {told}");
    }
    let looks = json!({"run_id": run_id, "wait_s": 0});
    let run = client.ok("run_wait", looks).await?;
    ensure!(run["status"] == "running", "{run}");
    // Another tool has the last place; the next run begins, and is named.
    begin(&mut calls, &client, "run", begins("p1", 45));
    tokio::time::sleep(Duration::from_secs(3)).await;
    let told = client.error("run", begins("p2", 45)).await?;
    ensure!(told.contains("4 calls wait already"), "{told}");
    let runs = runs(root.path());
    ensure!(runs.len() == 3, "{runs:?}");
    let named = runs.iter().filter(|run| told.contains(*run)).count();
    ensure!(named == 1 && !told.contains(run_id), "{told}");
    end(client, runs, calls).await
}

/// All of them.
pub fn trials() -> Vec<rookery_tests::Trial> {
    rookery_tests::trials![
        calls_that_wait_for_runs_keep_no_other_from_being_served,
        who_finds_no_place_to_wait_at_is_told_how_many_do_and_loses_no_run,
    ]
}
