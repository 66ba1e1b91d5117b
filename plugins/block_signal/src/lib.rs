//! `block_signal`

use rookery_plugin::args::ChangeTarget;
use rookery_plugin::shapes::Change;
use rookery_plugin::{ConfigMutation, Result, change, plugin, tool};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize, JsonSchema)]
struct Args {
    #[serde(flatten)]
    target: ChangeTarget,
    /// Number: 6 ABRT, 9 KILL, 15 TERM
    #[schemars(range(min = 1, max = 64))]
    signum: u8,
}

/// Make a signal have no effect in the guest (`blocked_signals`), when something kills a service
/// that should live. Each takes a point off the score.
#[tool(
    idempotent,
    title = "Block signal",
    example(project_dir = "fw", signum = 15)
)]
fn block_signal(host: &impl ConfigMutation, args: Args) -> Result<Change> {
    change::apply(
        host,
        &args.target,
        json!({ "blocked_signals": [args.signum] }),
    )
}

plugin!(block_signal);

#[cfg(test)]
mod tests {
    use rookery_plugin::Error;
    use rookery_plugin::testing::{FakeHost, call, check, definition};

    use super::*;

    #[test]
    fn its_definition_is_sound_and_limits_the_number() {
        check::<block_signal>();
        let number = &definition::<block_signal>()["inputSchema"]["properties"]["signum"];
        assert_eq!(
            (&number["minimum"], &number["maximum"]),
            (&json!(1), &json!(64))
        );
    }

    #[test]
    fn the_number_is_added_to_the_list() {
        let host = FakeHost::new().answer(
            "config-mutation.apply",
            json!({ "changed": true, "patch": {} }),
        );
        call::<block_signal>(&host, json!({ "project_dir": "p", "signum": 15 })).unwrap();
        assert_eq!(
            host.calls("config-mutation.apply")[0]["fragment"],
            json!({ "blocked_signals": [15] })
        );
    }

    #[test]
    fn a_name_is_no_number() {
        let refused = call::<block_signal>(
            &FakeHost::new(),
            json!({ "project_dir": "p", "signum": "SIGTERM" }),
        );
        assert!(matches!(refused, Err(Error::InvalidArgument(_))));
    }
}
