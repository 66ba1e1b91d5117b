//! What supervision costs a file that the guest opens.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use rookery_tests::{doctor, places};
use serde_json::json;

use crate::client::Client;
use crate::{Row, median, server};

/// Redirections in one turn.
const TIMES: u32 = 5_000;
/// Turns, of which the first warms up.
const TURNS: usize = 24;

/// A shell that redirects its input: from a file, which is an open and a close beside what it does
/// where it only copies a descriptor. `/proc/uptime` counts hundredths of a second.
fn script() -> String {
    format!(
        "#!/bin/sh\n\
         now() {{ read up idle </proc/uptime; }}\n\
         turn=0\n\
         while [ $turn -lt {TURNS} ]; do\n\
         now; begun=$up; i=0; while [ $i -lt {TIMES} ]; do : </etc/init.d/rcS; i=$((i+1)); done\n\
         now; opened=$up; i=0; while [ $i -lt {TIMES} ]; do : <&0; i=$((i+1)); done\n\
         now; echo turn $begun $opened $up; turn=$((turn+1))\n\
         done\n\
         echo that is all\n"
    )
}

pub fn measure(folder: &Path) -> Result<Vec<Row>> {
    if let Err(skip) = doctor::needs_emulator() {
        eprintln!("SKIPPED: {skip}");
        return Ok(Vec::new());
    }
    let mut client = Client::start(&mut server(folder, &folder.join("cache")))?;
    std::fs::copy(places::demo_rootfs(), folder.join("opens.tar.gz"))?;
    let project = json!("opens");
    client.call(
        "init_project",
        &json!({"rootfs": "opens.tar.gz", "output": project}),
    )?;
    let spec = json!({"type": "inline_file", "contents": script(), "mode": "0755"});
    client.call(
        "add_static_file",
        &json!({"project_dir": project, "path": "/etc/opens", "spec": spec}),
    )?;
    client.call(
        "set_env",
        &json!({"project_dir": project, "key": "igloo_init", "value": "/etc/opens"}),
    )?;
    client.call(
        "run",
        &json!({"project_dir": project, "timeout": 120, "wait_s": 50}),
    )?;
    let console = client.call(
        "console",
        &json!({"project_dir": project, "pattern": "^turn "}),
    )?;
    let (mut opens, mut copies, mut more) = (Vec::new(), Vec::new(), Vec::new());
    for line in console["lines"].as_array().into_iter().flatten().skip(1) {
        let (open, copy) = line
            .as_str()
            .and_then(turn)
            .with_context(|| format!("{line} is no measured turn"))?;
        opens.push(open);
        copies.push(copy);
        more.push(open.saturating_sub(copy));
    }
    anyhow::ensure!(opens.len() == TURNS - 1, "the guest's shell said {console}");
    // Of one turn each: the machine is not as fast in every second.
    let (open, copy, more) = (median(opens), median(copies), median(more));
    Ok(vec![Row {
        what: "a file opened and closed by a guest's shell".into(),
        measured: format!("{open:.1?} a redirection"),
        yardstick: format!("{copy:.1?} without the file"),
        verdict: format!("{more:.1?}"),
        aim: "≤ 26 µs".into(),
    }])
}

/// What one redirection took, from a file and of a descriptor.
fn turn(line: &str) -> Option<(Duration, Duration)> {
    let mut words = line.split_whitespace().skip(1);
    let mut second = || words.next()?.parse::<f64>().ok();
    let (begun, opened, copied) = (second()?, second()?, second()?);
    let each =
        |from: f64, to: f64| Duration::try_from_secs_f64((to - from) / f64::from(TIMES)).ok();
    Some((each(begun, opened)?, each(opened, copied)?))
}
