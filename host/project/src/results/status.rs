//! How a run ended.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::{Results, files};
use crate::config::yaml::parse_result;
use crate::{Error, Result};

/// A run of unknown origin whose console changed within this time may be running.
const QUIET: Duration = Duration::from_secs(15);
/// Files that were all written within this time are a copy, not a run.
const COPIED: Duration = Duration::from_secs(2);
/// The most files that are listed.
const MAX_FILES: usize = 1000;
/// What both Penguin and Rookery write first: what runs, and as which process.
const RUNTIME: &str = "runtime.yaml";
/// Written once a run is over and judged: any of them, as the older ones were all there was.
const OUTCOMES: [&str; 3] = ["summary.json", "score.txt", "scores.txt"];

/// The number that a run's directory has for a name.
pub(super) fn number(name: &str) -> Option<u64> {
    if name.bytes().all(|b| b.is_ascii_digit()) {
        name.parse().ok()
    } else {
        None
    }
}

pub(super) fn completed(dir: &Path) -> bool {
    is_complete(|file| {
        dir.join(file)
            .symlink_metadata()
            .is_ok_and(|meta| meta.is_file())
    })
}

fn is_complete(has: impl Fn(&str) -> bool) -> bool {
    has(".ran") && OUTCOMES.iter().any(|file| has(file))
}

pub(super) fn status(results: &Results) -> Result<Value> {
    let mut files: Vec<(String, u64)> = Vec::new();
    let mut times = Times::default();
    let entries =
        std::fs::read_dir(&results.dir).map_err(|e| Error::io("list", &results.dir, &e))?;
    for entry in entries.flatten() {
        let (Ok(name), Ok(meta)) = (entry.file_name().into_string(), entry.metadata()) else {
            continue;
        };
        if meta.is_file() {
            times.add(&name, meta.modified().ok());
            files.push((name, meta.len()));
        }
    }
    files.sort();
    let has = |name: &str| files.iter().any(|(file, _)| file == name);
    let record = record(results);
    let (state, why) = if is_complete(has) {
        ("completed", "the run ended and was judged".to_owned())
    } else if files.is_empty() {
        (
            "never-ran",
            "the directory holds no files: the configuration was refused, or nothing ran here"
                .into(),
        )
    } else if !files.iter().any(|(file, _)| files::is_known(file)) {
        (
            "never-ran",
            "none of its files is a run's: this is probably not a result directory".into(),
        )
    } else if goes_on(record.as_ref(), &times) {
        ("running", "the run has not ended: files are still being written, and what is only written at the end is missing".into())
    } else {
        (
            "died",
            format!(
                "{}; files that are only written at the end are missing. The end of console.log tells more",
                death(has(".ran"), has("console.log"))
            ),
        )
    };
    let run = results
        .dir
        .file_name()
        .and_then(|name| number(name.to_str()?));
    let total = files.len();
    let listed: Vec<Value> = files
        .into_iter()
        .take(MAX_FILES)
        .map(|(name, bytes)| json!({ "name": name, "bytes": bytes }))
        .collect();
    let mut status = json!({
        "results_dir": results.dir,
        "run": run,
        "state": state,
        "why": why,
        "run_id": record.map(|record| record.run_id),
        "files": listed,
    });
    if let Some(note) = &results.note {
        status["note"] = note.as_str().into();
    }
    if total > MAX_FILES {
        status["files_total"] = total.into();
    }
    Ok(status)
}

fn death(ran: bool, console: bool) -> &'static str {
    match (ran, console) {
        (true, _) => "the emulation ended, but its outcome was never summarised",
        (false, true) => "the run was killed or crashed before its end",
        (false, false) => {
            "the run ended before the guest's console opened: a plugin failed to load or the emulator did not start"
        }
    }
}

/// What Rookery notes of its own runs. Penguin's process number is one of its container's and tells nothing here.
struct Record {
    run_id: String,
    pid: Option<u64>,
}

fn record(results: &Results) -> Option<Record> {
    let (file, bytes) = results.find_file(RUNTIME).ok()??;
    let text = std::io::read_to_string(std::io::Read::take(file, bytes.min(64 << 10))).ok()?;
    let runtime = parse_result(&text).ok()?;
    Some(Record {
        run_id: runtime.get("run_id")?.as_str()?.to_owned(),
        pid: runtime.get("pid").and_then(Value::as_u64),
    })
}

/// Whether the run goes on: its supervisor lives, or where nobody noted one, its files look like it.
fn goes_on(record: Option<&Record>, times: &Times) -> bool {
    match record {
        Some(record) => record
            .pid
            .is_some_and(|pid| is_supervisor(pid, &record.run_id)),
        None => times.look_alive(),
    }
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

/// When the files of a directory were written.
#[derive(Default)]
struct Times {
    console: Option<SystemTime>,
    first: Option<SystemTime>,
    last: Option<SystemTime>,
}

impl Times {
    fn add(&mut self, name: &str, time: Option<SystemTime>) {
        let Some(time) = time else { return };
        if name == "console.log" {
            self.console = Some(time);
        }
        self.first = Some(self.first.map_or(time, |first| first.min(time)));
        self.last = self.last.max(Some(time));
    }

    /// The console grows, and not all files came at once. A time in the future tells nothing.
    fn look_alive(&self) -> bool {
        let spread = self
            .last
            .zip(self.first)
            .and_then(|(l, f)| l.duration_since(f).ok());
        let age = self.console.and_then(|time| time.elapsed().ok());
        age.is_some_and(|age| age < QUIET) && spread.is_some_and(|spread| spread > COPIED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_digits_are_the_name_of_a_run() {
        assert_eq!(
            (number("12"), number("12x"), number("")),
            (Some(12), None, None)
        );
    }
}
