//! Open and answering are different facts: each service is asked, and an agent can wait for the
//! answer.

use anyhow::{Context, Result};
use rookery_tests::{Session, doctor, places};
use serde_json::{Value, json};

/// The demo's firmware with both of its fixes, started.
async fn started(client: &Session, root: &std::path::Path) -> Result<Value> {
    std::fs::copy(places::demo_rootfs(), root.join("rootfs.tar.gz"))?;
    let project = json!({"rootfs": "rootfs.tar.gz", "output": "router"});
    client.ok("init_project", project).await?;
    let board = json!({"project_dir": "router", "key": "board_id", "value": "rook-1"});
    client.ok("set_env", board).await?;
    let panel = json!({
        "project_dir": "router",
        "path": "/dev/panel",
        "read": {"model": "const_buf", "val": "ready\n"}
    });
    client.ok("add_pseudofile", panel).await?;
    let run = json!({"project_dir": "router", "timeout": 120, "wait_s": 0});
    Ok(client.ok("run", run).await?["run_id"].clone())
}

async fn a_service_is_asked_when_it_appears_and_again_before_the_guest_is_stopped() -> Result<()> {
    doctor::needs_emulator()?;
    let root = tempfile::tempdir()?;
    let client = Session::new(root.path()).await?;
    let run_id = started(&client, root.path()).await?;
    let wait = json!({"run_id": run_id, "until": "answers", "port": 80, "wait_s": 90});
    let status = client.ok("run_wait", wait).await?;
    assert_eq!(status["waited_for"], "answers", "{status}");
    assert_eq!(status["met"], true, "{status}");
    let endpoints = status["endpoints"].as_array().context("endpoints")?;
    let web = endpoints.iter().find(|end| end["guest_port"] == 80);
    let answer = &web.context("port 80")?["answers"]["at_start"];
    assert_eq!(
        (&answer["kind"], &answer["status"]),
        (&json!("http"), &json!(200))
    );
    assert_eq!(status["services"]["answering"], 1, "{status}");
    assert_eq!(status.get("summary"), None, "it has not ended");

    client.ok("run_stop", json!({"run_id": run_id})).await?;
    let wait = json!({"run_id": run_id, "wait_s": 20});
    let ended = client.ok("run_wait", wait).await?;
    assert_eq!(ended["status"], "stopped", "{ended}");
    let reason = ended["reason"].as_str().unwrap_or_default();
    assert!(
        reason.ends_with("1 of 1 listening TCP ports answered when last asked"),
        "{reason}"
    );
    let summary = ended["summary"].to_string();
    assert!(summary.contains("answered: tcp 80 (http 200)"), "{summary}");
    assert_eq!(ended["next"]["tool"], "health");

    let binds = client
        .ok("netbinds", json!({"project_dir": "router"}))
        .await?;
    assert_eq!(binds["netbinds"][0]["answer"]["status"], 200, "{binds}");
    let file = root.path().join("router/results/0/summary.json");
    let file: Value = serde_json::from_slice(&std::fs::read(file)?)?;
    let answers = &file["binds"][0]["answers"];
    assert_eq!(answers["at_start"]["status"], 200, "{file}");
    assert_eq!(answers["at_end"]["status"], 200, "{file}");
    assert!(answers["at_end"]["asked_ms"].as_u64() > answers["at_start"]["asked_ms"].as_u64());
    client.close().await
}

async fn a_wait_ends_for_its_reason_and_says_whether_it_was_met() -> Result<()> {
    doctor::needs_emulator()?;
    let root = tempfile::tempdir()?;
    let client = Session::new(root.path()).await?;
    let run_id = started(&client, root.path()).await?;
    for (condition, met) in [
        (json!({"until": "port", "port": 80, "wait_s": 60}), true),
        (json!({"console": "rcS: ", "wait_s": 30}), true),
        (json!({"until": "quiet", "quiet_s": 2, "wait_s": 60}), true),
        (json!({"until": "port", "port": 81, "wait_s": 1}), false),
        (json!({"until": "exit", "wait_s": 1}), false),
    ] {
        let mut arguments = condition.clone();
        arguments["run_id"] = run_id.clone();
        let status = client.ok("run_wait", arguments).await?;
        assert_eq!(status["met"], met, "{condition}: {status}");
        assert_eq!(status["status"], "running", "{condition}: {status}");
    }
    let arguments = json!({"run_id": run_id, "console": "(", "wait_s": 1});
    let refused = client.error("run_wait", arguments).await?;
    assert!(refused.contains("regular expression"), "{refused}");
    client.ok("run_stop", json!({"run_id": run_id})).await?;
    // The condition of a run that has ended is that it has ended.
    let exit = json!({"run_id": run_id, "until": "exit", "wait_s": 600});
    let ended = client.ok("run_wait", exit).await?;
    assert_eq!(
        (&ended["met"], &ended["status"]),
        (&json!(true), &json!("stopped"))
    );
    client.close().await
}

/// All of them.
pub fn trials() -> Vec<rookery_tests::Trial> {
    rookery_tests::trials![
        a_service_is_asked_when_it_appears_and_again_before_the_guest_is_stopped,
        a_wait_ends_for_its_reason_and_says_whether_it_was_met,
    ]
}
