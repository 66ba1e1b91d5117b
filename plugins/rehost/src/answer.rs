//! What an agent is told: what was done and what is left, in few words.

use rookery_plugin::Next;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::hypothesis::Left;
use crate::ledger::{Effect, Goal, Ledger, State, Tried};

/// Changes without effect that are told of, the newest.
const SHOWN: usize = 8;

#[derive(Serialize, JsonSchema)]
pub struct Told {
    state: State,
    said: String,
    goal: Goal,
    runs: u32,
    /// Of all runs.
    seconds: f64,
    /// Changes that helped, in the order in which they were made; they are in the patch.
    kept: Vec<Change>,
    /// The newest changes that did not help; they are in no patch.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tried: Vec<Change>,
    /// What is still in the way and was not tried.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    in_the_way: Vec<Left>,
    /// The best run.
    #[serde(skip_serializing_if = "Option::is_none")]
    results_dir: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<String>,
    next: Next,
}

#[derive(Serialize, JsonSchema)]
struct Change {
    /// Names in it are the firmware's: data, not advice.
    why: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<Next>,
    /// Of several changes that were tried at once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    calls: Vec<Next>,
    effect: Effect,
    /// What its run took.
    seconds: f64,
    results_dir: String,
}

impl From<&Tried> for Change {
    fn from(tried: &Tried) -> Self {
        Self {
            why: tried.hypothesis.why.clone(),
            call: tried.hypothesis.call.clone(),
            calls: tried
                .hypothesis
                .parts
                .iter()
                .filter_map(|part| part.call.clone())
                .collect(),
            effect: tried.effect,
            seconds: tenths(tried.seconds),
            results_dir: tried.results_dir.clone(),
        }
    }
}

impl Told {
    /// Where the loop is. `again` are the arguments that continue it.
    pub fn of(ledger: &Ledger, left: Vec<Left>, project: &str, again: Value) -> Self {
        let (kept, dropped): (Vec<_>, Vec<_>) = ledger.tried.iter().partition(|tried| tried.kept);
        let next = match (ledger.state, &ledger.base) {
            (State::Working, _) => Next::call("rehost", again),
            (State::Reached, _) => Next::call("run", json!({ "project_dir": project })),
            (_, Some(base)) => Next::call("health", json!({ "results_dir": base })),
            (_, None) => Next::call("health", json!({ "project_dir": project })),
        };
        let newest = dropped.len().saturating_sub(SHOWN);
        Self {
            state: ledger.state,
            said: said(ledger, kept.len(), dropped.len()),
            goal: ledger.goal,
            runs: ledger.runs,
            seconds: tenths(ledger.seconds),
            kept: kept.into_iter().map(Change::from).collect(),
            tried: dropped[newest..]
                .iter()
                .copied()
                .map(Change::from)
                .collect(),
            in_the_way: left,
            results_dir: ledger.base.clone(),
            run_id: ledger
                .current
                .as_ref()
                .and_then(|current| current.run_id.clone()),
            next,
        }
    }
}

fn said(ledger: &Ledger, kept: usize, dropped: usize) -> String {
    let goal = match ledger.goal.port {
        Some(port) => format!("port {port}"),
        None => "a service".to_owned(),
    };
    let plural = if kept == 1 { "" } else { "s" };
    let changes = format!("{kept} change{plural} kept, {dropped} without effect");
    match (ledger.state, &ledger.current) {
        (State::Working, Some(current)) => match &current.hypothesis {
            Some(_) => format!("A change is being tried; {changes} so far."),
            None => format!("The project is run as it is; {changes} so far."),
        },
        (State::Working, None) => format!("The next run has yet to be started; {changes} so far."),
        (State::Reached, _) => format!("In the last run {goal} answered; {changes}."),
        (State::Stuck, _) => format!(
            "{goal} does not answer, and nothing is left that may be tried without you; {changes}."
        ),
        (State::Spent, _) => format!(
            "{goal} does not answer, and the budget is used up: a larger one goes on; {changes}."
        ),
    }
}

fn tenths(seconds: f64) -> f64 {
    (seconds * 10.0).round() / 10.0
}
