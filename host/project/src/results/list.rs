//! The runs of a project.

use std::path::Path;
use std::time::SystemTime;

use rookery_contract::options::RunListOptions;
use rookery_contract::shapes::{ListedRun, RunList};

use super::choose::numbered;
use super::directory::Results;
use super::status::{files, status};
use crate::ground::roots::Roots;
use crate::ground::time::rfc3339;
use crate::{Cancel, Result};

/// The result directories of a project, the newest first. Runs that cannot be opened are left out.
pub(crate) fn list(
    roots: &Roots,
    project: &Path,
    options: &RunListOptions,
    cancel: &Cancel,
) -> Result<RunList> {
    let runs: Vec<_> = numbered(roots, project)?.collect();
    let limit = options.limit.min(RunListOptions::MAX_RUNS) as usize;
    let mut listed = Vec::new();
    for (run, dir) in runs.iter().skip(options.offset as usize).take(limit) {
        cancel.check()?;
        listed.extend(about(roots, *run, dir).ok());
    }
    let shown = (options.offset as usize).saturating_add(limit);
    Ok(RunList {
        runs: listed,
        total: runs.len() as u64,
        truncated: runs.len() > shown,
    })
}

fn about(roots: &Roots, run: u64, dir: &Path) -> Result<ListedRun> {
    let results = Results::open(roots, dir.to_owned())?;
    let status = status(&results)?;
    let written = files(&results)?.into_iter().filter_map(|file| file.written);
    let written: Vec<SystemTime> = written.collect();
    let time = |time: Option<&SystemTime>| time.copied().map(rfc3339);
    Ok(ListedRun {
        run,
        state: status.state,
        started: time(written.iter().min()),
        written: time(written.iter().max()),
        files: status.files_total.unwrap_or(status.files.len()) as u64,
        results_dir: status.results_dir,
        run_id: status.run_id,
    })
}
