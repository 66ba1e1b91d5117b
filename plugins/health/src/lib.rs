//! `health`

mod around;
mod findings;

use rookery_diagnosis::{Blocker, Comparison, Evidence, Record, Standing, compare};
use rookery_plugin::args::RunSelector;
use rookery_plugin::shapes::{ResultsState, ResultsStatus};
use rookery_plugin::{Answer, Firmware, Result, Results, RunResults, invalid, plugin, tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::around::Around;
use crate::findings::{Finding, findings};

#[derive(Deserialize, JsonSchema)]
struct Args {
    #[serde(flatten)]
    run: RunSelector,
    /// What is late: a port, program or console pattern
    #[schemars(length(min = 1))]
    around: Option<String>,
    /// Compare with this run of the project: its number, or `previous`
    #[schemars(length(min = 1))]
    with: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct Report {
    /// `completed`, `died`, `running` or `never-ran`.
    #[schemars(with = "String")]
    state: ResultsState,
    why: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backend: Option<String>,
    /// How the backend says that it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f64>,
    panic: bool,
    /// Sockets that were announced.
    #[serde(skip_serializing_if = "Option::is_none")]
    binds: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    crashes: Option<usize>,
    /// The counters of `health_final.yaml`.
    health: Map<String, Value>,
    /// Beside the run of `with`.
    #[serde(skip_serializing_if = "Option::is_none")]
    compared: Option<Comparison>,
    /// What led to `around`.
    #[serde(skip_serializing_if = "Option::is_none")]
    around: Option<Around>,
    /// What stands in the way, worst first, each with the calls that mend it.
    blockers: Vec<Blocker>,
    findings: Vec<Finding>,
    /// What the backend could not do, and which files are damaged; what the run before said, too,
    /// is left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    console_tail: Vec<String>,
    results_dir: String,
}

/// Say how a run went and what to do next; call it first after `run`. Gives `blockers`, worst
/// first: who is held up by what, with evidence and the calls that `fix` it; then `findings`.
/// `with` tells whether a change helped, `around` why a service is late.
#[tool(
    read_only,
    idempotent,
    title = "How the run went",
    example(project_dir = "fw")
)]
fn health(host: &(impl Results + Firmware), args: Args) -> Result<Answer<Report>> {
    Answer::from_result(look(host, &args))
}

fn look(host: &(impl Results + Firmware), args: &Args) -> Result<Report> {
    let run = host.open_results(&args.run)?;
    let evidence = Evidence::gather(host, &run, &args.run)?;
    let compared = match &args.with {
        Some(with) => {
            let other = RunSelector {
                project_dir: None,
                results_dir: Some(other_results(&evidence.status, with)?),
            };
            let then = host.open_results(&other)?;
            let then = Standing::of(&then, &Evidence::gather(host, &then, &other)?)?;
            Some(compare(&Standing::of(&run, &evidence)?, &then))
        }
        None => None,
    };
    let around = match (&args.around, &evidence.timeline) {
        (Some(wanted), Some(timeline)) => Some(around::around(&run, timeline, wanted)?),
        (Some(_), None) => {
            return Err(invalid(
                "this run recorded no events with their times, so nothing is known around anything",
            ));
        }
        (None, _) => None,
    };
    let notes = [new_notes(host, &evidence), evidence.damaged.clone()].concat();
    Ok(Report {
        findings: findings(&evidence),
        compared,
        around,
        blockers: evidence.blockers,
        state: evidence.status.state,
        why: evidence.status.why.unwrap_or_default(),
        run_id: evidence.record.run_id.or(evidence.status.run_id),
        backend: evidence.record.backend,
        outcome: evidence.record.outcome,
        score: evidence.score,
        panic: evidence.panicked,
        binds: evidence.sockets.map(|sockets| sockets.bound),
        crashes: evidence.crashes.map(|crashes| crashes.len()),
        health: evidence.counters,
        notes,
        console_tail: evidence.console_tail,
        results_dir: evidence.status.results_dir,
    })
}

/// The notes of the run that the run before it did not have.
fn new_notes(host: &impl Results, evidence: &Evidence) -> Vec<String> {
    let before = other_results(&evidence.status, "previous").and_then(|results_dir| {
        let run = host.open_results(&RunSelector {
            project_dir: None,
            results_dir: Some(results_dir),
        })?;
        Ok(Record::read(&run.read_yaml("rookery_run.json")?).notes)
    });
    // Where the run before left none, all are new.
    let before = before.unwrap_or_default();
    let notes = evidence.record.notes.iter();
    notes
        .filter(|note| !before.contains(note))
        .cloned()
        .collect()
}

/// The result directory of another run of the same project.
fn other_results(status: &ResultsStatus, with: &str) -> Result<String> {
    let unknown = || {
        invalid(format!(
            "`with` is the number of a run of this project, or `previous`, and {with:?} is neither"
        ))
    };
    let project = status.project_dir().ok_or_else(|| {
        invalid("this result directory is no project's, so it has no other run to compare with")
    })?;
    let number = match with {
        "previous" => status
            .run
            .and_then(|run| run.checked_sub(1))
            .ok_or_else(|| invalid("this is the project's first run"))?,
        number => number.parse().map_err(|_| unknown())?,
    };
    Ok(format!("{project}/results/{number}"))
}

plugin!(health);

#[cfg(test)]
mod tests;
