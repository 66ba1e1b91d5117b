//! How a run ended.

use std::path::Path;
use std::time::SystemTime;

use rookery_contract::shapes::{ResultFile, ResultsState, ResultsStatus};

use super::alive::{self, Life, Times};
use super::directory::Results;
use super::newer::Newer;
use super::numbers::number;
use crate::penguin::result_files::{self, REPORT};
use crate::{Error, Result};

/// The most files that are listed.
const MAX_FILES: usize = 1000;
/// Written once a run is over and judged: any of them, as the older ones were all there was.
const OUTCOMES: [&str; 3] = ["summary.json", "score.txt", "scores.txt"];

/// Written when the guest's init is started.
const INIT: &str = "igloo_init.ready";

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

pub(super) fn status(results: &Results) -> Result<ResultsStatus> {
    let mut times = Times::now();
    let files = files(results)?;
    for written in files.iter().filter_map(|file| file.written) {
        times.add(written);
    }
    let has = |name: &str| files.iter().any(|file| file.name == name);
    let (life, run_id) = alive::look(results, &times, has);
    let known = files.iter().any(|file| result_files::is_known(&file.name));
    let (state, why) = if is_complete(has) {
        (
            ResultsState::Completed,
            "the run ended and was judged".to_owned(),
        )
    } else if life == Life::GoesOn && (known || run_id.is_some()) {
        (
            ResultsState::Running,
            "the run has not ended: files that are only written at the end are missing".into(),
        )
    } else if files.is_empty() {
        (
            ResultsState::NeverRan,
            "the directory holds no files: the configuration was refused, nothing ran here, or \
             Penguin is still making the disk image"
                .into(),
        )
    } else if !known {
        (
            ResultsState::NeverRan,
            "it holds no file that a run writes: this is probably not a result directory".into(),
        )
    } else {
        (
            ResultsState::Died,
            format!(
                "{}; files that are only written at the end are missing. The end of console.log \
                 tells more",
                death(life, has(".ran"), has("console.log"))
            ),
        )
    };
    let guest_s = (state == ResultsState::Running)
        .then(|| since_init(&files))
        .flatten();
    let run = results
        .dir
        .file_name()
        .and_then(|name| number(name.to_str()?));
    let total = files.len();
    let files = files
        .into_iter()
        .take(MAX_FILES)
        .map(|File { name, bytes, .. }| ResultFile { name, bytes })
        .collect();
    Ok(ResultsStatus {
        results_dir: results.dir.to_string_lossy().into_owned(),
        run,
        why: Some(why),
        note: results.newer.as_ref().map(Newer::note),
        newer: results.newer.as_ref().map(Newer::told),
        perhaps_running: state == ResultsState::Died && matches!(life, Life::Unknown(_)),
        state,
        run_id,
        guest_s,
        files,
        files_total: (total > MAX_FILES).then_some(total),
    })
}

/// How long the guest has been there: its init was told of once, when it was started.
fn since_init(files: &[File]) -> Option<f64> {
    let told = files.iter().find(|file| file.name == INIT)?.written?;
    Some(told.elapsed().ok()?.as_secs_f64())
}

/// A file of a result directory.
pub(super) struct File {
    pub name: String,
    pub bytes: u64,
    /// When it was last written, where that is known.
    pub written: Option<SystemTime>,
}

/// The files of a result directory, by name.
pub(super) fn files(results: &Results) -> Result<Vec<File>> {
    let entries =
        std::fs::read_dir(&results.dir).map_err(|e| Error::io("list", &results.dir, &e))?;
    let mut files = Vec::new();
    for entry in entries.flatten() {
        let (Ok(name), Ok(meta)) = (entry.file_name().into_string(), entry.metadata()) else {
            continue;
        };
        if meta.is_file() {
            // Whoever looks at a run does not prolong its life.
            let written = meta.modified().ok().filter(|_| name != REPORT);
            files.push(File {
                name,
                bytes: meta.len(),
                written,
            });
        }
    }
    files.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(files)
}

fn death(life: Life, ran: bool, console: bool) -> String {
    let how = match (ran, console) {
        (true, _) => "the emulation ended, but its outcome was never summarised",
        (false, true) => "the run was killed or crashed before its end",
        (false, false) => {
            "the run ended before the guest's console opened: a plugin failed to load or the \
             emulator did not start"
        }
    };
    match life {
        Life::Unknown(quiet) => format!(
            "{how}, or it is still running without output: nothing was written for {} s, and \
             nothing says that it ended",
            quiet.as_secs()
        ),
        _ => how.to_owned(),
    }
}
