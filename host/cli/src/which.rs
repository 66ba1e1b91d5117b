//! Which run is meant: people name it by its id, the beginning of that, or its project.

use anyhow::{bail, ensure};
use rookery_contract::shapes::RunStatus;
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
