//! `make bench`: what Rookery costs, as ratios to a yardstick that is measured beside it in the
//! same run.
//!
//! Single times on a shared machine say little; each row is a median, and yardstick and subject
//! take turns. Arguments name the sections to measure, all of them without any.

mod boot;
mod calls;
mod client;
mod data;
mod database;
mod growth;
mod guests;
mod languages;
mod logs;
mod plain;
mod start;
mod supervised;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;
use rookery_tests::places;

/// One measured promise.
pub struct Row {
    what: String,
    measured: String,
    yardstick: String,
    verdict: String,
    aim: String,
}

/// Measures in a folder of its own.
type Section = fn(&Path) -> Result<Vec<Row>>;

fn main() -> Result<()> {
    let folder = tempfile::Builder::new()
        .prefix("rookery-bench-")
        .tempdir()?;
    println!("| what | measured | yardstick | result | aim |\n|---|---|---|---|---|");
    let sections: [(&str, Section); 10] = [
        ("calls", calls::measure),
        ("hostile", calls::measure_beside_hostile),
        ("start", start::measure),
        ("logs", logs::measure),
        ("database", database::measure),
        ("growth", growth::measure),
        ("boot", boot::measure),
        ("supervised", supervised::measure),
        ("guests", guests::measure),
        ("languages", languages::measure),
    ];
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    for (name, section) in sections {
        if !wanted.is_empty() && !wanted.iter().any(|word| word == name) {
            continue;
        }
        for row in section(folder.path())? {
            println!(
                "| {} | {} | {} | **{}** | {} |",
                row.what, row.measured, row.yardstick, row.verdict, row.aim
            );
        }
    }
    Ok(())
}

/// `rookery serve` for `root`, with the built-in and the test tools, and its state in `root`.
fn server(root: &Path, cache: &Path) -> Command {
    let dist = places::dist();
    let mut command = Command::new(dist.join("rookery"));
    command
        .arg("serve")
        .arg("--root")
        .arg(root)
        .arg("--plugins")
        .arg(dist.join("plugins"));
    command
        .arg("--plugins")
        .arg(dist.join("test-plugins"))
        .arg("--cache-dir")
        .arg(cache)
        .arg("--state-dir")
        .arg(root.join("state"));
    command
}

/// Take turns, and give the median time of each.
fn side_by_side(
    rounds: usize,
    mut subject: impl FnMut() -> Result<()>,
    mut yardstick: impl FnMut() -> Result<()>,
) -> Result<(Duration, Duration)> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    // One round unmeasured, so that both find a warm page cache.
    subject()?;
    yardstick()?;
    for _ in 0..rounds {
        ours.push(time(&mut subject)?);
        theirs.push(time(&mut yardstick)?);
    }
    Ok((median(ours), median(theirs)))
}

fn time(work: &mut impl FnMut() -> Result<()>) -> Result<Duration> {
    let begun = Instant::now();
    work()?;
    Ok(begun.elapsed())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// A row that compares two medians.
fn ratio(what: &str, ours: Duration, yardstick: (&str, Duration), aim: f64) -> Row {
    Row {
        what: what.into(),
        measured: format!("{ours:.1?}"),
        yardstick: format!("{:.1?} {}", yardstick.1, yardstick.0),
        verdict: format!("{:.2}×", ours.as_secs_f64() / yardstick.1.as_secs_f64()),
        aim: format!("≤ {aim}×"),
    }
}
