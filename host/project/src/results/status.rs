//! How a run ended, and which of a project's runs to look at.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::Results;
use crate::config::yaml::parse_result;
use crate::roots::Roots;
use crate::{Error, Result};

/// A run whose files changed within this time is taken to be running, where nothing else tells.
const QUIET: Duration = Duration::from_secs(15);
/// The most files that are listed.
const MAX_FILES: usize = 1000;
/// What both Penguin and Rookery write first: what runs, and as which process.
const RUNTIME: &str = "runtime.yaml";

/// A result directory, and what to say about the choice.
pub(super) struct Chosen {
    pub dir: PathBuf,
    pub note: Option<String>,
}

/// The newest completed run of a project, else the newest. Runs are the directories of `results` with a number for a name.
pub(super) fn choose(roots: &Roots, project: &Path) -> Result<Chosen> {
    let base = project.join("results");
    let never = || Error::Unavailable {
        what: "results".into(),
        why: format!("{} has not been run yet", project.display()),
        how_to_enable: "Run the project first".into(),
    };
    if !roots.contains(&base) {
        return Err(Error::Denied(format!(
            "{} leads out of the roots",
            base.display()
        )));
    }
    let mut runs: Vec<(u64, PathBuf)> = match std::fs::read_dir(&base) {
        Ok(entries) => entries
            .flatten()
            .filter_map(|entry| Some((number(entry.file_name().to_str()?)?, entry.path())))
            .filter(|(_, path)| path.is_dir() && roots.contains(path))
            .collect(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(Error::io("list", &base, &error)),
    };
    runs.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    let newest = runs.first().ok_or_else(never)?;
    let chosen = runs
        .iter()
        .find(|(_, dir)| completed(dir))
        .unwrap_or(newest);
    let mut note = (chosen.0 != newest.0).then(|| {
        format!(
            "run {} is newer but did not complete; give its results_dir to look at it",
            newest.0
        )
    });
    // Penguin points `latest` at a run before it checks the configuration.
    let latest = std::fs::read_link(base.join("latest")).ok();
    let refused = latest
        .as_ref()
        .and_then(|to| number(to.file_name()?.to_str()?))
        .filter(|n| *n > newest.0);
    if let Some(refused) = refused {
        note = Some(format!(
            "run {refused} left nothing: its configuration was probably refused"
        ));
    }
    let dir = chosen
        .1
        .canonicalize()
        .map_err(|e| Error::io("open", &chosen.1, &e))?;
    Ok(Chosen { dir, note })
}

fn number(name: &str) -> Option<u64> {
    if name.bytes().all(|b| b.is_ascii_digit()) {
        name.parse().ok()
    } else {
        None
    }
}

fn completed(dir: &Path) -> bool {
    [".ran", "summary.json"]
        .iter()
        .all(|f| dir.join(f).symlink_metadata().is_ok_and(|m| m.is_file()))
}

pub(super) fn status(results: &Results) -> Result<Value> {
    let mut files: Vec<(String, u64)> = Vec::new();
    let mut newest = SystemTime::UNIX_EPOCH;
    let entries =
        std::fs::read_dir(&results.dir).map_err(|e| Error::io("list", &results.dir, &e))?;
    for entry in entries.flatten() {
        let (Ok(name), Ok(meta)) = (entry.file_name().into_string(), entry.metadata()) else {
            continue;
        };
        if meta.is_file() {
            newest = newest.max(meta.modified().unwrap_or(SystemTime::UNIX_EPOCH));
            files.push((name, meta.len()));
        }
    }
    files.sort();
    let has = |name: &str| files.iter().any(|(file, _)| file == name);
    let runtime = runtime(results);
    let run_id = runtime
        .as_ref()
        .and_then(|r| r.get("run_id"))
        .and_then(Value::as_str);
    let (state, why) = if has(".ran") && has("summary.json") {
        ("completed", "the run ended and was summarised".to_owned())
    } else if files.is_empty() {
        (
            "never-ran",
            "the directory holds no files: the configuration was refused, or nothing ran here"
                .into(),
        )
    } else if alive(runtime.as_ref(), newest) {
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
    let why = match &results.note {
        Some(note) => format!("{why}. Note: {note}"),
        None => why,
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
        "run_id": run_id,
        "files": listed,
    });
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

/// The description of the run's process.
fn runtime(results: &Results) -> Option<Value> {
    let (file, bytes) = results.find_file(RUNTIME).ok()??;
    let text = std::io::read_to_string(std::io::Read::take(file, bytes.min(64 << 10))).ok()?;
    parse_result(&text).ok()
}

/// Whether the run goes on.
///
/// A run of Rookery names its supervisor (`run_id`, `pid`), which lives on this machine or does not. Penguin's process number is
/// one of its container's and tells nothing here; its files change all the time while it runs.
fn alive(runtime: Option<&Value>, newest: SystemTime) -> bool {
    let ours = runtime
        .filter(|r| r.get("run_id").is_some())
        .and_then(|r| r.get("pid")?.as_i64());
    match ours {
        Some(pid) => Path::new("/proc")
            .join(pid.to_string())
            .join("stat")
            .exists(),
        None => newest.elapsed().is_ok_and(|age| age < QUIET),
    }
}
