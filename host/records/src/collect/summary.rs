//! `.ran`, `scores.txt`, `score.txt` and `summary.json`: what a completed run amounts to.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::collect::Collectors;
use crate::collect::answers::Answers;
use crate::collect::collector::rounded;
use crate::collect::netbinds::{Bind, address};
use crate::file::{one_line, write_atomic};

/// Suggestions of each kind.
const SUGGESTIONS: usize = 20;

/// Write all four, `.ran` first: with it, the run counts as completed.
pub(super) fn write(collectors: &Collectors, wallclock_s: f64) -> io::Result<()> {
    let directory = &collectors.directory;
    write_atomic(&directory.join(".ran"), b"")?;
    let scores = scores(collectors);
    let mut text = "score_type,score\n".to_owned();
    for (name, score) in &scores {
        let _ = writeln!(text, "{name},{score}.00");
    }
    write_atomic(&directory.join("scores.txt"), text.as_bytes())?;
    let total: i64 = scores.iter().map(|(_, score)| score).sum();
    write_atomic(
        &directory.join("score.txt"),
        format!("{total}.00\n").as_bytes(),
    )?;
    let scores: Map<_, _> = scores
        .into_iter()
        .map(|(name, score)| (name.to_owned(), Value::from(score)))
        .collect();
    let binds: Vec<_> = collectors
        .netbinds
        .binds()
        .iter()
        .filter(|bind| bind.state() != "transient")
        .map(|one| bind(one, &collectors.answers))
        .collect();
    #[allow(clippy::cast_precision_loss, reason = "a score is a small number")]
    let score = total as f64;
    let summary = json!({
        "schema_version": 1,
        "score": score,
        "scores": scores,
        "binds": binds,
        "crashes": collectors.crashes.records(),
        "unmodeled_pseudofiles": collectors.pseudofiles.count(),
        "stalled_threads": null,
        "panic": collectors.console.panic,
        "wallclock_s": rounded(Duration::try_from_secs_f64(wallclock_s).unwrap_or_default()),
        "suggest": suggest(collectors),
    });
    let mut text = serde_json::to_string_pretty(&summary).map_err(io::Error::other)?;
    text.push('\n');
    write_atomic(&directory.join("summary.json"), text.as_bytes())
}

/// Changes that are sure to help, each a fragment of a configuration: interfaces that the guest
/// asked for and that do not exist, and devices whose users crashed. Penguin reserves the field.
fn suggest(collectors: &Collectors) -> Vec<Value> {
    let interfaces = collectors.interfaces.missing().iter().take(SUGGESTIONS);
    let interfaces = interfaces.map(|name| json!({ "netdevs": [name] }));
    let devices = collectors.pseudofiles.crashing(SUGGESTIONS);
    let devices = devices.map(|(path, model)| json!({ "pseudofiles": { path: model } }));
    interfaces.chain(devices).collect()
}

fn scores(collectors: &Collectors) -> Vec<(&'static str, i64)> {
    let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let (programs, sockets, devices) = collectors.health.counts();
    vec![
        ("execs", count(programs)),
        ("bound_sockets", count(sockets)),
        ("devices_accessed", count(devices)),
        ("processes_run", 0),
        ("modules_loaded", 0),
        ("blocks_covered", 0),
        ("script_lines_covered", 0),
        ("nopanic", i64::from(!collectors.console.panic)),
        ("blocked_signals", -count(collectors.blocked_signals)),
        ("crashes", -count(collectors.crashes.records().len())),
    ]
}

/// As Penguin has it, and what a TCP service said when it was asked.
fn bind(bind: &Bind, answers: &Answers) -> Value {
    let mut value = json!({
        "proc": one_line(&bind.procname),
        "proto": bind.proto,
        "ipvn": bind.ipvn(),
        "ip": address(bind.ip),
        "port": bind.port,
        "time": rounded(bind.first_open),
        "pid": bind.pid,
        "state": bind.state(),
        "closed_time": bind.closed.map(rounded),
    });
    if bind.proto == "tcp"
        && let Some(answers) = answers.of(bind.ip, bind.port)
    {
        value["answers"] = json!(answers);
    }
    value
}
