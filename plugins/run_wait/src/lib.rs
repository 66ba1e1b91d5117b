//! `run_wait`

use rookery_diagnosis::Judged;
use rookery_plugin::running::{USUAL_WAIT_S, Until, wait};
use rookery_plugin::{Emulation, Firmware, Result, Results, plugin, tool};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
struct Args {
    /// From `run`
    run_id: String,
    /// Seconds; more than 50 only with a progressToken
    #[serde(default = "usual_wait")]
    #[schemars(range(min = 0, max = 3600))]
    wait_s: u32,
    #[serde(flatten)]
    until: Until,
}

fn usual_wait() -> u32 {
    USUAL_WAIT_S
}

/// Wait for a run to end or for what `until` names. Gives `status`, `endpoints` with what each
/// answers, whether it was `met`, and at the end `compared` with the last run. Next:
/// again while running, then `health`.
#[tool(
    read_only,
    idempotent,
    title = "Wait for a run",
    example(run_id = "run-7f3a", wait_s = 40, until = "answers")
)]
fn run_wait(host: &(impl Emulation + Results + Firmware), args: Args) -> Result<Judged> {
    let status = wait(host, &args.run_id, args.wait_s, &args.until)?;
    Ok(Judged::of(host, status))
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
    fn what_is_waited_for_is_named_or_follows_from_its_value() {
        let status = json!({
            "run_id": "r1", "status": "running", "waited_for": "answers", "met": false,
        });
        for (arguments, condition) in [
            (json!({ "until": "answers" }), json!({ "until": "answers" })),
            (
                json!({ "port": 80 }),
                json!({ "until": "answers", "port": 80 }),
            ),
            (
                json!({ "until": "port", "port": 80 }),
                json!({ "until": "port", "port": 80 }),
            ),
            (
                json!({ "console": "login:" }),
                json!({ "until": "console", "pattern": "login:" }),
            ),
            (
                json!({ "quiet_s": 5 }),
                json!({ "until": "quiet", "quiet_s": 5 }),
            ),
        ] {
            let host = FakeHost::new().answer("emulation.wait-until", status.clone());
            let mut all = json!({ "run_id": "r1", "wait_s": 600 });
            all.as_object_mut()
                .unwrap()
                .extend(arguments.as_object().unwrap().clone());
            let answer = call::<run_wait>(&host, all).unwrap();
            assert_eq!(
                host.calls("emulation.wait-until"),
                [json!({ "run": "r1", "condition": condition, "milliseconds": 600_000 })]
            );
            let mut next = arguments;
            next["run_id"] = "r1".into();
            assert_eq!(
                answer["next"]["arguments"], next,
                "the same is waited for on"
            );
            assert_eq!(answer["met"], false);
        }
        let host = FakeHost::new().answer("emulation.wait-until", status);
        call::<run_wait>(&host, json!({ "run_id": "r1", "wait_s": 600 })).unwrap();
        let asked = &host.calls("emulation.wait-until")[0];
        assert_eq!(asked["condition"], json!({ "until": "exit" }));
    }

    #[test]
    fn the_last_answer_says_how_it_went() {
        let ended = json!({
            "run_id": "r1", "status": "finished", "results_dir": "/p/results/0",
            "reason": "the deadline of 60 s passed",
        });
        let host = FakeHost::new()
            .answer("emulation.wait", ended)
            .yaml("crashes.yaml", json!({ "crashes": [{ "count": 2 }] }));
        let answer = call::<run_wait>(&host, json!({ "run_id": "r1" })).unwrap();
        assert_eq!(
            answer["summary"],
            json!([
                "the deadline of 60 s passed",
                "fatal signals: 2, of 1 kinds"
            ])
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
