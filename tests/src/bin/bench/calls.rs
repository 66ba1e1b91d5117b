//! A tool call through WebAssembly against a bare rmcp echo; a ping while four tools loop.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;

use crate::client::Client;
use crate::{Row, median, server, time};

/// The two servers take turns, a turn being so many calls.
const TURNS: usize = 50;
const CALLS: usize = 50;

pub fn measure(folder: &Path) -> Result<Vec<Row>> {
    let mut ours = Client::start(&mut server(folder, &folder.join("cache")))?;
    let bare_echo = std::env::current_exe()?.with_file_name("bare-echo");
    let mut bare = Client::start(&mut Command::new(bare_echo))?;
    let message = json!({"message": "x".repeat(200)});
    for _ in 0..200 {
        ours.call("echo", &message)?;
        bare.call("echo", &message)?;
    }
    // A client has one server: a turn is long enough for each to find its own code in the processor's caches.
    let (mut wasm, mut rmcp) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        for _ in 0..CALLS {
            wasm.push(time(&mut || ours.call("echo", &message).map(drop))?);
        }
        for _ in 0..CALLS {
            rmcp.push(time(&mut || bare.call("echo", &message).map(drop))?);
        }
    }
    let (wasm, rmcp) = (median(wasm), median(rmcp));
    let more = wasm.saturating_sub(rmcp);
    let call = Row {
        what: "WASM tool call, p50".into(),
        measured: format!("{wasm:.1?}"),
        yardstick: format!("{rmcp:.1?} bare rmcp echo"),
        verdict: format!("{more:.1?} more"),
        aim: "≤ 100 µs more".into(),
    };
    Ok(vec![call, ping_beside_loops(folder)?])
}

/// `ping` on a server on which four tools loop: each session asks from its own thread, since a looping call occupies its client.
fn ping_beside_loops(folder: &Path) -> Result<Row> {
    let mut client = Client::start(&mut server(folder, &folder.join("cache")))?;
    for id in 0..4 {
        client.send_only(&json!({"jsonrpc": "2.0", "id": format!("loop-{id}"), "method": "tools/call", "params": {"name": "loops", "arguments": {}}}))?;
    }
    std::thread::sleep(Duration::from_millis(300));
    let mut pings = Vec::new();
    for _ in 0..200 {
        let begun = Instant::now();
        client.request("ping", &json!({}))?;
        pings.push(begun.elapsed());
        std::thread::sleep(Duration::from_millis(5));
    }
    pings.sort_unstable();
    let p99 = pings[pings.len() * 99 / 100];
    Ok(Row {
        what: "ping beside four looping tools, p50 (p99)".into(),
        measured: format!("{:.1?} ({p99:.1?})", median(pings)),
        yardstick: String::new(),
        verdict: format!("{p99:.1?}"),
        aim: "≤ 5 ms".into(),
    })
}
