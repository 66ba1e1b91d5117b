//! `add_static_file`

mod spec;

use rookery_plugin::args::ChangeTarget;
use rookery_plugin::shapes::Change;
use rookery_plugin::{ConfigMutation, Result, change, fragment, plugin, tool};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use spec::Spec;

#[derive(Deserialize, JsonSchema)]
#[allow(clippy::doc_markdown)] // read by models, not by rustdoc
struct Args {
    #[serde(flatten)]
    target: ChangeTarget,
    /// Absolute guest path
    path: String,
    /// inline_file(contents), host_file(host_path), dir, symlink(target), dev(devtype, major,
    /// minor), delete, move(from), shim(target) or binary_patch(file_offset, hex_bytes)
    #[schemars(with = "Spec")]
    spec: Map<String, Value>,
}

/// Add, replace or remove a guest file (`static_files`): a missing configuration, a stub for a
/// program that hangs.
#[tool(
    destructive,
    idempotent,
    title = "Add or replace a guest file",
    example(
        project_dir = "fw",
        path = "/etc/board",
        spec = {"type": "inline_file", "contents": "rev2\n", "mode": "0644"}
    )
)]
fn add_static_file(host: &impl ConfigMutation, args: Args) -> Result<Change> {
    let file = fragment::static_file(&args.path, &spec::without_unused(args.spec));
    change::apply(host, &args.target, file)
}

plugin!(add_static_file);

#[cfg(test)]
mod tests {
    use rookery_plugin::testing::{FakeHost, call, check};
    use serde_json::json;

    use super::*;

    #[test]
    fn its_definition_is_sound() {
        check::<add_static_file>();
    }

    #[test]
    fn a_file_replaces_the_one_before() {
        let host = FakeHost::new().answer(
            "config-mutation.apply",
            json!({ "changed": true, "patch": {} }),
        );
        let spec = json!({ "type": "inline_file", "contents": "a", "mode": "0755" });
        let arguments = json!({ "project_dir": "p", "path": "/etc/x", "spec": spec });
        call::<add_static_file>(&host, arguments).unwrap();
        let asked = &host.calls("config-mutation.apply")[0];
        assert_eq!(
            asked["fragment"],
            json!({ "static_files": { "/etc/x": spec } })
        );
        assert_eq!(asked["options"]["replace"], json!(["static_files./etc/x"]));
    }

    #[test]
    fn empty_fields_of_another_type_are_left_out() {
        let host = FakeHost::new().answer(
            "config-mutation.apply",
            json!({ "changed": true, "patch": {} }),
        );
        for (given, sent) in [
            (
                json!({ "type": "dir", "contents": "", "major": 0, "minor": 0, "file_offset": 0 }),
                json!({ "type": "dir" }),
            ),
            (
                json!({ "type": "inline_file", "contents": "", "minor": 0 }),
                json!({ "type": "inline_file", "contents": "" }),
            ),
            (
                json!({ "type": "dev", "devtype": "char", "major": 0, "minor": 0 }),
                json!({ "type": "dev", "devtype": "char", "major": 0, "minor": 0 }),
            ),
        ] {
            let arguments = json!({ "project_dir": "p", "path": "/x", "spec": given });
            call::<add_static_file>(&host, arguments).unwrap();
            let asked = host.calls("config-mutation.apply").pop().unwrap();
            assert_eq!(asked["fragment"]["static_files"]["/x"], sent);
        }
    }
}
