//! Which run is meant: people name it by its id, the beginning of that, or its project.

use anyhow::{Context, bail, ensure};
use rookery_contract::options::RunListOptions;
use rookery_contract::shapes::{ListedRun, RunStatus};
use rookery_project::{Cancel, Results, Roots};
use rookery_runs::Runs;

use crate::places::resolve;

/// Ids that are named where several could be meant.
const NAMED: usize = 5;

/// The run that `name` means: of a project the one under way, else its newest.
pub fn run(runs: &Runs, name: &str) -> anyhow::Result<RunStatus> {
    let all = runs.list();
    let short = |run: &&RunStatus| {
        let random = run.run_id.rsplit('-').next();
        run.run_id.starts_with(name) || random.is_some_and(|part| part.starts_with(name))
    };
    if let Some(run) = all.iter().find(|run| run.run_id == name) {
        return Ok(run.clone());
    }
    let dir = resolve(name.as_ref())?;
    let of_project =
        |run: &&RunStatus| run.project_dir.as_deref().map(AsRef::as_ref) == Some(&*dir);
    if let Some(run) = all.iter().find(of_project) {
        return Ok(run.clone());
    }
    ensure!(
        !name.is_empty(),
        "the run has no name; `rookery ps` lists the runs"
    );
    let meant: Vec<&RunStatus> = all.iter().filter(short).collect();
    match meant.as_slice() {
        [one] => Ok((*one).clone()),
        [] => bail!("there is no run {name:?}; `rookery ps --all` lists the runs"),
        several => {
            let ids = several.iter().take(NAMED).map(|run| run.run_id.as_str());
            bail!(
                "{name:?} could be any of {} runs: {}",
                several.len(),
                ids.collect::<Vec<_>>().join(", ")
            )
        }
    }
}

/// The results of a project's run: of its number or its id, else of the newest that is complete.
pub fn results(roots: &Roots, project: &str, run: Option<&str>) -> anyhow::Result<Results> {
    let Some(run) = run else {
        return Ok(roots.results(Some(project), None)?);
    };
    let options = RunListOptions {
        limit: RunListOptions::MAX_RUNS,
        ..RunListOptions::default()
    };
    let listed = roots.runs(project, &options, &Cancel::default())?.runs;
    let number = run.parse().ok();
    let is_meant = |one: &&ListedRun| one.run_id.as_deref() == Some(run) || Some(one.run) == number;
    let named = listed.iter().find(is_meant).with_context(|| {
        let newest = listed
            .first()
            .map_or("none".to_owned(), |one| one.run.to_string());
        format!("{project} has no run {run}; its newest is {newest}")
    })?;
    Ok(roots.results(None, Some(&named.results_dir))?)
}
