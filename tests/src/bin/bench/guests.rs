//! What guests cost that do nothing: time of a processor, and memory.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use rookery_tests::{doctor, places, processes};
use serde_json::json;

use crate::client::Client;
use crate::{Row, boot, server};

/// Guests of one firmware, side by side.
const GUESTS: usize = 4;
/// Until all that a boot does is over.
const SETTLES: Duration = Duration::from_secs(8);
const WATCHED: Duration = Duration::from_secs(10);

pub fn measure(folder: &Path) -> Result<Vec<Row>> {
    if let Err(skip) = doctor::needs_emulator() {
        eprintln!("SKIPPED: {skip}");
        return Ok(Vec::new());
    }
    let mut client = Client::start(&mut server(folder, &folder.join("cache")))?;
    fs::copy(places::demo_rootfs(), folder.join("idle.tar.gz"))?;
    let mut runs = Vec::new();
    for guest in 0..GUESTS {
        let project = format!("idle-{guest}");
        client.call(
            "init_project",
            &json!({"rootfs": "idle.tar.gz", "output": project}),
        )?;
        boot::make_demo_answer(&mut client, &project)?;
        let run = client.call(
            "run",
            &json!({"project_dir": project, "timeout": 120, "wait_s": 0}),
        )?;
        boot::wait_for_page(&mut client, &run["run_id"])?;
        runs.push((project, run["run_id"].clone()));
    }
    std::thread::sleep(SETTLES);
    let mut all = BTreeSet::new();
    for (project, _) in &runs {
        all.extend(tree(&processes::of_run(Path::new(project)))?);
    }
    let before = computed(&all);
    std::thread::sleep(WATCHED);
    let busy = (computed(&all) - before) / WATCHED.as_secs_f64() / to_f64(GUESTS);
    let (guests, ours): (Vec<u32>, Vec<u32>) = all.iter().partition(|pid| is_guest(**pid));
    let mib = |pids: &[u32]| pids.iter().map(|pid| pss(*pid)).sum::<f64>();
    let each = mib(&guests) / to_f64(guests.len().max(1));
    let supervision = mib(&ours) / to_f64(GUESTS);
    for (_, run_id) in &runs {
        client.call("run_stop", &json!({"run_id": run_id}))?;
    }
    let row = |what: &str, measured: String, aim: &str| Row {
        what: what.into(),
        verdict: measured.clone(),
        measured,
        yardstick: String::new(),
        aim: aim.into(),
    };
    Ok(vec![
        row(
            "an idle guest that listens, of one processor",
            format!("{:.2} %", busy * 100.0),
            "≤ 0.1 %",
        ),
        row(
            "memory of a guest's process, 4 guests of one firmware",
            format!("{each:.1} MiB"),
            "",
        ),
        row(
            "memory of one run's supervision",
            format!("{supervision:.1} MiB"),
            "≤ 8 MiB",
        ),
    ])
}

fn to_f64(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}

/// These processes and all that they started.
fn tree(roots: &[u32]) -> Result<BTreeSet<u32>> {
    let mut all: BTreeSet<u32> = roots.iter().copied().collect();
    loop {
        let known = all.len();
        for entry in fs::read_dir("/proc")?.flatten() {
            let Some(pid) = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok())
            else {
                continue;
            };
            if stat(pid).is_some_and(|fields| fields[1].parse().is_ok_and(|of| all.contains(&of))) {
                all.insert(pid);
            }
        }
        if all.len() == known {
            return Ok(all);
        }
    }
}

/// What follows the name in `/proc/PID/stat`: state, parent, … (proc(5)).
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(") ")?;
    let fields: Vec<_> = fields.split(' ').map(str::to_owned).collect();
    (fields.len() > 12).then_some(fields)
}

/// Seconds of processor time that these have had.
fn computed(pids: &BTreeSet<u32>) -> f64 {
    const TICKS: f64 = 100.0;
    let ticks = |pid: &u32| {
        let fields = stat(*pid)?;
        Some(fields[11].parse::<f64>().ok()? + fields[12].parse::<f64>().ok()?)
    };
    pids.iter().filter_map(ticks).sum::<f64>() / TICKS
}

/// Its proportional share of memory, in MiB.
fn pss(pid: u32) -> f64 {
    let kib = || {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).context("no PSS")?;
        let line = text.lines().find(|line| line.starts_with("Pss:"));
        let number = line.and_then(|line| line.split_whitespace().nth(1));
        anyhow::Ok(number.context("no PSS")?.parse::<f64>()?)
    };
    kib().unwrap_or(0.0) / 1024.0
}

fn is_guest(pid: u32) -> bool {
    let program = fs::read_link(format!("/proc/{pid}/exe"));
    program.is_ok_and(|path| {
        let path = path.to_string_lossy();
        path.contains("qemu") || path.contains("emulator-")
    })
}
