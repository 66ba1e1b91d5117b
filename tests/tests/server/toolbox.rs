//! Tools that call other tools: within what they were granted and what they have left.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rookery_tests::session::Options;
use rookery_tests::wire::Wire;
use rookery_tests::{Session, places};
use serde_json::{Value, json};

/// A server with the test tools, by a policy of the operator's.
struct Place {
    root: tempfile::TempDir,
    desk: tempfile::TempDir,
}

impl Place {
    fn new() -> Result<Self> {
        Ok(Self {
            root: tempfile::tempdir()?,
            desk: tempfile::tempdir()?,
        })
    }

    fn audit(&self) -> PathBuf {
        self.desk.path().join("audit")
    }

    async fn serve(&self, policy: &str, arguments: &[&str]) -> Result<Session> {
        Session::with(&self.options(policy, arguments)?).await
    }

    fn options(&self, policy: &str, arguments: &[&str]) -> Result<Options> {
        let file = self.desk.path().join("policy.toml");
        std::fs::write(&file, policy)?;
        let mut options = Options::new(self.root.path()).with_test_plugins();
        options.arguments = ["--policy", utf8(&file)?].map(str::to_owned).into();
        options.fill_cache()?;
        let audit = self.audit();
        let more = ["--audit", utf8(&audit)?];
        let more = more.iter().chain(arguments);
        options.arguments.extend(more.map(ToString::to_string));
        Ok(options)
    }

    /// The calls in the audit: the tool, who called it, how it ended, and by which rule.
    fn calls(&self) -> Result<Vec<[String; 4]>> {
        let text = std::fs::read_to_string(self.audit())?;
        let lines: Vec<Value> = text
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()?;
        let calls = lines.iter().filter(|line| line["event"] == "call");
        let of = |line: &Value, name: &str| line[name].as_str().unwrap_or("-").to_owned();
        Ok(calls
            .map(|line| ["tool", "called_by", "outcome", "rule"].map(|name| of(line, name)))
            .collect())
    }
}

fn utf8(path: &std::path::Path) -> Result<&str> {
    path.to_str().context("a path of this test is UTF-8")
}

const GRANTED: &str = "[plugin.relay]\ngrant = ['toolbox']\n";

/// `relay` calls `relay_on`, and so on, and the last one calls `tool`.
fn through(relays: &[&str], tool: &str, arguments: &Value) -> Value {
    let call = json!({ "tool": tool, "arguments": arguments });
    let outwards = relays.iter().rev();
    outwards.fold(
        call,
        |call, relay| json!({ "tool": relay, "arguments": call }),
    )
}

#[tokio::test]
async fn a_tool_calls_another_and_the_audit_says_who_called() -> Result<()> {
    let place = Place::new()?;
    let client = place.serve(GRANTED, &[]).await?;
    let call = through(&["relay_on"], "echo", &json!({ "message": "far" }));
    let answer = client.ok("relay", call).await?;
    assert_eq!(answer["answer"]["answer"]["message"], "far", "{answer}");
    client.close().await?;
    let row = |row: [&str; 4]| row.map(str::to_owned);
    assert_eq!(
        place.calls()?,
        [
            row(["echo", "relay_on", "ok", "-"]),
            row(["relay_on", "relay", "ok", "-"]),
            row(["relay", "-", "ok", "-"]),
        ]
    );
    Ok(())
}

#[tokio::test]
async fn a_stranger_calls_no_tool_without_the_grant() -> Result<()> {
    let root = tempfile::tempdir()?;
    let client = Session::with(&Options::new(root.path()).with_test_plugins()).await?;
    assert!(!client.tools().await?.contains(&"relay".to_owned()));
    client.logs("grant = [\"toolbox\"]").await?;
    client.close().await
}

