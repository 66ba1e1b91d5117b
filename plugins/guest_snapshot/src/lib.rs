//! `guest_snapshot`

use rookery_plugin::shapes::Snapshot;
use rookery_plugin::{Live, Result, SnapshotAction, SnapshotOptions, plugin, tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Deserialize, JsonSchema)]
struct Args {
    /// Run
    run_id: String,
    /// What to do
    op: Op,
    /// Else core.snapshot.tag
    tag: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Op {
    Save,
    Load,
    List,
}

#[derive(Default, Serialize, JsonSchema)]
struct Answered {
    run_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    snapshots: Option<Vec<Snapshot>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    can_save: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

/// Save the state of a guest that Penguin runs, go back to it, or list what was saved. The answer
/// comes before it is done.
#[tool(
    destructive,
    title = "Save and restore the guest",
    needs = "snapshot",
    example(run_id = "run-7f3a", op = "save", tag = "booted")
)]
fn guest_snapshot(host: &impl Live, args: Args) -> Result<Answered> {
    let run_id = args.run_id;
    let action = match args.op {
        Op::Save => SnapshotAction::Save,
        Op::Load => SnapshotAction::Load,
        Op::List => {
            let listed = host.snapshots(&run_id)?;
            return Ok(Answered {
                run_id,
                snapshots: Some(listed.snapshots),
                can_save: Some(listed.can_save),
                why: listed.why,
                ..Answered::default()
            });
        }
    };
    let request = SnapshotOptions {
        action,
        tag: args.tag,
    };
    let done = host.snapshot(&run_id, &request)?;
    Ok(Answered {
        run_id,
        tag: Some(done.tag),
        message: Some(done.message),
        notes: done.notes,
        ..Answered::default()
    })
}

plugin!(guest_snapshot);

#[cfg(test)]
mod tests {
    use rookery_plugin::testing::{FakeHost, call, check, definition};
    use serde_json::json;

    use super::*;

    #[test]
    fn its_definition_is_sound_and_says_what_it_needs() {
        check::<guest_snapshot>();
        let definition = definition::<guest_snapshot>();
        assert_eq!(definition["_meta"]["rookery/needs"], "snapshot");
        assert_eq!(definition["annotations"]["destructiveHint"], true);
    }

    #[test]
    fn a_guest_is_saved_and_its_snapshots_are_listed() {
        let saved = json!({ "tag": "warm", "message": "asked for", "notes": ["wait"] });
        let listed =
            json!({ "snapshots": [{ "tag": "warm", "loadable": true }], "can_save": true });
        let host = FakeHost::new()
            .answer("live.snapshot", saved)
            .answer("live.snapshots", listed);
        let arguments = json!({ "run_id": "r", "op": "save", "tag": "warm" });
        let answer = call::<guest_snapshot>(&host, arguments).unwrap();
        assert_eq!(
            (&answer["tag"], &answer["notes"]),
            (&json!("warm"), &json!(["wait"]))
        );
        let asked = &host.calls("live.snapshot")[0]["request"];
        assert_eq!(asked, &json!({ "action": "save", "tag": "warm" }));
        let answer = call::<guest_snapshot>(&host, json!({ "run_id": "r", "op": "list" })).unwrap();
        assert_eq!(answer["snapshots"][0]["loadable"], true);
    }
}
