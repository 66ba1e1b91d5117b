//! What supervision costs a guest's programs, beside the same image with qemu-user alone, and with
//! a supervisor that looks at nothing.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rookery_tests::{doctor, places};
use serde_json::json;

use crate::client::Client;
use crate::{Row, median, plain, ratio, server};

/// Redirections, programs, and bytes that are copied one by one, in a turn.
const OPENS: u32 = 20_000;
const PROGRAMS: u32 = 100;
const BYTES: u32 = 500_000;
/// Turns, of which the first warms up.
const TURNS: usize = 8;

/// A shell that redirects its input, from a file, which is an open and a close beside what it does
/// where it only copies a descriptor; starts programs; and has bytes read and written that nobody
/// looks at. `/proc/uptime` counts hundredths of a second.
fn script() -> String {
    format!(
        "#!/bin/sh\n\
         now() {{ read up idle </proc/uptime; all=\"$all $up\"; }}\n\
         turn=0\n\
         while [ $turn -lt {TURNS} ]; do\n\
         all=; now\n\
         i=0; while [ $i -lt {OPENS} ]; do : </etc/inittab; i=$((i+1)); done; now\n\
         i=0; while [ $i -lt {OPENS} ]; do : <&0; i=$((i+1)); done; now\n\
         i=0; while [ $i -lt {PROGRAMS} ]; do /bin/busybox true; i=$((i+1)); done; now\n\
         /bin/busybox dd if=/dev/zero of=/dev/null bs=1 count={BYTES} 2>/dev/null; now\n\
         echo turn $all; turn=$((turn+1))\n\
         done\n\
         echo that is all\n"
    )
}

/// The medians of one guest, each of one thing done once.
struct Costs {
    /// What opening and closing a file takes beside copying a descriptor.
    open: Duration,
    program: Duration,
    byte: Duration,
}

pub fn measure(folder: &Path) -> Result<Vec<Row>> {
    if let Err(skip) = doctor::needs_emulator() {
        eprintln!("SKIPPED: {skip}");
        return Ok(Vec::new());
    }
    let image = places::demo_rootfs();
    let ours = costs(&supervised(folder, &image)?)?;
    // Where no such guest can be made, the others are still measured.
    let alone = match plain::run(folder, &image, &script()) {
        Ok(said) => costs(&said)?,
        Err(error) => {
            eprintln!("SKIPPED: what it costs with qemu-user alone: {error:#}");
            return Ok(Vec::new());
        }
    };
    let let_go_on = || plain::run(folder, &image, &script());
    let let_go_on = costs(&rookery_emulator::bare::supervised(let_go_on)??)?;
    let beyond = |costs: &Costs| costs.open.saturating_sub(alone.open);
    let beside = ("with qemu-user alone", alone.program);
    Ok(vec![
        ratio(
            "supervision of an open and a close",
            beyond(&ours),
            ("received, checked, let go on", beyond(&let_go_on)),
            2.0,
        ),
        ratio("a program started and ended", ours.program, beside, 1.1),
        ratio(
            "a byte read and written",
            ours.byte,
            ("with qemu-user alone", alone.byte),
            1.1,
        ),
    ])
}

/// What the script prints in a guest of Rookery's.
fn supervised(folder: &Path, image: &Path) -> Result<String> {
    let mut client = Client::start(&mut server(folder, &folder.join("cache")))?;
    std::fs::copy(image, folder.join("supervised.tar.gz"))?;
    let project = json!("supervised");
    client.call(
        "init_project",
        &json!({"rootfs": "supervised.tar.gz", "output": project}),
    )?;
    let spec = json!({"type": "inline_file", "contents": script(), "mode": "0755"});
    client.call(
        "add_static_file",
        &json!({"project_dir": project, "path": "/etc/measured", "spec": spec}),
    )?;
    client.call(
        "set_env",
        &json!({"project_dir": project, "key": "igloo_init", "value": "/etc/measured"}),
    )?;
    let mut status = client.call(
        "run",
        &json!({"project_dir": project, "timeout": 200, "wait_s": 50}),
    )?;
    while status["status"] == "running" {
        status = client.call(
            "run_wait",
            &json!({"run_id": status["run_id"], "wait_s": 50}),
        )?;
    }
    let console = client.call(
        "console",
        &json!({"project_dir": project, "pattern": "^turn "}),
    )?;
    let lines = console["lines"].as_array().into_iter().flatten();
    let lines: Vec<_> = lines.filter_map(|line| line.as_str()).collect();
    Ok(lines.join("\n"))
}

fn costs(said: &str) -> Result<Costs> {
    let turns: Option<Vec<_>> = said
        .lines()
        .filter(|line| line.starts_with("turn "))
        .map(turn)
        .collect();
    let turns = turns.with_context(|| format!("no measured turns: {said}"))?;
    ensure!(turns.len() == TURNS, "the guest's shell said {said}");
    // Of one turn each: the machine is not as fast in every second.
    let each = |of: fn(&[Duration; 4]) -> Duration| median(turns[1..].iter().map(of).collect());
    Ok(Costs {
        open: each(|[open, copy, ..]| open.saturating_sub(*copy)) / OPENS,
        program: each(|[_, _, programs, _]| *programs) / PROGRAMS,
        byte: each(|[.., bytes]| *bytes) / BYTES,
    })
}

/// How long each part of a turn took.
fn turn(line: &str) -> Option<[Duration; 4]> {
    let seconds: Result<Vec<f64>, _> = line.split_whitespace().skip(1).map(str::parse).collect();
    let seconds = seconds.ok()?;
    let parts: Option<Vec<_>> = seconds
        .windows(2)
        .map(|pair| Duration::try_from_secs_f64(pair[1] - pair[0]).ok())
        .collect();
    parts?.try_into().ok()
}