#[tokio::test]
async fn no_call_does_more_than_every_caller_was_granted() -> Result<()> {
    let place = Place::new()?;
    std::fs::copy(
        places::demo_rootfs(),
        place.root.path().join("rootfs.tar.gz"),
    )?;
    let project = place.root.path().join("fw");
    let client = place.serve("", &[]).await?;
    let made = json!({ "rootfs": "rootfs.tar.gz", "output": "fw" });
    client.ok("init_project", made).await?;
    client.close().await?;
    // `deputy` may change configurations, and `relay` may call it.
    let policy = "[plugin.relay]\ngrant = ['toolbox']\n\
                  [plugin.deputy]\ngrant = ['toolbox', 'config-mutation']\n";
    let client = place.serve(policy, &[]).await?;
    let change = json!({ "project_dir": "fw", "key": "tty", "value": "x" });
    for call in [
        through(&[], "set_env", &change),
        through(&["relay_on"], "set_env", &change),
        through(&["deputy"], "set_env", &change),
    ] {
        let refused = client.error("relay", call).await?;
        for said in ["`set_env` can change", "was not granted `config-mutation`"] {
            assert!(refused.contains(said), "{refused}");
        }
    }
    let patch = std::fs::read_to_string(project.join("patch_90_mcp.yaml"));
    assert!(!patch.unwrap_or_default().contains("tty"));
    client.close().await?;
    let denied = |call: &&[String; 4]| call[0] == "set_env";
    let calls = place.calls()?;
    let denied: Vec<_> = calls.iter().filter(denied).collect();
    assert_eq!(denied.len(), 3);
    for call in denied {
        assert_eq!(call[2..], ["denied", "toolbox.call"].map(str::to_owned));
    }

    // What is denied to the caller is not had by way of another either.
    let policy = "[plugin.relay]\ngrant = ['toolbox']\ndeny = ['results']\n";
    let client = place.serve(policy, &[]).await?;
    let call = through(&[], "health", &json!({ "project_dir": "fw" }));
    let refused = client.error("relay", call).await?;
    assert!(refused.contains("was not granted `results`"), "{refused}");
    client.close().await?;

    // And what is granted is.
    let policy = "[plugin.relay]\ngrant = ['toolbox', 'config-mutation']\n";
    let client = place.serve(policy, &[]).await?;
    client.ok("relay", through(&[], "set_env", &change)).await?;
    let patch = std::fs::read_to_string(project.join("patch_90_mcp.yaml"))?;
    assert!(patch.contains("tty"), "{patch}");
    client.close().await?;

    // But a server that changes nothing has neither of them.
    let client = place.serve(policy, &["--read-only"]).await?;
    assert!(!client.tools().await?.contains(&"relay".to_owned()));
    client.close().await?;
    let client = place.serve(GRANTED, &["--read-only"]).await?;
    let call = through(&[], "set_env", &change);
    let refused = client.error("relay", call).await?;
    assert!(refused.contains("read-only"), "{refused}");
    client.close().await
}

#[tokio::test]
async fn calls_in_a_circle_too_deep_or_of_nobody_are_refused() -> Result<()> {
    let place = Place::new()?;
    let client = place.serve(GRANTED, &[]).await?;
    let message = json!({ "message": "x" });
    let deep = ["relay_on", "relay_further"];
    client.ok("relay", through(&deep, "echo", &message)).await?;
    let deeper = ["relay_on", "relay_further", "relay_last"];
    for (call, said) in [
        (through(&["relay_on"], "relay", &message), "is under way"),
        (through(&["relay"], "echo", &message), "is under way"),
        (through(&deeper, "echo", &message), "at most 4 deep"),
        (through(&[], "ehco", &message), "Did you mean `echo`?"),
        (through(&[], "echo", &json!({})), "message"),
    ] {
        let refused = client.error("relay", call).await?;
        assert!(refused.contains(said), "{said}: {refused}");
    }
    client.close().await
}

#[tokio::test]
async fn what_a_called_tool_uses_is_its_callers() -> Result<()> {
    let place = Place::new()?;
    let policy = "[plugin.relay]\ngrant = ['toolbox']\ncpu_ms = 1000\nwall_ms = 2000\n\
                  host_calls = 50\nmemory_mib = 16\n";
    let client = place.serve(policy, &[]).await?;
    let begun = Instant::now();
    for (call, said) in [
        (through(&[], "loops", &json!({})), "CPU budget"),
        (through(&[], "sleeps", &json!({})), "within 2 s"),
        (through(&[], "allocates", &json!({})), "memory"),
        (through(&["relay_on"], "loops", &json!({})), "CPU budget"),
        (
            json!({ "tool": "echo", "arguments": { "message": "x" }, "times": 1_000_000 }),
            "more than 50 host calls",
        ),
    ] {
        let ended = client.error("relay", call).await?;
        assert!(ended.contains(said), "{said}: {ended}");
    }
    // `loops` has ten seconds of its own.
    assert!(begun.elapsed() < Duration::from_secs(20));
    client
        .ok("echo", json!({ "message": "still here" }))
        .await?;
    client.close().await?;
    // The one whose caller ended first has its line too.
    let ended = |call: &[String; 4]| call[0] == "sleeps" && call[1] == "relay";
    assert_eq!(place.calls()?.iter().filter(|call| ended(call)).count(), 1);
    Ok(())
}

