//! The promise of the README: an agent takes a firmware from dead to HTTP 200 through the tools
//! alone.

use std::time::Duration;

use anyhow::{Context, Result};
use rookery_tests::{Session, doctor, http, places};
use serde_json::{Value, json};

/// Wait until a guest port of a running project is forwarded, and give the port on this machine.
async fn forwarded(client: &Session, run_id: &str, guest_port: u16) -> Result<u16> {
    for _ in 0..30 {
        let status = client
            .ok("run_wait", json!({"run_id": run_id, "wait_s": 1}))
            .await?;
        if let Some(port) = endpoint(&status, guest_port) {
            return Ok(port);
        }
        anyhow::ensure!(status["status"] == "running", "the run has ended: {status}");
    }
    anyhow::bail!("guest port {guest_port} never came up")
}

fn endpoint(status: &Value, guest_port: u16) -> Option<u16> {
    let found = status["endpoints"]
        .as_array()?
        .iter()
        .find(|e| e["guest_port"] == guest_port)?;
    found["host_port"].as_u64()?.try_into().ok()
}

/// Run a project that is expected to serve HTTP, ask every port, and stop it.
async fn serves(client: &Session, project: &str, ports: &[u16]) -> Result<()> {
    let run = client
        .ok(
            "run",
            json!({"project_dir": project, "timeout": 120, "wait_s": 0}),
        )
        .await?;
    let run_id = run["run_id"].as_str().context("a run id")?;
    for port in ports {
        let host_port = forwarded(client, run_id, *port).await?;
        let (status, answer) = http::wait_for(host_port, 200, Duration::from_secs(20))?;
        assert_eq!(status, 200, "guest port {port}: {answer}");
    }
    let stopped = client.ok("run_stop", json!({"run_id": run_id})).await?;
    assert_eq!(stopped["status"], "stopped", "{stopped}");
    Ok(())
}

async fn the_demo_firmware_comes_alive_after_the_two_fixes_that_the_diagnoses_name() -> Result<()> {
    doctor::needs_emulator()?;
    let root = tempfile::tempdir()?;
    std::fs::copy(places::demo_rootfs(), root.path().join("rootfs.tar.gz"))?;
    let client = Session::new(root.path()).await?;

    let project = client
        .ok(
            "init_project",
            json!({"rootfs": "rootfs.tar.gz", "output": "router"}),
        )
        .await?;
    assert_eq!(project["arch"], "armel", "{project}");

    let run = client
        .ok("run", json!({"project_dir": "router", "timeout": 3}))
        .await?;
    assert_eq!(run["status"], "finished", "{run}");
    let binds = client
        .ok("netbinds", json!({"project_dir": "router"}))
        .await?;
    assert_eq!(
        binds["netbinds"],
        json!([]),
        "nothing may listen before the fixes"
    );

    let missing = client
        .ok("missing_env", json!({"project_dir": "router"}))
        .await?;
    assert!(
        missing["missing_env"].to_string().contains("board_id"),
        "{missing}"
    );
    let failures = client
        .ok("pseudofile_failures", json!({"project_dir": "router"}))
        .await?;
    assert!(
        failures["pseudofile_failures"]
            .to_string()
            .contains("/dev/panel"),
        "{failures}"
    );
    let console = client
        .ok(
            "console",
            json!({"project_dir": "router", "pattern": "rcS: .*stays off"}),
        )
        .await?;
    assert_eq!(console["total"], 1, "{console}");
    let health = client
        .ok("health", json!({"project_dir": "router"}))
        .await?;
    assert!(health["health"].is_object(), "{health}");
    let files = client
        .ok("missing_files", json!({"project_dir": "router"}))
        .await?;
    assert!(files.to_string().contains("/dev/panel"), "{files}");
    let sql =
        "WITH e AS (SELECT * FROM event) SELECT e.type, count(*) AS n FROM e GROUP BY 1 ORDER BY 1";
    let rows = client
        .ok("db_query", json!({"project_dir": "router", "sql": sql}))
        .await?;
    assert!(
        rows["rows"].as_array().is_some_and(|rows| !rows.is_empty()),
        "{rows}"
    );

    client
        .ok(
            "set_env",
            json!({"project_dir": "router", "key": "board_id", "value": "rook-1"}),
        )
        .await?;
    let panel = json!({
        "project_dir": "router",
        "path": "/dev/panel",
        "read": {"model": "const_buf", "val": "ready\n"}
    });
    client.ok("add_pseudofile", panel).await?;
    serves(&client, "router", &[80]).await?;

    let binds = client
        .ok("netbinds", json!({"project_dir": "router"}))
        .await?;
    assert!(
        binds["netbinds"]
            .as_array()
            .is_some_and(|all| all.iter().any(|b| b["port"] == 80 && b["proto"] == "tcp")),
        "{binds}"
    );
    client.close().await
}

