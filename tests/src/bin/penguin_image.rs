//! `tests/container/run` ends here too: a project in Penguin's image, run and stopped by a server
//! in that image, as a client starts it.
//!
//! `penguin-image PROJECTS COMMAND…`: the directory whose projects the server sees, and the command
//! line of a client.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rookery_tests::places;
use rookery_tests::wire::Wire;
use serde_json::{Value, json};

/// On a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let projects = PathBuf::from(arguments.next().context("the projects folder is missing")?);
    let line: Vec<String> = arguments.collect();
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
    let run = json!({"project_dir": "router", "backend": "penguin", "wait_s": 0});
    let begun = server.call("run", &run)?;
    let results = started(&mut server, &begun["run_id"])?;
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