#[tokio::test]
async fn calls_that_call_wait_for_no_seat_that_their_own_caller_has() -> Result<()> {
    let place = Place::new()?;
    let policy = format!("concurrent_calls = 1\n{GRANTED}");
    let client = place.serve(&policy, &[]).await?;
    let message = json!({ "message": "x" });
    let one = || {
        client.ok(
            "relay",
            through(&["relay_on", "relay_further"], "echo", &message),
        )
    };
    let all = async { <[_; 4]>::from(tokio::join!(one(), one(), one(), one())) };
    let all = tokio::time::timeout(Duration::from_secs(25), Box::pin(all));
    for answer in all.await? {
        assert!(answer?.to_string().contains("\"message\":\"x\""));
    }
    client.close().await
}

#[test]
fn a_call_that_is_cancelled_ends_the_one_that_it_made() -> Result<()> {
    let place = Place::new()?;
    let options = place.options(GRANTED, &[])?;
    let mut wire = Wire::start(options.command().into_std())?;
    wire.greet()?;
    wire.request("tools/list", &json!({}))?;
    let call = json!({ "tool": "slow", "arguments": { "steps": 300, "step_ms": 100 } });
    let (id, params) = (77, json!({ "name": "relay", "arguments": call }));
    wire.send(&json!({
        "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params
    }))?;
    // `slow` takes half a minute.
    std::thread::sleep(Duration::from_secs(2));
    let cancelled = json!({ "requestId": id });
    wire.send(&json!({
        "jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancelled
    }))?;
    let begun = Instant::now();
    let ended = loop {
        let calls = place.calls()?;
        if let Some(slow) = calls.into_iter().find(|call| call[0] == "slow") {
            break slow;
        }
        ensure!(begun.elapsed() < Duration::from_secs(10), "it goes on");
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(ended[1..3], ["relay", "cancelled"].map(str::to_owned));
    Ok(())
}

#[test]
fn a_case_answers_in_the_place_of_other_tools() -> Result<()> {
    let home = tempfile::tempdir()?;
    let case = home.path().join("cases/answered");
    std::fs::create_dir_all(&case)?;
    std::fs::write(
        case.join("case.yaml"),
        "tool: relay\narguments: {tool: health, arguments: {project_dir: fw}}\n\
         answer: {answered: 1, answer: {state: fine}}\n",
    )?;
    std::fs::write(
        case.join("answers.yaml"),
        "- call: toolbox.call\n  with: {name: health, arguments: {project_dir: fw}}\n  \
         answer: {state: fine}\n",
    )?;
    let policy = home.path().join("policy.toml");
    std::fs::write(&policy, GRANTED)?;
    let output = std::process::Command::new(places::dist().join("rookery"))
        .args(["plugins", "test", "--json", "--policy"])
        .arg(&policy)
        .arg(places::dist().join("test-plugins/relay.wasm"))
        .arg("cases")
        .current_dir(home.path())
        .env("ROOKERY_CACHE_DIR", places::dist().join("cache"))
        .env("ROOKERY_STATE_DIR", home.path().join(".state"))
        .output()?;
    let report: Value = serde_json::from_slice(&output.stdout)?;
    let mut tried = report["tried"].as_array().into_iter().flatten();
    let case = tried.find(|one| one["name"] == "answered");
    assert_eq!(
        case.context("the case was tried")?["passed"],
        true,
        "{report:#}"
    );
    Ok(())
}

#[test]
fn a_tool_that_is_tried_alone_finds_the_installed_ones_beside_it() -> Result<()> {
    let home = tempfile::tempdir()?;
    let policy = home.path().join("policy.toml");
    std::fs::write(&policy, GRANTED)?;
    let plugins = places::dist().join("test-plugins");
    let output = std::process::Command::new(places::dist().join("rookery"))
        .args(["plugins", "call", "--json", "--tool", "relay", "--policy"])
        .arg(&policy)
        .arg("--plugins")
        .arg(&plugins)
        .arg(plugins.join("relay.wasm"))
        .arg(json!({ "tool": "echo", "arguments": { "message": "near" } }).to_string())
        .current_dir(home.path())
        .env("ROOKERY_CACHE_DIR", places::dist().join("cache"))
        .env("ROOKERY_STATE_DIR", home.path().join(".state"))
        .output()?;
    let said = String::from_utf8(output.stdout)?;
    assert!(
        said.contains("near"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
