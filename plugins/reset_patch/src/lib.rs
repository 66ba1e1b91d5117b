//! `reset_patch`

use rookery_plugin::args::ChangeTarget;
use rookery_plugin::shapes::Change;
use rookery_plugin::{ConfigMutation, Result, change, plugin, tool};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
struct Args {
    #[serde(flatten)]
    target: ChangeTarget,
    /// Revision from `show_patch`; default: drop all changes
    to_revision: Option<u64>,
}

/// Drop all changes, or go back to an earlier revision, when an attempt made things worse. Can
/// itself be undone.
#[tool(
    destructive,
    idempotent,
    title = "Reset the patch",
    example(project_dir = "fw", to_revision = 3)
)]
fn reset_patch(host: &impl ConfigMutation, args: Args) -> Result<Change> {
    host.reset(
        &args.target.project_dir,
        args.to_revision,
        args.target.dry_run,
    )
    .map(change::finish)
}

plugin!(reset_patch);

#[cfg(test)]
mod tests {
    use rookery_plugin::Error;
    use rookery_plugin::testing::{FakeHost, call, check};
    use serde_json::json;

    use super::*;

    #[test]
    fn its_definition_is_sound() {
        check::<reset_patch>();
    }

    #[test]
    fn a_revision_is_passed_on_only_if_given() {
        let host = FakeHost::new().answer(
            "config-mutation.reset",
            json!({ "changed": true, "patch": {} }),
        );
        call::<reset_patch>(&host, json!({ "project_dir": "p" })).unwrap();
        call::<reset_patch>(&host, json!({ "project_dir": "p", "to_revision": 0 })).unwrap();
        let options: Vec<_> = host
            .calls("config-mutation.reset")
            .into_iter()
            .map(|call| call["options"].clone())
            .collect();
        assert_eq!(
            options,
            [
                json!({ "dry_run": false }),
                json!({ "dry_run": false, "to_revision": 0 })
            ]
        );
    }

    #[test]
    fn a_revision_is_a_number() {
        let refused = call::<reset_patch>(
            &FakeHost::new(),
            json!({ "project_dir": "p", "to_revision": -1 }),
        );
        assert!(matches!(refused, Err(Error::InvalidArgument(_))));
    }
}
