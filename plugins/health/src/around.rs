//! Why something took so long, or never came: the processes that led to it, with their times.

use std::fmt::Write as _;

use rookery_diagnosis::{Process, Timeline, cut, milliseconds, seconds};
use rookery_plugin::{CsvOptions, Result, RunResults, SearchOptions, optional};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// Steps that are told, the last before it.
const STEPS: usize = 20;
/// Milliseconds without a new program that are told of.
const GAP: i64 = 1000;
/// Bytes of a command line that are shown.
const COMMAND: usize = 80;

/// What led to a port, a program or a line of the console.
#[derive(Serialize, JsonSchema)]
pub struct Around {
    /// Milliseconds since init was started; none where it never came.
    #[serde(skip_serializing_if = "Option::is_none")]
    at_ms: Option<i64>,
    /// The processes from init to it.
    chain: Vec<String>,
    /// What was started before it, oldest first, the same again and again once; with the time that
    /// each took until the next where that was long.
    steps: Vec<String>,
}

/// `wanted` is a port, a program's name, or a regular expression for the console.
pub fn around(run: &impl RunResults, timeline: &Timeline, wanted: &str) -> Result<Around> {
    if let Some((pid, at)) = listener(run, wanted)? {
        let alive = |process: &Process| process.pid == pid && process.started <= at;
        return Ok(told(
            timeline,
            timeline.processes.iter().rposition(alive),
            Some(at),
        ));
    }
    let named = |process: &Process| process.executed.is_some() && process.name() == wanted;
    if let Some(index) = timeline.processes.iter().position(named) {
        let at = timeline.processes.get(index).map(|process| process.started);
        return Ok(told(timeline, Some(index), at));
    }
    Ok(told(timeline, None, line(run, wanted)?))
}

fn told(timeline: &Timeline, index: Option<usize>, at: Option<i64>) -> Around {
    let process = index.and_then(|index| timeline.processes.get(index));
    let mut chain: Vec<String> = index
        .map(|index| timeline.ancestors(index).map(step).collect())
        .unwrap_or_default();
    chain.reverse();
    chain.extend(process.map(step));
    Around {
        steps: steps(timeline, at.unwrap_or(timeline.over)),
        chain,
        at_ms: at,
    }
}

/// The process that first listened at a port, and when.
fn listener(run: &impl RunResults, port: &str) -> Result<Option<(i64, i64)>> {
    if port.parse::<u16>().is_err() {
        return Ok(None);
    }
    let only = Map::from_iter([("guest_port".to_owned(), json!([port]))]);
    let options = CsvOptions {
        only,
        limit: Some(1),
        ..CsvOptions::default()
    };
    let table = optional(run.read_csv("netbinds.csv", &options))?.unwrap_or_default();
    let row = table.rows.first();
    let cell = |name: &str| row?.get(name)?.as_str();
    let seconds = cell("time").and_then(|time| time.parse::<f64>().ok());
    let pid = cell("pid").and_then(|pid| pid.parse().ok());
    Ok(pid.zip(seconds.map(milliseconds)))
}

/// When the first line of the console that matches came.
fn line(run: &impl RunResults, pattern: &str) -> Result<Option<i64>> {
    let options = SearchOptions {
        from_end: false,
        ..SearchOptions::newest(1)
    };
    let found = optional(run.search("console.log", pattern, &options))?;
    let Some(line) = found.and_then(|found| Some(found.matches.first()?.line)) else {
        return Ok(None);
    };
    let times = optional(run.read_csv("console_times.csv", &CsvOptions::default()))?;
    let number =
        |row: &Map<String, Value>, name: &str| row.get(name)?.as_str()?.parse::<i64>().ok();
    let rows = times.map(|times| times.rows).unwrap_or_default();
    let line = i64::try_from(line).unwrap_or(i64::MAX);
    let before = rows
        .iter()
        .rev()
        .find(|row| number(row, "line").is_some_and(|first| first <= line));
    Ok(before.and_then(|row| number(row, "time_ms")))
}

fn step(process: &Process) -> String {
    let mut text = seconds(process.started);
    let command = process.argv.join(" ");
    let _ = write!(text, " {}", cut(&command, COMMAND));
    text
}

/// The programs that were started before a time, runs of the same folded, gaps told of.
fn steps(timeline: &Timeline, before: i64) -> Vec<String> {
    let executed = timeline
        .processes
        .iter()
        .filter(|process| process.executed.is_some());
    let started: Vec<&Process> = executed
        .filter(|process| process.started <= before)
        .collect();
    let mut told: Vec<(String, u64, &Process)> = Vec::new();
    for process in &started {
        match told.last_mut() {
            Some((_, times, last)) if last.argv == process.argv => *times += 1,
            _ => told.push((step(process), 1, process)),
        }
    }
    let nexts = told
        .iter()
        .skip(1)
        .map(|(_, _, next)| next.started)
        .chain([before]);
    let lines: Vec<String> = told
        .iter()
        .zip(nexts.collect::<Vec<_>>())
        .map(|((text, times, process), next)| {
            let again = if *times > 1 {
                format!(", {times} times")
            } else {
                String::new()
            };
            let took = next - process.started;
            if took >= GAP {
                format!("{text}{again}, then nothing new for {}", seconds(took))
            } else {
                format!("{text}{again}")
            }
        })
        .collect();
    // The last steps, and before them only what took long.
    let skipped = lines.len().saturating_sub(STEPS / 2);
    let (early, late) = lines.split_at(skipped);
    let slow = early
        .iter()
        .filter(|line| line.contains("then nothing new"));
    let slow: Vec<&String> = slow.rev().take(STEPS / 2).collect();
    slow.into_iter().rev().chain(late).cloned().collect()
}
