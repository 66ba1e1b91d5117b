//! What `tests/container/run` does in Penguin's image, and beside it.
//!
//! `penguin-image play PROJECTS COMMAND…`: a project is run, reached into and stopped by a server
//! in that image, as a client starts it; `PROJECTS` is the directory whose projects it sees.
//!
//! `penguin-image guest OUT`: in the image, a stand-in for what Penguin serves of a running guest.
//!
//! `penguin-image greets COMMAND…`: in the image, how soon a server greets its client.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rookery_tests::wire::Wire;
use rookery_tests::{penguin, places};
use serde_json::{Value, json};

/// On a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// A start in the image, as docs/container.md promises it; the middle one of so many.
const START: Duration = Duration::from_millis(50);
const STARTS: usize = 9;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_default();
    let arguments: Vec<String> = arguments.collect();
    let (first, rest) = arguments.split_first().context("arguments are missing")?;
    match what.as_str() {
        "play" => play(Path::new(first), rest),
        "guest" => {
            penguin::serve_all(Path::new(first))?;
            loop {
                std::thread::park();
            }
        }
        "greets" => greets(first, rest),
        other => bail!("{other} is no task of this program"),
    }
}

/// How soon a server greets, counted from its process.
fn greets(program: &str, arguments: &[String]) -> Result<()> {
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        let mut command = Command::new(program);
        command.args(arguments);
        let began = Instant::now();
        let mut server = Wire::start(command)?;
        server.greet()?;
        server.request("tools/list", &json!({}))?;
        starts.push(began.elapsed());
        server.hang_up();
        server.ended(PATIENCE)?;
    }
    starts.sort_unstable();
    let middle = starts[STARTS / 2];
    ensure!(middle <= START, "a start takes {middle:?}: {starts:?}");
    println!(
        "ok  its tools are listed {:.1} ms after it was started",
        middle.as_secs_f64() * 1e3
    );
    Ok(())
}

fn play(projects: &Path, line: &[String]) -> Result<()> {
    let (program, arguments) = line.split_first().context("the command line is missing")?;
    std::fs::copy(places::demo_rootfs(), projects.join("rootfs.tar.gz"))?;
    let mut command = Command::new(program);
    command.args(arguments);
    let asked = Instant::now();
    let mut server = Wire::start(command)?;
    server.greet()?;
    println!("ok  greeted after {:.1} s", asked.elapsed().as_secs_f64());

    let _ = std::fs::remove_dir_all(projects.join("router"));
    server.call(
        "init_project",
        &json!({"rootfs": "rootfs.tar.gz", "output": "router"}),
    )?;
    for (path, value) in [
        ("core.guest_cmd", true),
        ("plugins.remotectrl.enabled", true),
    ] {
        let on = json!({"project_dir": "router", "path": path, "value": value});
        server.call("set_config", &on)?;
    }
    let run = json!({"project_dir": "router", "backend": "penguin", "wait_s": 0});
    let begun = server.call("run", &run)?;
    let results = started(&mut server, &begun["run_id"])?;
    reach(&mut server, &begun["run_id"])?;
    let stopped = server.call("run_stop", &json!({"run_id": begun["run_id"]}))?;
    ensure!(stopped["status"] == "stopped", "{stopped}");
    let results = Path::new(&results);
    let results: PathBuf = results
        .iter()
        .skip_while(|part| *part != "router")
        .collect();
    for file in [".ran", "summary.json"] {
        let file = projects.join(&results).join(file);
        ensure!(file.exists(), "{} is missing", file.display());
    }
    println!("ok  a run of Penguin, and its stop");
    server.hang_up();
    server.ended(PATIENCE)?;
    println!("ok  a closed stdin");
    Ok(())
}

/// Reach into its guest.
fn reach(server: &mut Wire, run_id: &Value) -> Result<()> {
    let command = json!({"run_id": run_id, "command": "echo out; echo err >&2; exit 3"});
    let ran = server.call("guest_cmd", &command)?;
    let said = (&ran["exit_code"], &ran["stdout"], &ran["stderr"]);
    ensure!(
        said == (&json!(3), &json!("out\n"), &json!("err\n")),
        "{ran}"
    );
    let page = server.call("guest_request", &json!({"run_id": run_id, "timeout_s": 2}))?;
    let answered = (&page["status"], &page["guest_answered"]);
    ensure!(answered == (&json!(200), &json!(true)), "{page}");
    let hook = json!({"run_id": run_id, "op": "add", "at": "sys_read", "action": "print %fd"});
    let hooked = server.call("guest_hook", &hook)?;
    ensure!(hooked["hook_id"] == 1, "{hooked}");
    println!("ok  a command in its guest, a request to it and a hook");
    Ok(())
}

/// The result directory of a run whose web server listens.
fn started(server: &mut Wire, run_id: &Value) -> Result<String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let status = server.call("run_wait", &json!({"run_id": run_id, "wait_s": 1}))?;
        ensure!(status["status"] == "running", "the run has ended: {status}");
        let listens = status["endpoints"]
            .as_array()
            .is_some_and(|all| !all.is_empty());
        if let (true, Some(results)) = (listens, status["results_dir"].as_str()) {
            return Ok(results.to_owned());
        }
        ensure!(Instant::now() < deadline, "nothing listens: {status}");
    }
}
