//! The server as the first process of a container: it ends when it is told to, and what it started
//! ends in good order with it.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rookery_tests::Skip;
use rookery_tests::session::Options;
use rookery_tests::wire::{Wire, signal};
use rookery_tests::{doctor, places, processes};
use serde_json::{Value, json};

const END: Duration = Duration::from_secs(15);

/// The server as process 1 of a pid namespace of its own.
fn first(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--map-current-user"]);
    }
    command.args(["--pid", "--fork", "--mount-proc", "--"]);
    let server = Options::new(root).with_test_plugins().command().into_std();
    command.arg(server.get_program());
    if arguments.is_empty() {
        command.args(server.get_args());
    } else {
        command.args(arguments);
    }
    command
}

/// The child of `unshare`, as this namespace numbers it.
fn process_1(wire: &Wire) -> Result<u32> {
    let unshare = wire.child.id();
    let children = format!("/proc/{unshare}/task/{unshare}/children");
    let mut found = None;
    processes::eventually(END, || {
        let text = fs::read_to_string(&children).unwrap_or_default();
        found = text
            .split_whitespace()
            .next()
            .and_then(|pid| pid.parse().ok());
        found.is_some()
    });
    found.context("unshare has no child")
}

/// A run that goes on; its result directory.
fn start_run(wire: &mut Wire, root: &Path, project: &str) -> Result<Value> {
    fs::copy(places::demo_rootfs(), root.join("rootfs.tar.gz"))?;
    wire.call(
        "init_project",
        &json!({"rootfs": "rootfs.tar.gz", "output": project}),
    )?;
    let mut run = wire.call(
        "run",
        &json!({"project_dir": project, "timeout": 120, "wait_s": 1}),
    )?;
    ensure!(run["status"] == "running", "{run}");
    Ok(run["results_dir"].take())
}

fn a_signal_ends_it_and_its_runs_have_written_their_results() -> Result<()> {
    doctor::needs_emulator()?;
    for name in ["TERM", "INT"] {
        let root = tempfile::tempdir()?;
        let mut wire = Wire::start(first(root.path(), &[]))?;
        wire.greet()?;
        let results = start_run(&mut wire, root.path(), "contained")?;
        let server = process_1(&wire)?;
        signal(server, name)?;
        wire.ended(END).context(name)?;
        let results = Path::new(results.as_str().context("a path")?);
        ensure!(
            results.join(".ran").exists() && results.join("summary.json").exists(),
            "{name}: the run was cut off"
        );
    }
    Ok(())
}

fn the_end_of_its_input_ends_it_with_its_runs() -> Result<()> {
    doctor::needs_emulator()?;
    let root = tempfile::tempdir()?;
    let mut wire = Wire::start(first(root.path(), &[]))?;
    wire.greet()?;
    let results = start_run(&mut wire, root.path(), "left")?;
    wire.hang_up();
    ensure!(wire.ended(END)?.success());
    let results = Path::new(results.as_str().context("a path")?);
    ensure!(results.join(".ran").exists(), "the run was cut off");
    Ok(())
}

fn the_exit_code_is_that_of_the_work() -> Result<()> {
    doctor::needs_emulator()?;
    let root = tempfile::tempdir()?;
    let mut wire = Wire::start(first(
        root.path(),
        &["plugins", "check", "/nothing/here.wasm"],
    ))?;
    ensure!(wire.ended(END)?.code() == Some(1));
    Ok(())
}

fn orphans_are_reaped() -> Result<()> {
    doctor::needs_emulator()?;
    if !rustix::process::geteuid().is_root() {
        let reason = "only root can make an orphan in another pid namespace";
        return Err(Skip::elsewhere(reason).into());
    }
    let root = tempfile::tempdir()?;
    // An orphan is what a supervisor becomes whose server was killed, and it ends some day.
    let mut wire = Wire::start(first(root.path(), &[]))?;
    wire.greet()?;
    let init = process_1(&wire)?;
    let orphan = Command::new("nsenter")
        .args(["--target", &init.to_string(), "--pid"])
        .args(["sh", "-c", "(sleep 0.1 & exec sleep 0.2) & exit 0"])
        .status()?;
    ensure!(orphan.success(), "nsenter");
    let children = format!("/proc/{init}/task/{init}/children");
    let alone = processes::eventually(END, || {
        fs::read_to_string(&children).is_ok_and(|text| text.split_whitespace().count() == 1)
    });
    ensure!(
        alone,
        "it has children beside the server: {:?}",
        fs::read_to_string(&children)
    );
    Ok(())
}

/// All of them.
pub fn trials() -> Vec<rookery_tests::Trial> {
    rookery_tests::trials![
        a_signal_ends_it_and_its_runs_have_written_their_results,
        the_end_of_its_input_ends_it_with_its_runs,
        the_exit_code_is_that_of_the_work,
        orphans_are_reaped,
    ]
}
