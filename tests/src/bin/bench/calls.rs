//! A tool call through WebAssembly against a bare rmcp echo; pings and built-in tools beside tools
//! that loop and worse.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;
use rookery_tests::places;
use serde_json::json;

use crate::client::Client;
use crate::start::resident_mib;
use crate::{Row, median, server, time};

/// The servers take turns, a turn being so many calls.
const TURNS: usize = 50;
const CALLS: usize = 50;

/// What eight callers ask for at the same time, again and again.
const HOSTILE: [&str; 8] = [
    "any_of_result",
    "enum_result",
    "pattern_result",
    "large_result",
    "bulk_fill",
    "bulk_copy",
    "loops",
    "floods_progress",
];
/// So long are they watched.
const WATCHED: Duration = Duration::from_secs(20);

/// Other calls and pings beside tools that do their worst.
pub fn measure_beside_hostile(folder: &Path) -> Result<Vec<Row>> {
    let mut rows = vec![ping_beside_loops(folder)?];
    rows.extend(beside_hostile_calls(folder)?);
    Ok(rows)
}

/// What a call of `echo` costs where it is built in, and where it is not.
pub fn measure(folder: &Path) -> Result<Vec<Row>> {
    let program = folder.join("program");
    std::fs::create_dir_all(program.join("plugins"))?;
    let dist = places::dist();
    std::fs::copy(dist.join("rookery"), program.join("rookery"))?;
    let echo = program.join("plugins/echo.wasm");
    std::fs::copy(dist.join("test-plugins/echo.wasm"), echo)?;
    let mut with_echo = Command::new(program.join("rookery"));
    with_echo.arg("serve").arg("--root").arg(folder);
    with_echo.arg("--plugins").arg(program.join("plugins"));
    with_echo.arg("--cache-dir").arg(folder.join("cache"));
    with_echo.arg("--state-dir").arg(folder.join("state"));

    let bare_echo = std::env::current_exe()?.with_file_name("bare-echo");
    let mut clients = [
        Client::start(&mut with_echo)?,
        Client::start(&mut server(folder, &folder.join("cache")))?,
        Client::start(&mut Command::new(bare_echo))?,
    ];
    let message = json!({"message": "x".repeat(200)});
    for client in &mut clients {
        for _ in 0..200 {
            client.call("echo", &message)?;
        }
    }
    // A client has one server: a turn is long enough for each to find its own code in the
    // processor's caches.
    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..TURNS {
        for (client, times) in clients.iter_mut().zip(&mut times) {
            for _ in 0..CALLS {
                times.push(time(&mut || client.call("echo", &message).map(drop))?);
            }
        }
    }
    let [built_in, added, rmcp] = times.map(median);
    let row = |what: &str, ours: Duration, aim: &str| Row {
        what: what.into(),
        measured: format!("{ours:.1?}"),
        yardstick: format!("{rmcp:.1?} bare rmcp echo"),
        verdict: format!("{:.1?} more", ours.saturating_sub(rmcp)),
        aim: aim.into(),
    };
    Ok(vec![
        row("WASM tool call, p50", built_in, "≤ 100 µs more"),
        row(
            "WASM tool call of a plugin that is not built in, p50",
            added,
            "",
        ),
    ])
}

/// `ping` on a server on which four tools loop: each session asks from its own thread, since a
/// looping call occupies its client.
fn ping_beside_loops(folder: &Path) -> Result<Row> {
    let mut client = Client::start(&mut server(folder, &folder.join("cache")))?;
    for id in 0..4 {
        client.send_only(&json!({
            "jsonrpc": "2.0",
            "id": format!("loop-{id}"),
            "method": "tools/call",
            "params": {"name": "loops", "arguments": {}}
        }))?;
    }
    std::thread::sleep(Duration::from_millis(300));
    let mut pings = Vec::new();
    for _ in 0..200 {
        let begun = Instant::now();
        client.request("ping", &json!({}))?;
        pings.push(begun.elapsed());
        std::thread::sleep(Duration::from_millis(5));
    }
    let (p50, p99, _) = percentiles(pings);
    Ok(Row {
        what: "ping beside four looping tools, p50 (p99)".into(),
        measured: format!("{p50:.1?} ({p99:.1?})"),
        yardstick: String::new(),
        verdict: format!("{p99:.1?}"),
        aim: "≤ 5 ms".into(),
    })
}

/// Pings and calls of a built-in tool while eight callers do their worst.
fn beside_hostile_calls(folder: &Path) -> Result<Vec<Row>> {
    let mut client = Client::start(&mut server(folder, &folder.join("cache")))?;
    client.request("tools/list", &json!({}))?;
    let hostile = |n: usize| {
        json!({
            "jsonrpc": "2.0",
            "id": format!("hostile-{n}"),
            "method": "tools/call",
            "params": {"name": HOSTILE[n], "arguments": {}}
        })
    };
    for n in 0..HOSTILE.len() {
        client.send_only(&hostile(n))?;
    }
    let (mut pings, mut calls, mut memory) = (Vec::new(), Vec::new(), 0);
    let until = Instant::now() + WATCHED;
    for turn in 0.. {
        if Instant::now() > until {
            break;
        }
        let (times, request) = if turn % 10 == 0 {
            (
                &mut calls,
                json!({
                    "jsonrpc": "2.0",
                    "id": "watched",
                    "method": "tools/call",
                    "params": {"name": "health", "arguments": {"project_dir": "none"}}
                }),
            )
        } else {
            (
                &mut pings,
                json!({"jsonrpc": "2.0", "id": "watched", "method": "ping"}),
            )
        };
        let begun = Instant::now();
        client.send_only(&request)?;
        // Lines are told by their beginnings: reading a megabyte of JSON would take longer than
        // what is measured.
        loop {
            let line = client.line()?;
            if line.contains(r#""id":"watched""#) {
                break;
            }
            if let Some(n) = (0..HOSTILE.len()).find(|n| {
                line.get(..60)
                    .is_some_and(|line| line.contains(&format!(r#""id":"hostile-{n}""#)))
            }) {
                client.send_only(&hostile(n))?;
            }
        }
        times.push(begun.elapsed());
        memory = memory.max(resident_mib(client.pid())?);
        std::thread::sleep(Duration::from_millis(5));
    }
    let row = |what: &str, times: Vec<Duration>, aim: &str| {
        let (p50, p99, most) = percentiles(times);
        Row {
            what: format!("{what} beside eight hostile calls, p50 (p99, most)"),
            measured: format!("{p50:.1?} ({p99:.1?}, {most:.1?})"),
            yardstick: String::new(),
            verdict: format!("{p99:.1?}"),
            aim: aim.into(),
        }
    };
    Ok(vec![
        row("ping", pings, "≤ 5 ms, most ≤ 50 ms"),
        row("built-in call", calls, "≤ 100 ms"),
        Row {
            what: "memory of the server beside eight hostile calls, most".into(),
            measured: format!("{memory} MiB"),
            yardstick: String::new(),
            verdict: format!("{memory} MiB"),
            aim: "≤ 300 MB".into(),
        },
    ])
}

/// The median, the 99th percentile, and the most.
fn percentiles(mut times: Vec<Duration>) -> (Duration, Duration, Duration) {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    (at(50), at(99), at(100))
}
