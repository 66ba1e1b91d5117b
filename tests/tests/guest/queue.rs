//! Many runs at once, and what comes before a guest: who waits is told for what, and is heard.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rookery_tests::session::Options;
use rookery_tests::{Session, doctor, places, processes};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(20);

/// A server that lets one run be under way.
fn one_at_once(root: &Path) -> Options {
    let mut options = Options::new(root);
    options.arguments = vec!["--runs-at-once".into(), "1".into()];
    options
}

async fn project(client: &Session, root: &Path, name: &str) -> Result<()> {
    std::fs::copy(places::demo_rootfs(), root.join("rootfs.tar.gz"))?;
    let arguments = json!({"rootfs": "rootfs.tar.gz", "output": name});
    client.ok("init_project", arguments).await.map(drop)
}

/// Start a run; its id.
async fn start(client: &Session, name: &str, timeout: u64) -> Result<String> {
    let arguments = json!({"project_dir": name, "timeout": timeout, "wait_s": 0});
    let run = client.ok("run", arguments).await?;
    Ok(run["run_id"].as_str().context("a run id")?.to_owned())
}

/// Look at a run until it is as wanted.
async fn until(client: &Session, run_id: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
    let begun = Instant::now();
    loop {
        let arguments = json!({"run_id": run_id, "wait_s": 0});
        let run = client.ok("run_wait", arguments).await?;
        if wanted(&run) {
            return Ok(run);
        }
        ensure!(begun.elapsed() < PATIENCE, "{run}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn waits_at(place: &str) -> impl Fn(&Value) -> bool {
    move |run| {
        let reason = run["reason"].as_str().unwrap_or_default();
        run["phase"] == "queued" && reason.contains(&format!("at place {place}:"))
    }
}

async fn runs_beyond_what_the_machine_takes_wait_in_their_order() -> Result<()> {
    doctor::needs_emulator()?;
    let root = tempfile::tempdir()?;
    let options = one_at_once(root.path());
    let client = Session::with(&options).await?;
    for name in ["one", "two", "three", "four"] {
        project(&client, root.path(), name).await?;
    }
    let first = start(&client, "one", 120).await?;
    until(&client, &first, |run| run["phase"] == "booting").await?;
    let second = start(&client, "two", 120).await?;
    let run = until(&client, &second, waits_at("1 of 1")).await?;
    let reason = run["reason"].as_str().unwrap_or_default();
    ensure!(
        reason.contains(&first) && reason.contains("runs_at_once"),
        "{reason}"
    );
    let third = start(&client, "three", 3).await?;
    until(&client, &third, waits_at("2 of 2")).await?;
    let fourth = start(&client, "four", 60).await?;
    until(&client, &fourth, waits_at("3 of 3")).await?;

    // The server that started them is killed, and so is the supervisor of the one who is next.
    processes::kill(client.server)?;
    drop(client);
    let client = Session::with(&options).await?;
    let supervisors = processes::with_command_line(&format!("{second}/spec.json"));
    let [supervisor] = supervisors[..] else {
        anyhow::bail!("{supervisors:?} supervise the second run");
    };
    processes::kill(supervisor)?;
    let run = until(&client, &third, waits_at("1 of 2")).await?;
    ensure!(run["status"] == "running", "{run}");
    // One who waits can be stopped at once.
    let stopped = client.ok("run_stop", json!({"run_id": fourth})).await?;
    ensure!(stopped["status"] == "stopped", "{stopped}");
    until(&client, &third, waits_at("1 of 1")).await?;

    // The time of a run begins when it does, not when it was asked for.
    tokio::time::sleep(Duration::from_secs(3)).await;
    client.ok("run_stop", json!({"run_id": first})).await?;
    let run = until(&client, &third, |run| run["status"] != "running").await?;
    let reason = run["reason"].as_str().unwrap_or_default();
    ensure!(reason.contains("the deadline of 3 s passed"), "{run}");
    ensure!(
        run["elapsed_s"]
            .as_f64()
            .is_some_and(|s| (2.5..5.0).contains(&s)),
        "{run}"
    );
    client.close().await
}

/// A firmware that takes long to unpack.
fn large(root: &Path) -> Result<()> {
    let script = "import sys, tarfile\n\
                  old = tarfile.open(sys.argv[1])\n\
                  new = tarfile.open(sys.argv[2], 'w:gz', compresslevel=1)\n\
                  for member in old:\n\
                  \x20new.addfile(member, old.extractfile(member) if member.isreg() else None)\n\
                  for number in range(150000):\n\
                  \x20new.addfile(tarfile.TarInfo('./etc/file%d' % number))\n\
                  new.close()\n";
    let made = Command::new("python3")
        .args(["-c", script])
        .arg(places::demo_rootfs())
        .arg(root.join("large.tar.gz"))
        .status()?;
    ensure!(made.success());
    Ok(())
}

async fn a_stop_is_heard_while_a_root_filesystem_is_unpacked() -> Result<()> {
    doctor::needs_emulator()?;
    let root = tempfile::tempdir()?;
    large(root.path())?;
    let client = Session::new(root.path()).await?;
    let arguments = json!({"rootfs": "large.tar.gz", "output": "large"});
    client.ok("init_project", arguments).await?;
    let run_id = start(&client, "large", 120).await?;
    let is_unpacked = |run: &Value| {
        let reason = run["reason"].as_str().unwrap_or_default();
        reason.contains("unpacking") && reason.contains(" % of ") || reason.contains(" %, ")
    };
    let run = until(&client, &run_id, is_unpacked).await?;
    ensure!(run["phase"] == "preparing", "{run}");
    let begun = Instant::now();
    let run = client.ok("run_stop", json!({"run_id": run_id})).await?;
    let took = begun.elapsed();
    ensure!(run["status"] == "stopped", "{run}");
    ensure!(took < Duration::from_millis(1500), "it took {took:?}");
    let cache = root.path().join(".home/state/cache");
    let left = std::fs::read_dir(&cache)?
        .flatten()
        .map(|entry| entry.file_name());
    let left: Vec<_> = left
        .filter(|name| name.to_string_lossy().contains("unpack"))
        .collect();
    ensure!(left.is_empty(), "{left:?}");
    client.close().await
}

async fn projects_of_one_firmware_that_start_together_unpack_it_once() -> Result<()> {
    const PROJECTS: usize = 6;
    doctor::needs_emulator()?;
    let root = tempfile::tempdir()?;
    let client = Session::new(root.path()).await?;
    let mut runs = Vec::new();
    for number in 0..PROJECTS {
        project(&client, root.path(), &format!("p{number}")).await?;
    }
    for number in 0..PROJECTS {
        runs.push(start(&client, &format!("p{number}"), 60).await?);
    }
    for run_id in &runs {
        until(&client, run_id, |run| run["phase"] == "booting").await?;
    }
    let cache = root.path().join(".home/state/cache");
    let names = std::fs::read_dir(&cache)?
        .flatten()
        .map(|entry| entry.file_name());
    let names: Vec<_> = names
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    let unpacked = names
        .iter()
        .filter(|name| name.starts_with("rootfs-"))
        .count();
    ensure!(unpacked == 1, "{names:?}");
    let left = names.iter().filter(|name| name.contains("making"));
    ensure!(left.count() == 0, "{names:?}");
    for run_id in runs {
        client.ok("run_stop", json!({"run_id": run_id})).await?;
    }
    client.close().await
}

async fn the_quota_holds_without_anybody_who_prunes() -> Result<()> {
    doctor::needs_emulator()?;
    let root = tempfile::tempdir()?;
    let policy = root.path().join("policy.toml");
    std::fs::write(&policy, "[keep]\nruns = 2\n")?;
    let mut options = Options::new(root.path());
    options.arguments = vec!["--policy".into(), policy.display().to_string()];
    let client = Session::with(&options).await?;
    project(&client, root.path(), "fw").await?;
    for _ in 0..5 {
        let arguments = json!({"project_dir": "fw", "timeout": 1});
        let run = client.ok("run", arguments).await?;
        ensure!(run["status"] == "finished", "{run}");
    }
    let results = root.path().join("fw/results");
    let mut kept = Vec::new();
    let is_kept = processes::eventually(PATIENCE, || {
        let entries = std::fs::read_dir(&results).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        kept = names.filter(|name| name.parse::<u32>().is_ok()).collect();
        kept.sort();
        kept == ["3", "4"]
    });
    ensure!(is_kept, "{kept:?}");
    client.close().await
}

/// All of them.
pub fn trials() -> Vec<rookery_tests::Trial> {
    rookery_tests::trials![
        runs_beyond_what_the_machine_takes_wait_in_their_order,
        a_stop_is_heard_while_a_root_filesystem_is_unpacked,
        projects_of_one_firmware_that_start_together_unpack_it_once,
        the_quota_holds_without_anybody_who_prunes,
    ]
}
