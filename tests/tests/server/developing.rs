//! Somebody writes a tool: it is called before it is installed, and served anew on every save.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rookery_tests::session::Options;
use rookery_tests::{Session, places};
use serde_json::{Value, json};

fn plugins(arguments: &[&str], dir: &Path) -> Command {
    let mut command = Command::new(places::dist().join("rookery"));
    command
        .arg("plugins")
        .args(arguments)
        .current_dir(dir)
        .env("ROOKERY_CACHE_DIR", places::dist().join("cache"))
        .env("ROOKERY_STATE_DIR", dir.join(".state"));
    command
}

fn component(name: &str) -> Result<String> {
    let file = places::dist().join(name);
    Ok(file.to_str().context("a path")?.to_owned())
}

/// What `plugins call` says as JSON, and its exit code.
fn called(arguments: &[&str], dir: &Path) -> Result<(Option<i32>, Value)> {
    let output: Output = plugins(&[&["call"], arguments, &["--json"]].concat(), dir).output()?;
    let said = serde_json::from_slice(&output.stdout).with_context(|| format!("{output:?}"))?;
    Ok((output.status.code(), said))
}

#[test]
fn a_component_is_called_on_a_project_before_it_is_installed_and_says_what_it_used() -> Result<()> {
    let home = tempfile::tempdir()?;
    let results = home.path().join("elsewhere/router/results/0");
    std::fs::create_dir_all(&results)?;
    std::fs::write(
        home.path().join("elsewhere/router/config.yaml"),
        "core: {}\n",
    )?;
    std::fs::write(results.join("console.log"), "httpd: board not found\n")?;
    let work = home.path().join("work");
    std::fs::create_dir(&work)?;

    // The project need not lie below the current directory: it is named.
    let console = component("plugins/console.wasm")?;
    let project = "../elsewhere/router";
    let (code, said) = called(&[&console, "{}", "--project", project], &work)?;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(said["tool"], "console");
    ensure!(
        said["answer"].to_string().contains("board not found"),
        "{said}"
    );
    for used in [
        "wall_ms",
        "cpu_ms",
        "memory_bytes",
        "host_calls",
        "output_bytes",
    ] {
        ensure!(said["usage"][used].is_u64(), "{used}: {said}");
    }
    ensure!(said["usage"]["host_calls"] != 0, "{said}");
    let output = plugins(&["call", &console, "--project", project], &work).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(
        text.contains("used: ") && text.contains("host calls"),
        "{text}"
    );

    // Budgets and the policy count as they do in a server.
    let greedy = component("test-plugins/allocates.wasm")?;
    let (code, said) = called(&[&greedy, "--tool", "allocates"], &work)?;
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(said["error"]["kind"], "memory-budget", "{said}");
    let set_env = home.path().join("set_env.wasm");
    std::fs::copy(component("plugins/set_env.wasm")?, &set_env)?;
    let set_env = set_env.to_str().context("a path")?;
    let (code, said) = called(&[set_env, "key=a", "value=b", "--project", project], &work)?;
    assert_eq!(code, Some(1), "{said}");
    let why = said["error"].as_str().unwrap_or_default();
    ensure!(why.contains("grant = [\"config-mutation\"]"), "{said}");
    Ok(())
}

/// A folder whose component is the test plugin that the file `source` names.
fn project(dir: &Path, plugin: &str) -> Result<()> {
    let makefile = "my_tool.wasm: source\n\tcp $$(cat source) $@\n";
    std::fs::create_dir(dir)?;
    std::fs::write(dir.join("Makefile"), makefile)?;
    std::fs::write(dir.join(".gitignore"), "/my_tool.wasm\n")?;
    save(dir, plugin)
}

fn save(dir: &Path, plugin: &str) -> Result<()> {
    let file = component(&format!("test-plugins/{plugin}.wasm"))?;
    Ok(std::fs::write(dir.join("source"), file)?)
}

#[tokio::test]
async fn a_tool_is_built_and_served_anew_on_every_save_and_calls_are_told_with_their_usage()
-> Result<()> {
    let root = tempfile::tempdir()?;
    let dir = root.path().join("my_tool");
    project(&dir, "echo")?;
    // What is installed under the same name stands back.
    let installed = root.path().join("installed");
    std::fs::create_dir(&installed)?;
    std::fs::copy(
        component("test-plugins/echo.wasm")?,
        installed.join("my_tool.wasm"),
    )?;
    let mut options = Options::new(root.path());
    options.plugins = vec![installed];
    options.command = vec![
        "plugins".to_owned(),
        "dev".to_owned(),
        dir.to_string_lossy().into_owned(),
    ];
    let client = Session::with(&options).await?;
    client.logs("reloaded ").await?;
    assert_eq!(client.tools().await?, ["echo"]);
    client.ok("echo", json!({"message": "hello"})).await?;
    client.logs("echo {\"message\":\"hello\"}").await?;
    client.logs("host calls").await?;

    save(&dir, "slow")?;
    client.logs("reloaded ").await?;
    let begun = Instant::now();
    while client.tools().await? != ["slow"] {
        ensure!(begun.elapsed() < Duration::from_mins(1), "{}", client.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    ensure!(client.list_changes() > 0);

    // A build that fails leaves what was served.
    std::fs::write(dir.join("source"), "/nowhere")?;
    client.logs("the build failed").await?;
    client.ok("slow", json!({"steps": 1, "step_ms": 0})).await?;
    client.close().await
}

/// Ends the command of a test that fails.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_tool_is_called_after_each_build_where_that_is_asked_for() -> Result<()> {
    let home = tempfile::tempdir()?;
    let dir = home.path().join("my_tool");
    project(&dir, "echo")?;
    let arguments = ["dev", "my_tool", "--call", "{\"message\": \"hello\"}"];
    let mut command = plugins(&arguments, home.path());
    let spawned = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut dev = Ended(spawned);
    let mut lines = BufReader::new(dev.0.stdout.take().context("it is piped")?).lines();
    let mut until = |words: &str| -> Result<()> {
        for line in lines.by_ref() {
            if line?.contains(words) {
                return Ok(());
            }
        }
        anyhow::bail!("it ended without saying {words:?}")
    };
    until("message: hello")?;
    until("used: ")?;
    // The arguments do not fit the other tool, which it says with its name.
    save(&dir, "slow")?;
    until("message")?;
    until("used: ")?;
    ensure!(dev.0.try_wait()?.is_none(), "it goes on");
    let pid = rustix::process::Pid::from_child(&dev.0);
    rustix::process::kill_process(pid, rustix::process::Signal::INT)?;
    assert_eq!(dev.0.wait()?.code(), Some(0), "ctrl-c ends it");
    Ok(())
}
