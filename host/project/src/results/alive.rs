//! Whether a run that has not ended goes on.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::directory::Results;
use super::names;
use super::numbers::number;
use crate::ground::beneath::open_dir;
use crate::ground::regular;
use crate::ground::yaml::parse_result;
use crate::penguin::result_files::{CONFIG, PENGUIN_LOG, RUN_LOCK, RUNTIME};

/// A run of unknown origin of which a file changed within this time goes on.
const QUIET: Duration = Duration::from_secs(15);
/// Files that were all written within this time are a copy, not a run.
const COPIED: Duration = Duration::from_secs(2);
/// How long Penguin lets a run end after its timeout before it kills it.
const GRACE: Duration = Duration::from_secs(250);
/// A run without a timeout that was quiet for this long is over.
const FORGOTTEN: Duration = Duration::from_hours(6);

/// What can be known of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    GoesOn,
    Over,
    /// Nothing says that it ended, and nothing was written for this long.
    Unknown(Duration),
}

/// Whether the run goes on, and the run's id where Rookery started it.
pub(super) fn look(
    results: &Results,
    times: &Times,
    has: impl Fn(&str) -> bool,
) -> (Life, Option<String>) {
    if let Some((run_id, pid)) = record(results) {
        let lives = pid.is_some_and(|pid| is_supervisor(pid, &run_id));
        return (if lives { Life::GoesOn } else { Life::Over }, Some(run_id));
    }
    if let Some(run_id) = supervised(results) {
        return (Life::GoesOn, Some(run_id));
    }
    let life = if has(".ran") || has(PENGUIN_LOG) {
        Life::Over
    } else {
        times.life(|| timeout(results))
    };
    (life, None)
}

/// What Rookery notes of its own runs. Penguin's process number is one of its container's and tells
/// nothing here.
fn record(results: &Results) -> Option<(String, Option<u64>)> {
    let (file, _) = results.find_file(RUNTIME).ok()??;
    let text = std::io::read_to_string(std::io::Read::take(file, 64 << 10)).ok()?;
    let runtime = parse_result(&text).ok()?;
    Some((
        runtime.get("run_id")?.as_str()?.to_owned(),
        runtime.get("pid").and_then(Value::as_u64),
    ))
}

/// The run of ours that goes on in the project, if this is the project's newest: real Penguin notes
/// no run of ours.
fn supervised(results: &Results) -> Option<String> {
    let project = open_dir(results.project.as_ref()?).ok()?;
    let own = number(results.dir.file_name()?.to_str()?)?;
    let runs = names::newest_first(results.dir.parent()?).ok()?;
    if runs.first().is_some_and(|(newest, _)| *newest > own) {
        return None;
    }
    let lock = std::io::Read::take(regular::open_beneath(&project, RUN_LOCK).ok()?, 200);
    let run_id = std::io::read_to_string(lock).ok()?;
    let processes = std::fs::read_dir("/proc").ok()?;
    let mut pids = processes
        .flatten()
        .filter_map(|process| number(process.file_name().to_str()?));
    (run_id.starts_with("run-") && pids.any(|pid| is_supervisor(pid, &run_id))).then_some(run_id)
}

/// Whether a process is the supervisor of this very run; its number may long be another's.
fn is_supervisor(pid: u64, run_id: &str) -> bool {
    let Ok(line) = std::fs::read(format!("/proc/{pid}/cmdline")) else {
        return false;
    };
    let arguments: Vec<&[u8]> = line.split(|b| *b == 0).collect();
    arguments.windows(2).any(|pair| {
        matches!(pair, [b"supervise", spec]
            if Path::new(OsStr::from_bytes(spec)).iter().any(|part| part == run_id))
    })
}

/// `core.timeout` of the run.
fn timeout(results: &Results) -> Option<Duration> {
    let config = results.find_yaml(CONFIG).ok()??;
    let seconds = config.pointer("/core/timeout")?.as_u64()?;
    Some(Duration::from_secs(seconds))
}

/// When the files of a directory were written. A time in the future tells nothing.
pub(super) struct Times {
    now: SystemTime,
    ages: Vec<Duration>,
}

impl Times {
    pub(super) fn now() -> Self {
        Self {
            now: SystemTime::now(),
            ages: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, time: SystemTime) {
        self.ages.extend(self.now.duration_since(time));
    }

    /// What they say where nothing else does.
    fn life(&self, timeout: impl Fn() -> Option<Duration>) -> Life {
        let (Some(&newest), Some(&oldest)) = (self.ages.iter().min(), self.ages.iter().max())
        else {
            return Life::Over;
        };
        if oldest <= newest.saturating_add(COPIED) {
            return Life::Over;
        }
        if newest < QUIET {
            return Life::GoesOn;
        }
        let over = match timeout() {
            Some(timeout) => oldest > timeout.saturating_add(GRACE),
            None => newest > FORGOTTEN,
        };
        if over {
            Life::Over
        } else {
            Life::Unknown(newest)
        }
    }
}
