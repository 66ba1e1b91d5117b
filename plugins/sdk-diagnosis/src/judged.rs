//! A run's status, and at its end how it did beside the project's run before it.

use rookery_plugin::args::RunSelector;
use rookery_plugin::shapes::{ResultsState, RunStatus};
use rookery_plugin::{Firmware, Result, Results, RunResults};
use schemars::JsonSchema;
use serde::Serialize;

use crate::comparison::{Comparison, Standing, compare};
use crate::evidence::Evidence;

/// Runs that left nothing to compare with, and are passed over.
const PASSED_OVER: usize = 5;

/// The answer of a tool that waits for a run.
#[derive(Serialize, JsonSchema)]
pub struct Judged {
    /// Once it has ended, beside the run before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compared: Option<Comparison>,
    /// How it is.
    #[serde(flatten)]
    pub status: RunStatus,
}

impl Judged {
    /// Compare a run that has ended. What cannot be compared is no reason to lose its status.
    pub fn of(host: &(impl Results + Firmware), status: RunStatus) -> Self {
        let compared = (!status.is_running()).then(|| beside_last(host, &status));
        Self {
            compared: compared.flatten().map(Comparison::in_short),
            status,
        }
    }
}

fn beside_last(host: &(impl Results + Firmware), status: &RunStatus) -> Option<Comparison> {
    let (all, number) = status.results_dir.as_deref()?.rsplit_once('/')?;
    let number: u64 = number.parse().ok()?;
    let mut earlier = (0..number).rev().take(PASSED_OVER);
    let now = standing(host, &format!("{all}/{number}")).ok()??;
    let then = earlier.find_map(|number| standing(host, &format!("{all}/{number}")).ok()?)?;
    Some(compare(&now, &then))
}

/// None of a run that did not get to its end: what it lacks says nothing.
fn standing(host: &(impl Results + Firmware), results_dir: &str) -> Result<Option<Standing>> {
    let which = RunSelector {
        project_dir: None,
        results_dir: Some(results_dir.to_owned()),
    };
    let run = host.open_results(&which)?;
    if run.status()?.state != ResultsState::Completed {
        return Ok(None);
    }
    let evidence = Evidence::gather(host, &run, &which)?;
    Standing::of(&run, &evidence).map(Some)
}

#[cfg(test)]
mod tests {
    use rookery_plugin::testing::FakeHost;
    use serde_json::{Value, json};

    use super::*;

    fn status(state: &str, results_dir: &str) -> RunStatus {
        let status = json!({ "run_id": "r", "status": state, "results_dir": results_dir });
        serde_json::from_value(status).unwrap()
    }

    fn judged(host: &FakeHost, status: RunStatus) -> Value {
        serde_json::to_value(Judged::of(host, status)).unwrap()
    }

    #[test]
    fn a_run_that_did_as_the_last_is_told_in_short() {
        let listens = "procname,domain,guest_port,state\nhttpd,tcp,80,listening\n";
        let host = FakeHost::new().text("netbinds.csv", listens);
        let answer = judged(&host, status("finished", "/p/results/3"));
        let compared = &answer["compared"];
        assert_eq!(compared["verdict"], "same");
        assert!(compared.to_string().len() <= 300, "{compared}");
        let opened = host.calls("results.open");
        assert_eq!(opened[1]["results_dir"], "/p/results/2", "{opened:?}");
    }

    #[test]
    fn a_run_without_another_or_without_an_end_is_not_compared() {
        let host = FakeHost::new();
        for (state, results_dir) in [
            ("finished", "/p/results/0"),
            ("running", "/p/results/3"),
            ("finished", "/p/collected"),
        ] {
            let answer = judged(&host, status(state, results_dir));
            assert_eq!(answer.get("compared"), None, "{answer}");
            assert_eq!(answer["run_id"], "r", "nothing of the status is lost");
        }
        let died = FakeHost::new().state(ResultsState::Died, "no .ran");
        let answer = judged(&died, status("failed", "/p/results/3"));
        assert_eq!(answer.get("compared"), None, "{answer}");
    }
}
