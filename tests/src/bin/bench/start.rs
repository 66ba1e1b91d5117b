//! Start-up, and the memory of an idle server.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;

use crate::client::Client;
use crate::{Row, median, server};

pub fn measure(folder: &Path) -> Result<Vec<Row>> {
    let warm = folder.join("cache");
    Client::start(&mut server(folder, &warm))?.request("tools/list", &json!({}))?;
    let mut times = Vec::new();
    for _ in 0..15 {
        times.push(start(folder, &warm)?);
    }
    let mut cold = Vec::new();
    for round in 0..3 {
        cold.push(start(folder, &folder.join(format!("cold-{round}")))?);
    }
    let mut client = Client::start(&mut server(folder, &warm))?;
    client.request("tools/list", &json!({}))?;
    let memory = resident_mib(client.pid())?;
    let warm = median(times);
    Ok(vec![
        row(
            "start to initialize, warm cache",
            &format!("{warm:.1?}"),
            "≤ 15 ms",
        ),
        row(
            "start to initialize, nothing compiled yet",
            &format!("{:.1?}", median(cold)),
            "",
        ),
        row(
            "memory of the idle server, all tools loaded",
            &format!("{memory} MiB"),
            "≤ 60 MB",
        ),
    ])
}

fn start(folder: &Path, cache: &Path) -> Result<Duration> {
    let begun = Instant::now();
    let client = Client::start(&mut server(folder, cache))?;
    let took = begun.elapsed();
    drop(client);
    Ok(took)
}

pub fn resident_mib(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap_or_default();
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? / 1024)
}

fn row(what: &str, measured: &str, aim: &str) -> Row {
    Row {
        what: what.into(),
        measured: measured.into(),
        yardstick: String::new(),
        verdict: measured.into(),
        aim: aim.into(),
    }
}
