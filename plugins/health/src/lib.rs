//! `health`

mod blockers;
mod evidence;
mod files;
mod findings;
mod panic;
mod shapes;
mod timeline;

use rookery_plugin::args::RunSelector;
use rookery_plugin::shapes::ResultsState;
use rookery_plugin::{Answer, Firmware, Result, Results, plugin, tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::blockers::Blocker;
use crate::evidence::Evidence;
use crate::findings::{Finding, findings};

#[derive(Deserialize, JsonSchema)]
struct Args {
    #[serde(flatten)]
    run: RunSelector,
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
    /// What stands in the way, worst first, each with the calls that mend it.
    blockers: Vec<Blocker>,
    findings: Vec<Finding>,
    /// What the backend could not do, and which files are damaged.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    console_tail: Vec<String>,
    results_dir: String,
}

/// Say how a run went and what to do next; call it first after `run`. Gives `state`, `score`,
/// `panic`, `health` counters, `notes` on what the backend cannot do, and `findings`, worst first,
/// each with the `next` call.
#[tool(
    read_only,
    idempotent,
    title = "How the run went",
    example(project_dir = "fw")
)]
fn health(host: &(impl Results + Firmware), args: Args) -> Result<Answer<Report>> {
    Answer::from_result(look(host, &args.run))
}

fn look(host: &(impl Results + Firmware), which: &RunSelector) -> Result<Report> {
    let evidence = Evidence::gather(host, which)?;
    Ok(Report {
        findings: findings(&evidence),
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
        notes: [evidence.record.notes, evidence.damaged].concat(),
        console_tail: evidence.console_tail,
        results_dir: evidence.status.results_dir,
    })
}

plugin!(health);

#[cfg(test)]
mod tests;