async fn a_vendor_image_with_uclibc_serves_both_its_pages() -> Result<()> {
    doctor::needs_emulator()?;
    let image = places::firmware("dv-mipsel-uclibc.rootfs.tar.gz")?;
    let root = tempfile::tempdir()?;
    std::fs::copy(image, root.path().join("fw.tar.gz"))?;
    let client = Session::new(root.path()).await?;
    let project = client
        .ok(
            "init_project",
            json!({"rootfs": "fw.tar.gz", "output": "dv"}),
        )
        .await?;
    if project["init"] != "/etc/rc.local" {
        client
            .ok(
                "set_env",
                json!({"project_dir": "dv", "key": "igloo_init", "value": "/etc/rc.local"}),
            )
            .await?;
    }
    serves(&client, "dv", &[80, 8080]).await?;
    client.close().await
}

/// Run an image whose services need no change; at least one must listen.
async fn something_listens(image: &str) -> Result<()> {
    doctor::needs_emulator()?;
    let image = places::firmware(image)?;
    let root = tempfile::tempdir()?;
    std::fs::copy(image, root.path().join("fw.tar.gz"))?;
    let client = Session::new(root.path()).await?;
    client
        .ok(
            "init_project",
            json!({"rootfs": "fw.tar.gz", "output": "router"}),
        )
        .await?;
    let run = client
        .ok(
            "run",
            json!({"project_dir": "router", "timeout": 120, "wait_s": 0}),
        )
        .await?;
    let mut status = run.clone();
    for _ in 0..90 {
        status = client
            .ok("run_wait", json!({"run_id": run["run_id"], "wait_s": 1}))
            .await?;
        if status["endpoints"]
            .as_array()
            .is_some_and(|all| !all.is_empty())
            || status["status"] != "running"
        {
            break;
        }
    }
    client
        .ok("run_stop", json!({"run_id": run["run_id"]}))
        .await?;
    let console = client
        .ok("console", json!({"project_dir": "router", "max_lines": 60}))
        .await?;
    assert!(
        status["endpoints"]
            .as_array()
            .is_some_and(|all| !all.is_empty()),
        "{status}\n{console}"
    );
    client.close().await
}

async fn lede_on_big_endian_mips_brings_up_a_service() -> Result<()> {
    something_listens("lede-17.01.4-mips-musl.rootfs.tar.gz").await
}

async fn openwrt_on_aarch64_brings_up_a_service() -> Result<()> {
    something_listens("openwrt-19.07-aarch64-musl.rootfs.tar.gz").await
}

/// All of them.
pub fn trials() -> Vec<rookery_tests::Trial> {
    rookery_tests::trials![
        the_demo_firmware_comes_alive_after_the_two_fixes_that_the_diagnoses_name,
        a_vendor_image_with_uclibc_serves_both_its_pages,
        lede_on_big_endian_mips_brings_up_a_service,
        openwrt_on_aarch64_brings_up_a_service,
    ]
}
