//! How a run ended.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use super::alive::{self, Life, Times};
use super::{Results, files};
use crate::{Error, Result};

/// The most files that are listed.
const MAX_FILES: usize = 1000;
/// Written once a run is over and judged: any of them, as the older ones were all there was.
const OUTCOMES: [&str; 3] = ["summary.json", "score.txt", "scores.txt"];

/// Runs are numbered below this. A larger number is a name like any other: it was given by nobody who numbers runs.
const MAX_RUN: u64 = 1 << 53;

/// The number that a run's directory has for a name.
pub(super) fn number(name: &str) -> Option<u64> {
    let digits = name.bytes().all(|b| b.is_ascii_digit());
    let number = digits.then(|| name.parse().ok()).flatten();
    number.filter(|number| *number < MAX_RUN)
}

/// The number of the next run of a project, whose results have these `names`: the one after the highest, as Penguin has it. Where
/// somebody made the very highest, so that there is none, it is the one after the highest that leaves room.
pub fn next_run(names: impl IntoIterator<Item = String>) -> u64 {
    let taken: BTreeSet<u64> = names.into_iter().filter_map(|name| number(&name)).collect();
    let follows = |last: &u64| Some(*last + 1).filter(|n| *n < MAX_RUN && !taken.contains(n));
    taken.iter().rev().find_map(follows).unwrap_or(0)
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
    let mut times = Times::now();
    let entries =
        std::fs::read_dir(&results.dir).map_err(|e| Error::io("list", &results.dir, &e))?;
    for entry in entries.flatten() {
        let (Ok(name), Ok(meta)) = (entry.file_name().into_string(), entry.metadata()) else {
            continue;
        };
        if meta.is_file() {
            meta.modified().into_iter().for_each(|time| times.add(time));
            files.push((name, meta.len()));
        }
    }
    files.sort();
    let has = |name: &str| files.iter().any(|(file, _)| file == name);
    let (life, run_id) = alive::look(results, &times, has);
    let known = files.iter().any(|(file, _)| files::is_known(file));
    let (state, why) = if is_complete(has) {
        ("completed", "the run ended and was judged".to_owned())
    } else if life == Life::GoesOn && (known || run_id.is_some()) {
        (
            "running",
            "the run has not ended: what is only written at the end is missing".into(),
        )
    } else if files.is_empty() {
        (
            "never-ran",
            "the directory holds no files: the configuration was refused, nothing ran here, or Penguin still makes the disk image".into(),
        )
    } else if !known {
        (
            "never-ran",
            "none of its files is a run's: this is probably not a result directory".into(),
        )
    } else {
        (
            "died",
            format!(
                "{}; files that are only written at the end are missing. The end of console.log tells more",
                death(life, has(".ran"), has("console.log"))
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
        "run_id": run_id,
        "files": listed,
    });
    if let Some(newer) = &results.newer {
        status["note"] = newer.note().into();
        status["newer"] = newer.json();
    }
    if state == "died" && matches!(life, Life::Unknown(_)) {
        status["perhaps_running"] = true.into();
    }
    if total > MAX_FILES {
        status["files_total"] = total.into();
    }
    Ok(status)
}

fn death(life: Life, ran: bool, console: bool) -> String {
    let how = match (ran, console) {
        (true, _) => "the emulation ended, but its outcome was never summarised",
        (false, true) => "the run was killed or crashed before its end",
        (false, false) => {
            "the run ended before the guest's console opened: a plugin failed to load or the emulator did not start"
        }
    };
    match life {
        Life::Unknown(quiet) => format!(
            "{how}, or it goes on and is quiet: nothing was written for {} s, and nothing says that it ended",
            quiet.as_secs()
        ),
        _ => how.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_digits_are_the_name_of_a_run() {
        assert_eq!((number("12"), number("007")), (Some(12), Some(7)));
        for other in [
            "12x",
            "",
            "+5",
            "-1",
            "1_0",
            "\u{663}",
            "18446744073709551615",
            "18446744073709551616",
            "9007199254740992",
            &"9".repeat(255),
        ] {
            assert_eq!(number(other), None, "{other}");
        }
    }

    #[test]
    fn there_is_a_next_run_whatever_the_others_are_called() {
        let next = |names: &[&str]| next_run(names.iter().map(ToString::to_string));
        assert_eq!(next(&[]), 0);
        assert_eq!(next(&["0", "41", "7", "notes", "latest"]), 42);
        assert_eq!(next(&["007"]), 8);
        assert_eq!(next(&["18446744073709551615"]), 0);
        assert_eq!(next(&["3", "18446744073709551615", "-9"]), 4);
        let last = (MAX_RUN - 1).to_string();
        assert_eq!(next(&[&last]), 0);
        assert_eq!(next(&["0", "1", &last]), 2);
        assert_eq!(next(&["0", "1", "2", &last]), 3);
    }
}
