//! `make demo`: play the rehosting loop as an MCP client, and print each call and answer for a
//! person.

use std::io::{IsTerminal, Write as _};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rookery_tests::{Session, http, places};
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> Result<()> {
    let started = Instant::now();
    let folder = tempfile::Builder::new().prefix("rookery-demo-").tempdir()?;
    std::fs::copy(places::demo_rootfs(), folder.path().join("rootfs.tar.gz"))?;
    let client = Narrator {
        session: Session::new(folder.path()).await?,
        color: std::io::stdout().is_terminal(),
    };

    first_run(&client).await?;
    diagnose(&client).await?;
    mend(&client).await?;
    let status = run_again(&client).await?;
    ensure!(status == 200, "the guest answered {status}");
    client.say(&format!(
        "HTTP {status}: the firmware runs, in {:.1} s from the first call.",
        started.elapsed().as_secs_f64()
    ));
    client.session.close().await
}

async fn first_run(client: &Narrator) -> Result<()> {
    client.say(
        "A router's root filesystem, built for a CPU that this machine does not have. \
        First, make a project of it.",
    );
    client
        .call(
            "init_project",
            json!({"rootfs": "rootfs.tar.gz", "output": "router"}),
            &["arch", "init", "files"],
        )
        .await?;

    client.say("Run it for three seconds and see what comes up.");
    client
        .call(
            "run",
            json!({"project_dir": "router", "timeout": 3}),
            &["status", "reason", "endpoints"],
        )
        .await?;
    let binds = client
        .call(
            "netbinds",
            json!({"project_dir": "router"}),
            &["total", "netbinds"],
        )
        .await?;
    ensure!(
        binds["total"] == 0,
        "the demo's web server came up without its hardware: {binds}"
    );
    Ok(())
}

async fn diagnose(client: &Narrator) -> Result<()> {
    client.say(
        "Nothing listens: the web interface is dead. Why? What the guest printed, and what \
        it looked for and did not find:",
    );
    client
        .call(
            "console",
            json!({"project_dir": "router", "pattern": "rcS:"}),
            &["lines"],
        )
        .await?;
    client
        .call(
            "missing_env",
            json!({"project_dir": "router"}),
            &["missing_env"],
        )
        .await?;
    client
        .call(
            "pseudofile_failures",
            json!({"project_dir": "router"}),
            &["pseudofile_failures"],
        )
        .await?;
    Ok(())
}

async fn mend(client: &Narrator) -> Result<()> {
    client.say("A boot argument and a device are missing. Give the firmware both.");
    client
        .call(
            "set_env",
            json!({"project_dir": "router", "key": "board_id", "value": "rook-1"}),
            &["effective"],
        )
        .await?;
    let panel = json!({
        "project_dir": "router",
        "path": "/dev/panel",
        "read": {"model": "const_buf", "val": "ready\n"}
    });
    client.call("add_pseudofile", panel, &["revision"]).await?;
    let patch = client
        .call(
            "show_patch",
            json!({"project_dir": "router"}),
            &["patch_file"],
        )
        .await?;
    let file = patch["patch_file"].as_str().context("a patch file")?;
    client.show(std::fs::read_to_string(file)?.lines());
    Ok(())
}

/// The status of the guest's web server.
async fn run_again(client: &Narrator) -> Result<u16> {
    client.say("Run it again, and look while it runs.");
    let run = client
        .call(
            "run",
            json!({"project_dir": "router", "timeout": 60, "wait_s": 0}),
            &["run_id", "status"],
        )
        .await?;
    let run_id = run["run_id"].as_str().context("a run id")?.to_owned();
    let port = client.service(&run_id, 80).await?;
    let (status, page) = http::wait_for(port, 200, Duration::from_secs(10))?;
    client.say(&format!(
        "The guest's port 80 answers at 127.0.0.1:{port} of this machine. Ask it for its page:"
    ));
    client.show(page.lines().filter(|line| !line.trim().is_empty()));
    client
        .call("run_stop", json!({"run_id": run_id}), &["status"])
        .await?;
    Ok(status)
}

/// Speaks with the server, and tells the reader.
struct Narrator {
    session: Session,
    color: bool,
}

impl Narrator {
    fn say(&self, text: &str) {
        println!("\n{}", self.paint("1", text));
    }

    fn show<'a>(&self, lines: impl Iterator<Item = &'a str>) {
        for line in lines {
            println!("    {}", self.paint("2", line));
        }
    }

    /// Call a tool and show the named fields of its answer.
    async fn call(&self, tool: &str, arguments: Value, fields: &[&str]) -> Result<Value> {
        print!("  {} {}", self.paint("36;1", tool), compact(&arguments));
        std::io::stdout().flush()?;
        let begun = Instant::now();
        let answer = self.session.ok(tool, arguments).await?;
        println!(
            "  {}",
            self.paint("2", &format!("{} ms", begun.elapsed().as_millis()))
        );
        for field in fields {
            match &answer[*field] {
                Value::Null => {}
                Value::Array(rows) if rows.is_empty() => {
                    self.show([format!("{field}: none").as_str()].into_iter());
                }
                Value::Array(rows) => {
                    for row in rows {
                        self.show([format!("{field}: {}", compact(row)).as_str()].into_iter());
                    }
                }
                value => self.show([format!("{field}: {}", compact(value)).as_str()].into_iter()),
            }
        }
        Ok(answer)
    }

    /// Wait until a guest port is forwarded; the port on this machine.
    async fn service(&self, run_id: &str, guest_port: u64) -> Result<u16> {
        for _ in 0..20 {
            let status = self
                .session
                .ok("run_wait", json!({"run_id": run_id, "wait_s": 1}))
                .await?;
            let endpoints = status["endpoints"].as_array().cloned().unwrap_or_default();
            if let Some(port) = endpoints
                .iter()
                .find(|e| e["guest_port"] == guest_port)
                .and_then(|e| e["host_port"].as_u64())
            {
                return Ok(u16::try_from(port)?);
            }
            ensure!(status["status"] == "running", "the run has ended: {status}");
        }
        anyhow::bail!("no service came up on guest port {guest_port}")
    }

    fn paint(&self, style: &str, text: &str) -> String {
        if self.color {
            format!("\x1b[{style}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// A value on one line, strings bare, as a person would write it.
fn compact(value: &Value) -> String {
    match value {
        Value::String(text) => text.replace('\n', "\\n"),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| format!("{key}={}", compact(value)))
            .collect::<Vec<_>>()
            .join(" "),
        Value::Array(items) => format!(
            "[{}]",
            items.iter().map(compact).collect::<Vec<_>>().join(", ")
        ),
        other => other.to_string(),
    }
}
