//! `run_wait`

use rookery_plugin::running::{USUAL_WAIT_S, wait};
use rookery_plugin::shapes::RunStatus;
use rookery_plugin::{Emulation, Result, plugin, tool};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
struct Args {
    /// From `run`
    run_id: String,
    /// Seconds to wait for its end
    #[serde(default = "usual_wait")]
    #[schemars(range(min = 0, max = 50))]
    wait_s: u32,
}

fn usual_wait() -> u32 {
    USUAL_WAIT_S
}

/// Wait for a run to end, or look at it. Gives `status` and `endpoints`. Next: again while running,
/// then `health`.
#[tool(
    read_only,
    idempotent,
    title = "Wait for a run",
    example(run_id = "run-7f3a", wait_s = 40)
)]
fn run_wait(host: &impl Emulation, args: Args) -> Result<RunStatus> {
    wait(host, &args.run_id, args.wait_s)
}

plugin!(run_wait);

#[cfg(test)]
mod tests {
    use rookery_plugin::Error;
    use rookery_plugin::testing::{FakeHost, call, check};
    use serde_json::json;

    use super::*;

    #[test]
    fn its_definition_is_sound() {
        check::<run_wait>();
    }

    #[test]
    fn a_run_without_results_is_diagnosed_by_its_project() {
        let host = FakeHost::new().answer(
            "emulation.wait",
            json!({ "run_id": "r1", "status": "failed", "project_dir": "/p", "elapsed_s": 0.1 }),
        );
        let answer = call::<run_wait>(&host, json!({ "run_id": "r1", "wait_s": 50 })).unwrap();
        assert_eq!(
            host.calls("emulation.wait"),
            [json!({ "run": "r1", "milliseconds": 50_000 })]
        );
        assert_eq!(
            answer["next"],
            json!({ "tool": "health", "arguments": { "project_dir": "/p" } })
        );
    }

    #[test]
    fn an_unknown_run_is_the_host_s_error() {
        let error = Error::NotFound("no run r9; there are r1".into());
        let host = FakeHost::new().fail("emulation.wait", error.clone());
        assert_eq!(
            call::<run_wait>(&host, json!({ "run_id": "r9" })),
            Err(error)
        );
    }

    #[test]
    fn an_answer_of_another_shape_is_an_error_and_no_panic() {
        let host = FakeHost::new().answer("emulation.wait", json!({ "state": "?" }));
        assert!(matches!(
            call::<run_wait>(&host, json!({ "run_id": "r1" })),
            Err(Error::Internal(_))
        ));
    }
}
