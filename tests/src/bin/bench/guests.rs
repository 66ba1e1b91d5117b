//! What guests cost that do nothing, from one to many: time of a processor, and memory. What many
//! cost that answer.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rookery_tests::{doctor, http, places, processes};
use serde_json::{Value, json};

use crate::client::Client;
use crate::{Row, boot, ratio, server, side_by_side};

/// Guests of one firmware, side by side: the last is the most.
const COUNTS: [usize; 3] = [1, 8, 64];
/// Of these each is asked for its page, beside one guest that is asked as often.
const ASKED: usize = 8;
const REQUESTS: usize = 20;
/// Until all that a boot does is over.
const SETTLES: Duration = Duration::from_secs(8);
const WATCHED: Duration = Duration::from_secs(10);

/// A guest that serves its page.
struct Guest {
    project: String,
    run_id: Value,
    port: u16,
}

pub fn measure(folder: &Path) -> Result<Vec<Row>> {
    if let Err(skip) = doctor::needs_emulator() {
        eprintln!("SKIPPED: {skip}");
        return Ok(Vec::new());
    }
    let mut client = Client::start(&mut server(folder, &folder.join("cache")))?;
    fs::copy(places::demo_rootfs(), folder.join("idle.tar.gz"))?;
    let (mut guests, mut rows) = (Vec::new(), Vec::new());
    for count in COUNTS {
        // All are started before one is waited for: they boot side by side.
        let mut started = Vec::new();
        for number in guests.len()..count {
            started.push(start(&mut client, number)?);
        }
        for (project, run_id) in started {
            let port = boot::wait_for_page(&mut client, &run_id)?;
            guests.push(Guest {
                project,
                run_id,
                port,
            });
        }
        std::thread::sleep(SETTLES);
        rows.extend(idle(&guests)?);
        if count == ASKED {
            rows.push(asked(&guests)?);
        }
    }
    for guest in &guests {
        client.call("run_stop", &json!({"run_id": guest.run_id}))?;
    }
    Ok(rows)
}

/// The project and the id of a run that has begun.
fn start(client: &mut Client, number: usize) -> Result<(String, Value)> {
    let project = format!("idle-{number}");
    let arguments = json!({"rootfs": "idle.tar.gz", "output": project});
    client.call("init_project", &arguments)?;
    boot::make_demo_answer(client, &project)?;
    let arguments = json!({"project_dir": project, "timeout": 600, "wait_s": 0});
    let run_id = client.call("run", &arguments)?["run_id"].take();
    Ok((project, run_id))
}

/// What guests take that nobody asks anything.
fn idle(guests: &[Guest]) -> Result<Vec<Row>> {
    let mut all = BTreeSet::new();
    for guest in guests {
        all.extend(tree(&processes::of_run(Path::new(&guest.project)))?);
    }
    let before = computed(&all);
    std::thread::sleep(WATCHED);
    let count = guests.len();
    let busy = (computed(&all) - before) / WATCHED.as_secs_f64() / to_f64(count);
    let (programs, ours): (Vec<u32>, Vec<u32>) = all.iter().partition(|pid| is_guest(**pid));
    let mib = |pids: &[u32]| pids.iter().map(|pid| pss(*pid)).sum::<f64>();
    let each = mib(&programs) / to_f64(programs.len().max(1));
    let supervision = mib(&ours) / to_f64(count);
    let row = |what: &str, measured: String, aim: &str| Row {
        what: format!("{what}, {count} of one firmware"),
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
        row("memory of a guest's process", format!("{each:.1} MiB"), ""),
        row(
            "memory of one run's supervision",
            format!("{supervision:.1} MiB"),
            "≤ 8 MiB",
        ),
    ])
}

/// As many clients as there are guests: each asks a guest of its own, or all ask the same.
fn asked(guests: &[Guest]) -> Result<Row> {
    let ask = |ports: Vec<u16>| {
        std::thread::scope(|scope| {
            let asking = |port: u16| {
                move || -> Result<()> {
                    for _ in 0..REQUESTS {
                        let (code, _) = http::wait_for(port, 200, Duration::from_secs(20))?;
                        ensure!(code == 200, "the guest answered {code}");
                    }
                    Ok(())
                }
            };
            let asking: Vec<_> = ports
                .into_iter()
                .map(|port| scope.spawn(asking(port)))
                .collect();
            asking
                .into_iter()
                .try_for_each(|one| one.join().expect("no panic"))
        })
    };
    let each = || ask(guests.iter().map(|guest| guest.port).collect());
    let same = || ask(vec![guests[0].port; guests.len()]);
    let (ours, theirs) = side_by_side(3, each, same)?;
    let what = format!("{} pages, {ASKED} guests", ASKED * REQUESTS);
    Ok(ratio(&what, ours, ("of one guest", theirs), 1.3))
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
    (fields.len() > 1).then_some(fields)
}

/// Seconds of processor time that all threads of these have had: the first number of `schedstat`,
/// in nanoseconds. What `/proc/PID/stat` counts are hundredths of a second.
fn computed(pids: &BTreeSet<u32>) -> f64 {
    let threads = |pid: &u32| fs::read_dir(format!("/proc/{pid}/task")).ok();
    let spent = |thread: fs::DirEntry| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    };
    let threads = pids.iter().filter_map(threads).flatten().flatten();
    threads.filter_map(spent).sum::<f64>() / 1e9
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
