//! `run_stop`

use rookery_plugin::running::finish;
use rookery_plugin::shapes::RunStatus;
use rookery_plugin::{Emulation, Result, plugin, tool};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
struct Args {
    /// From `run`
    run_id: String,
}

/// Stop a run early and keep its results. Gives its last `status`. Next: `run_wait` while `phase`
/// is `stopping`, then `health`.
#[tool(idempotent, title = "Stop a run", example(run_id = "run-7f3a"))]
fn run_stop(host: &impl Emulation, args: Args) -> Result<RunStatus> {
    host.stop(&args.run_id).map(finish)
}

plugin!(run_stop);

#[cfg(test)]
mod tests {
    use rookery_plugin::Error;
    use rookery_plugin::testing::{FakeHost, call, check};
    use serde_json::json;

    use super::*;

    #[test]
    fn its_definition_is_sound() {
        check::<run_stop>();
    }

    #[test]
    fn a_stopped_run_keeps_its_results() {
        let host = FakeHost::new().answer(
            "emulation.stop",
            json!({ "run_id": "r1", "status": "stopped", "results_dir": "/p/results/2" }),
        );
        let answer = call::<run_stop>(&host, json!({ "run_id": "r1" })).unwrap();
        assert_eq!(
            (
                &answer["status"],
                &answer["next"]["arguments"]["results_dir"]
            ),
            (&json!("stopped"), &json!("/p/results/2"))
        );
    }

    #[test]
    fn a_run_that_takes_long_to_stop_is_waited_for_next() {
        let host = FakeHost::new().answer(
            "emulation.stop",
            json!({ "run_id": "r1", "status": "running", "phase": "stopping" }),
        );
        let answer = call::<run_stop>(&host, json!({ "run_id": "r1" })).unwrap();
        assert_eq!(answer["phase"], "stopping");
        assert_eq!(
            answer["next"],
            json!({ "tool": "run_wait", "arguments": { "run_id": "r1" } })
        );
    }

    #[test]
    fn an_unknown_run_is_the_host_s_error() {
        let error = Error::NotFound("no run r9".into());
        assert_eq!(
            call::<run_stop>(
                &FakeHost::new().fail("emulation.stop", error.clone()),
                json!({ "run_id": "r9" })
            ),
            Err(error)
        );
    }
}
