//! Embedded boot to the first HTTP 200.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rookery_tests::{doctor, http, places};
use serde_json::{Value, json};

use crate::client::Client;
use crate::{Row, median, server};

/// Many guests may boot side by side.
const PATIENCE: Duration = Duration::from_mins(3);

pub fn measure(folder: &Path) -> Result<Vec<Row>> {
    if let Err(skip) = doctor::needs_emulator() {
        eprintln!("SKIPPED: {skip}");
        return Ok(Vec::new());
    }
    let mut client = Client::start(&mut server(folder, &folder.join("cache")))?;
    let mut rows = Vec::new();
    std::fs::copy(places::demo_rootfs(), folder.join("demo.tar.gz"))?;
    client.call(
        "init_project",
        &json!({"rootfs": "demo.tar.gz", "output": "demo"}),
    )?;
    make_demo_answer(&mut client, "demo")?;
    rows.push(boot(&mut client, "demo", "demo firmware", "")?);
    let image = places::firmware("dv-mipsel-uclibc.rootfs.tar.gz");
    if let Err(skip) = &image {
        eprintln!("SKIPPED: {skip}");
    }
    if let Ok(image) = image {
        std::fs::copy(image, folder.join("dv.tar.gz"))?;
        client.call(
            "init_project",
            &json!({"rootfs": "dv.tar.gz", "output": "dv"}),
        )?;
        client.call(
            "set_env",
            &json!({"project_dir": "dv", "key": "igloo_init", "value": "/etc/rc.local"}),
        )?;
        rows.push(boot(&mut client, "dv", "uClibc vendor image", "≤ 0.5 s")?);
    }
    Ok(rows)
}

/// The changes with which a project of the demo's firmware serves its page.
pub fn make_demo_answer(client: &mut Client, project: &str) -> Result<()> {
    client.call(
        "set_env",
        &json!({"project_dir": project, "key": "board_id", "value": "rook-1"}),
    )?;
    client.call(
        "add_pseudofile",
        &json!({"project_dir": project, "path": "/dev/panel", "read": {"model": "one"}}),
    )?;
    Ok(())
}

fn boot(client: &mut Client, project: &str, name: &str, aim: &str) -> Result<Row> {
    let mut times = Vec::new();
    // The first run unpacks the root filesystem; it is not measured.
    for round in 0..6 {
        let begun = Instant::now();
        let run = client.call(
            "run",
            &json!({"project_dir": project, "timeout": 60, "wait_s": 0}),
        )?;
        wait_for_page(client, &run["run_id"])?;
        if round > 0 {
            times.push(begun.elapsed());
        }
        client.call("run_stop", &json!({"run_id": run["run_id"]}))?;
    }
    let median = median(times);
    Ok(Row {
        what: format!("call of run to HTTP 200, {name}"),
        measured: format!("{median:.1?}"),
        yardstick: String::new(),
        verdict: format!("{median:.1?}"),
        aim: aim.into(),
    })
}

/// Wait until a guest serves its page; the host's port that leads there.
pub fn wait_for_page(client: &mut Client, run_id: &Value) -> Result<u16> {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        let status = client.call("run_wait", &json!({"run_id": run_id, "wait_s": 0}))?;
        let web = status["endpoints"]
            .as_array()
            .and_then(|all| all.iter().find(|e| e["guest_port"] == 80).cloned());
        if let Some(port) = web.and_then(|web| web["host_port"].as_u64()) {
            let port = u16::try_from(port)?;
            let (code, _) = http::wait_for(port, 200, Duration::from_secs(10))
                .context("ask the guest's web server")?;
            ensure!(code == 200, "the guest answered {code}");
            return Ok(port);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    bail!("no web server after {PATIENCE:?}")
}
