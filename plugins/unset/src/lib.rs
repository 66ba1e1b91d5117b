//! `unset`

use rookery_plugin::args::ChangeTarget;
use rookery_plugin::shapes::Change;
use rookery_plugin::{ConfigMutation, Result, change, plugin, tool};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
struct Args {
    #[serde(flatten)]
    target: ChangeTarget,
    /// `env.KEY`, `netdevs.eth1`, `blocked_signals.15`, `pseudofiles./dev/x.read`
    path: String,
}

/// Remove one key from the patch, to undo one change.
#[tool(
    destructive,
    idempotent,
    title = "Take out of the patch",
    example(project_dir = "fw", path = "env.sxid")
)]
fn unset(host: &impl ConfigMutation, args: Args) -> Result<Change> {
    host.remove(&args.target.project_dir, &args.path, args.target.dry_run)
        .map(change::finish)
}

plugin!(unset);

#[cfg(test)]
mod tests {
    use rookery_plugin::Error;
    use rookery_plugin::testing::{FakeHost, call, check};
    use serde_json::json;

    use super::*;

    #[test]
    fn its_definition_is_sound() {
        check::<unset>();
    }

    #[test]
    fn the_path_is_taken_out() {
        let host = FakeHost::new().answer(
            "config-mutation.remove",
            json!({ "project_dir": "/p", "changed": true, "patch": {} }),
        );
        let answer = call::<unset>(
            &host,
            json!({ "project_dir": "p", "path": "env.a.b", "dry_run": true }),
        )
        .unwrap();
        assert_eq!(
            host.calls("config-mutation.remove"),
            [json!({ "project": "p", "path": "env.a.b", "options": { "dry_run": true } })]
        );
        assert!(answer.get("patch").is_none(), "{answer}");
    }

    #[test]
    fn an_unknown_key_is_the_host_s_error() {
        let error = Error::NotFound("the patch holds env.a".into());
        let host = FakeHost::new().fail("config-mutation.remove", error.clone());
        assert_eq!(
            call::<unset>(&host, json!({ "project_dir": "p", "path": "env.b" })),
            Err(error)
        );
    }
}
