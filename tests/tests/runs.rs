//! A run belongs to its supervisor: it survives the client and the server, and nothing survives it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use rookery_tests::{Session, places, processes};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(10);

/// A project of the demo firmware, ready to run, under a name that no other test uses.
async fn project(client: &Session, root: &Path, name: &str) -> Result<()> {
    std::fs::copy(places::demo_rootfs(), root.join("rootfs.tar.gz"))?;
    client
        .ok(
            "init_project",
            json!({"rootfs": "rootfs.tar.gz", "output": name}),
        )
        .await?;
    // A boot argument that marks the guest's processes, so that the tests can tell them from those of other runs.
    client
        .ok(
            "set_env",
            json!({"project_dir": name, "key": "rookery_project", "value": name}),
        )
        .await?;
    Ok(())
}

async fn start(client: &Session, name: &str, timeout: u64) -> Result<String> {
    let run = client
        .ok(
            "run",
            json!({"project_dir": name, "timeout": timeout, "wait_s": 1}),
        )
        .await?;
    assert_eq!(run["status"], "running", "{run}");
    Ok(run["run_id"].as_str().context("a run id")?.to_owned())
}

fn kill(pid: u32) -> Result<()> {
    anyhow::ensure!(
        Command::new("kill")
            .args(["-9", &pid.to_string()])
            .status()?
            .success(),
        "kill {pid}"
    );
    Ok(())
}

#[tokio::test]
async fn another_server_can_wait_for_a_run_and_stop_it() -> Result<()> {
    if !places::can_emulate() {
        return Ok(());
    }
    let root = tempfile::tempdir()?;
    let name = "handed-over";
    let first = Session::new(root.path()).await?;
    project(&first, root.path(), name).await?;
    let run_id = start(&first, name, 60).await?;
    first.close().await?;

    let second = Session::new(root.path()).await?;
    let status = second
        .ok("run_wait", json!({"run_id": run_id, "wait_s": 1}))
        .await?;
    assert_eq!(status["status"], "running", "{status}");
    let conflict = second.error("run", json!({"project_dir": name})).await?;
    assert!(conflict.contains(&run_id), "{conflict}");
    let status = second.ok("run_stop", json!({"run_id": run_id})).await?;
    assert_eq!(status["status"], "stopped", "{status}");
    assert!(
        processes::eventually(PATIENCE, || processes::of_run(&root.path().join(name))
            .is_empty()),
        "the guest is still there"
    );
    second.close().await
}

#[tokio::test]
async fn killing_the_server_harms_no_run() -> Result<()> {
    if !places::can_emulate() {
        return Ok(());
    }
    let root = tempfile::tempdir()?;
    let name = "orphaned";
    let first = Session::new(root.path()).await?;
    project(&first, root.path(), name).await?;
    let run_id = start(&first, name, 4).await?;
    kill(first.server)?;
    drop(first);

    let second = Session::new(root.path()).await?;
    let status = second
        .ok("run_wait", json!({"run_id": run_id, "wait_s": 20}))
        .await?;
    assert_eq!(status["status"], "finished", "{status}");
    let health = second.ok("health", json!({"project_dir": name})).await?;
    assert!(health["health"].is_object(), "{health}");
    second.close().await
}

#[tokio::test]
async fn killing_the_supervisor_leaves_no_guest_and_a_project_that_runs_again() -> Result<()> {
    if !places::can_emulate() {
        return Ok(());
    }
    let root = tempfile::tempdir()?;
    let name = "beheaded";
    let client = Session::new(root.path()).await?;
    project(&client, root.path(), name).await?;
    let run_id = start(&client, name, 60).await?;
    let runtime = std::fs::read_to_string(root.path().join(name).join("results/0/runtime.yaml"))?;
    let supervisor = runtime.lines().find_map(|line| line.strip_prefix("pid: "));
    let supervisor = supervisor
        .context("runtime.yaml names the supervisor")?
        .parse()?;
    assert!(
        !processes::of_run(&root.path().join(name)).is_empty(),
        "the guest must be seen before it can be missed"
    );
    kill(supervisor)?;

    assert!(
        processes::eventually(PATIENCE, || processes::of_run(&root.path().join(name))
            .is_empty()),
        "the guest outlived its supervisor"
    );
    let status = client
        .ok("run_wait", json!({"run_id": run_id, "wait_s": 5}))
        .await?;
    assert_eq!(status["status"], "failed", "{status}");
    let again = client
        .ok("run", json!({"project_dir": name, "timeout": 1}))
        .await?;
    assert_eq!(again["status"], "finished", "{again}");
    client.close().await
}

#[tokio::test]
async fn a_run_ends_at_its_deadline_and_reports_progress_meanwhile() -> Result<()> {
    if !places::can_emulate() {
        return Ok(());
    }
    let root = tempfile::tempdir()?;
    let client = Session::new(root.path()).await?;
    project(&client, root.path(), "short").await?;
    let run = client
        .ok("run", json!({"project_dir": "short", "timeout": 3}))
        .await?;
    assert_eq!(run["status"], "finished", "{run}");
    assert!(
        !client.progress().is_empty(),
        "a wait of three seconds reports progress"
    );
    client.close().await
}
