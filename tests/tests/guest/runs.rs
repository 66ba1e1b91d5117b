//! A run belongs to its supervisor: it survives the client and the server, and nothing survives it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use rookery_tests::wire::{Wire, signal};
use rookery_tests::{Session, doctor, places, processes};
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
    // A boot argument that marks the guest's processes, so that the tests can tell them from those
    // of other runs.
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

async fn another_server_can_wait_for_a_run_and_stop_it() -> Result<()> {
    doctor::needs_emulator()?;
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

async fn killing_the_server_harms_no_run() -> Result<()> {
    doctor::needs_emulator()?;
    let root = tempfile::tempdir()?;
    let name = "orphaned";
    let first = Session::new(root.path()).await?;
    project(&first, root.path(), name).await?;
    let run_id = start(&first, name, 4).await?;
    processes::kill(first.server)?;
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

async fn killing_the_supervisor_leaves_no_guest_and_a_project_that_runs_again() -> Result<()> {
    doctor::needs_emulator()?;
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
    processes::kill(supervisor)?;

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
        .ok("run", json!({"project_dir": name, "timeout": 3}))
        .await?;
    assert_eq!(again["status"], "finished", "{again}");
    client.close().await
}

async fn a_run_ends_at_its_deadline_and_reports_progress_meanwhile() -> Result<()> {
    doctor::needs_emulator()?;
    let root = tempfile::tempdir()?;
    let client = Session::new(root.path()).await?;
    project(&client, root.path(), "short").await?;
    let run = client
        .ok("run", json!({"project_dir": "short", "timeout": 3}))
        .await?;
    assert_eq!(run["status"], "finished", "{run}");
    let run_id = run["run_id"].as_str().context("a run id")?;
    let progress = client.progress();
    assert!(
        progress
            .first()
            .is_some_and(|first| first.contains("starting"))
            && progress.len() > 1,
        "the start and a wait of three seconds report progress: {progress:?}"
    );
    assert!(
        progress.iter().all(|report| report.contains(run_id)),
        "every report names the run: {progress:?}"
    );
    client.close().await
}

/// As on a machine that is so busy that the supervisor needs long to begin.
fn a_start_that_takes_long_gives_the_run_within_the_wait_and_is_charged_to_no_budget() -> Result<()>
{
    doctor::needs_emulator()?;
    let root = tempfile::tempdir()?;
    let (program, gate) = (root.path().join("bin/rookery"), root.path().join("gate"));
    std::fs::create_dir_all(root.path().join("bin/plugins"))?;
    std::fs::copy(places::dist().join("rookery"), &program)?;
    for plugin in std::fs::read_dir(places::dist().join("plugins"))? {
        let plugin = plugin?;
        let copy = root.path().join("bin/plugins").join(plugin.file_name());
        std::fs::copy(plugin.path(), copy)?;
    }
    std::fs::write(
        root.path().join("policy.toml"),
        "[plugin.run]\nwall_ms = 2000\n",
    )?;
    std::fs::copy(places::demo_rootfs(), root.path().join("rootfs.tar.gz"))?;
    let mut server = Command::new(&program);
    server
        .arg("serve")
        .arg("--root")
        .arg(root.path())
        .arg("--policy")
        .arg(root.path().join("policy.toml"))
        .arg("--state-dir")
        .arg(root.path().join("state"))
        .arg("--cache-dir")
        .arg(places::dist().join("cache"));
    let mut client = Wire::start(server)?;
    client.greet()?;
    client.call(
        "init_project",
        &json!({"rootfs": "rootfs.tar.gz", "output": "busy"}),
    )?;

    // Supervisors that are started from now on wait for the gate.
    std::fs::rename(&program, root.path().join("bin/real"))?;
    let script = format!(
        "#!/bin/sh\nwhile [ ! -e '{}' ]; do sleep 0.05; done\nexec '{}' \"$@\"\n",
        gate.display(),
        root.path().join("bin/real").display()
    );
    std::fs::write(&program, script)?;
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, executable)?;

    let run = client.call(
        "run",
        &json!({"project_dir": "busy", "timeout": 2, "wait_s": 1}),
    )?;
    assert_eq!(run["status"], "running", "{run}");
    assert_eq!(run["phase"], "starting", "{run}");
    assert_eq!(run["next"]["tool"], "run_wait", "{run}");
    std::fs::write(&gate, "")?;
    let run = client.call("run_wait", &json!({"run_id": run["run_id"], "wait_s": 30}))?;
    assert_eq!(run["status"], "finished", "{run}");

    // The same once more, stopped before it begins.
    std::fs::remove_file(&gate)?;
    let run = client.call("run", &json!({"project_dir": "busy", "wait_s": 0}))?;
    let run = client.call("run_stop", &json!({"run_id": run["run_id"]}))?;
    assert_eq!(run["phase"], "stopping", "{run}");
    std::fs::write(&gate, "")?;
    let run = client.call("run_wait", &json!({"run_id": run["run_id"], "wait_s": 30}))?;
    assert_eq!(run["status"], "stopped", "{run}");
    Ok(())
}

async fn a_server_that_is_told_to_end_harms_no_run() -> Result<()> {
    doctor::needs_emulator()?;
    let root = tempfile::tempdir()?;
    let name = "left-alone";
    let first = Session::new(root.path()).await?;
    project(&first, root.path(), name).await?;
    let run_id = start(&first, name, 4).await?;
    signal(first.server, "TERM")?;
    drop(first);

    let second = Session::new(root.path()).await?;
    let status = second
        .ok("run_wait", json!({"run_id": run_id, "wait_s": 20}))
        .await?;
    assert_eq!(status["status"], "finished", "{status}");
    second.close().await
}

/// All of them.
pub fn trials() -> Vec<rookery_tests::Trial> {
    rookery_tests::trials![
        another_server_can_wait_for_a_run_and_stop_it,
        killing_the_server_harms_no_run,
        killing_the_supervisor_leaves_no_guest_and_a_project_that_runs_again,
        a_run_ends_at_its_deadline_and_reports_progress_meanwhile,
        a_start_that_takes_long_gives_the_run_within_the_wait_and_is_charged_to_no_budget,
        a_server_that_is_told_to_end_harms_no_run,
    ]
}
