//! `tests/container/run` ends here: play the rehosting loop with a server in a container, as a
//! client starts it.
//!
//! `container PROJECTS ENGINE… run OPTIONS… IMAGE`: the folder that is mounted as `/projects`, and
//! the command line of a client's configuration. Its container is named by this program.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rookery_tests::places;
use rookery_tests::wire::Wire;
use serde_json::{Value, json};

/// A container engine kills what has not ended ten seconds after it was asked to.
const KILLED_AFTER: Duration = Duration::from_secs(10);
/// For the engine's own work, on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);
const NAME: &str = "rookery-container-test";

/// What a client does to end its server.
type End = fn(&mut Wire) -> Result<()>;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let projects = PathBuf::from(arguments.next().context("the projects folder is missing")?);
    let line: Vec<String> = arguments.collect();
    let run = line.iter().position(|word| word == "run");
    let (engine, options) = line.split_at(run.context("the command line has no `run`")?);
    let container = Container { engine, options };
    std::fs::copy(places::demo_rootfs(), projects.join("rootfs.tar.gz"))?;

    let mut server = container.start()?;
    mend(&mut server)?;
    let run = run_again(&mut server)?;
    let page = container.page(run.port)?;
    ensure!(
        page.starts_with("HTTP/1.1 200") && page.contains("It lives."),
        "the guest answered {page:?}"
    );
    println!("ok  the loop to HTTP 200");

    let asked = Instant::now();
    container.engine(&["stop", NAME])?;
    server.ended(PATIENCE)?;
    let took = asked.elapsed();
    ensure!(
        took < KILLED_AFTER,
        "it had to be killed: stopping took {took:?}"
    );
    complete(&projects, &run.results)?;
    println!("ok  the engine's stop, in {:.1} s", took.as_secs_f64());

    let ends: [(&str, End); 2] = [
        ("a closed stdin", |server| {
            server.hang_up();
            Ok(())
        }),
        ("SIGTERM to the client's side", |server| {
            server.signal("TERM")
        }),
    ];
    for (name, end) in ends {
        let mut server = container.start()?;
        let run = run_again(&mut server)?;
        let asked = Instant::now();
        end(&mut server)?;
        server.ended(PATIENCE).context(name)?;
        complete(&projects, &run.results).context(name)?;
        println!("ok  {name}, in {:.1} s", asked.elapsed().as_secs_f64());
    }
    Ok(())
}

struct Container<'a> {
    engine: &'a [String],
    /// From `run` to the image.
    options: &'a [String],
}

impl Container<'_> {
    fn start(&self) -> Result<Wire> {
        let mut command = self.command();
        command
            .args(["run", "--name", NAME])
            .args(&self.options[1..]);
        let mut server = Wire::start(command)?;
        server.greet()?;
        Ok(server)
    }

    fn engine(&self, arguments: &[&str]) -> Result<String> {
        let output = self.command().args(arguments).output()?;
        ensure!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// What the guest's web server answers. The container has no network: it is asked from inside.
    fn page(&self, port: u64) -> Result<String> {
        let ask = format!(
            "exec 3<>/dev/tcp/127.0.0.1/{port}; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; timeout 5 \
             cat <&3"
        );
        self.engine(&["exec", NAME, "bash", "-c", &ask])
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.engine[0]);
        command.args(&self.engine[1..]);
        command
    }
}

/// From a root filesystem to a project whose device and boot argument are there.
fn mend(server: &mut Wire) -> Result<()> {
    server.call(
        "init_project",
        &json!({"rootfs": "rootfs.tar.gz", "output": "router"}),
    )?;
    let run = server.call("run", &json!({"project_dir": "router", "timeout": 10}))?;
    ensure!(run["status"] == "finished", "{run}");
    let missing = server.call("missing_env", &json!({"project_dir": "router"}))?;
    ensure!(missing.to_string().contains("board_id"), "{missing}");
    let failures = server.call("pseudofile_failures", &json!({"project_dir": "router"}))?;
    ensure!(failures.to_string().contains("/dev/panel"), "{failures}");
    server.call(
        "set_env",
        &json!({"project_dir": "router", "key": "board_id", "value": "rook-1"}),
    )?;
    server.call(
        "add_pseudofile",
        &json!({
            "project_dir": "router",
            "path": "/dev/panel",
            "read": {"model": "const_buf", "val": "ready\n"}
        }),
    )?;
    Ok(())
}

struct Run {
    port: u64,
    /// As the container names it.
    results: String,
}

/// A run that goes on, once its web server listens.
fn run_again(server: &mut Wire) -> Result<Run> {
    let begun = server.call(
        "run",
        &json!({"project_dir": "router", "timeout": 120, "wait_s": 0}),
    )?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let status = server.call("run_wait", &json!({"run_id": begun["run_id"], "wait_s": 1}))?;
        ensure!(status["status"] == "running", "the run has ended: {status}");
        let port = port(&status, 80);
        if let (Some(port), Some(results)) = (port, status["results_dir"].as_str()) {
            let results = results.to_owned();
            return Ok(Run { port, results });
        }
        ensure!(Instant::now() < deadline, "no web server: {status}");
    }
}

fn port(status: &Value, guest_port: u64) -> Option<u64> {
    let endpoints = status["endpoints"].as_array()?;
    let endpoint = endpoints
        .iter()
        .find(|endpoint| endpoint["guest_port"] == guest_port)?;
    endpoint["host_port"].as_u64()
}

/// The run ended in good order: the files that are written at its end are there.
fn complete(projects: &Path, results: &str) -> Result<()> {
    let results = Path::new(results).strip_prefix("/projects")?;
    for file in [".ran", "summary.json"] {
        let file = projects.join(results).join(file);
        ensure!(file.exists(), "{} is missing", file.display());
    }
    Ok(())
}
