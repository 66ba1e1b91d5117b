//! `add_static_file`

mod spec;

use rookery_plugin::args::ChangeTarget;
use rookery_plugin::shapes::Change;
use rookery_plugin::{ConfigMutation, Result, change, plugin, tool};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

#[derive(Deserialize, JsonSchema)]
#[allow(clippy::doc_markdown)] // read by models, not by rustdoc
struct Args {
    #[serde(flatten)]
    target: ChangeTarget,
    /// Absolute guest path
    path: String,
    /// `type` inline_file(contents), host_file(host_path), dir, symlink(target), dev(devtype, major, minor), delete, move(from), shim(target)
    /// or binary_patch(file_offset, hex_bytes); `mode` like "0755"
    spec: Map<String, Value>,
}

/// Add, replace or remove a guest file (`static_files`): a missing configuration, a stub for a program that hangs. Gives `patch` and `effective` values. Next: `run`.
#[tool(
    destructive,
    idempotent,
    title = "Add or replace a guest file",
    example(project_dir = "fw", path = "/etc/board", spec = {"type": "inline_file", "contents": "rev2\n", "mode": "0644"})
)]
fn add_static_file(host: &impl ConfigMutation, args: Args) -> Result<Change> {
    spec::check_path(&args.path)?;
    let file = spec::complete(args.spec)?;
    let replace = vec![format!("static_files.{}", args.path)];
    change::apply(
        host,
        &args.target,
        &json!({ "static_files": { args.path: file } }),
        replace,
    )
}

plugin!(add_static_file);

#[cfg(test)]
mod tests {
    use rookery_plugin::Error;
    use rookery_plugin::testing::{FakeHost, call, check};

    use super::*;

    fn host() -> FakeHost {
        FakeHost::new().answer(
            "config-mutation.apply",
            json!({ "changed": true, "patch": {} }),
        )
    }

    fn asked(spec: &Value) -> Value {
        let host = host();
        call::<add_static_file>(
            &host,
            json!({ "project_dir": "p", "path": "/etc/x", "spec": spec }),
        )
        .unwrap();
        host.calls("config-mutation.apply").remove(0)
    }

    fn refused(path: &str, spec: &Value) -> String {
        match call::<add_static_file>(
            &host(),
            json!({ "project_dir": "p", "path": path, "spec": spec }),
        ) {
            Err(Error::InvalidArgument(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn its_definition_is_sound() {
        check::<add_static_file>();
    }

    #[test]
    fn an_octal_mode_becomes_its_number() {
        for (written, bits) in [
            (json!("0755"), 0o755),
            (json!("755"), 0o755),
            (json!("0o644"), 0o644),
            (json!(493), 493),
        ] {
            let asked = asked(&json!({ "type": "inline_file", "contents": "a", "mode": written }));
            assert_eq!(asked["fragment"]["static_files"]["/etc/x"]["mode"], bits);
            assert_eq!(asked["options"]["replace"], json!(["static_files./etc/x"]));
        }
    }

    #[test]
    fn a_binary_patch_keeps_its_own_mode() {
        let spec =
            json!({ "type": "binary_patch", "file_offset": 16, "asm": "nop", "mode": "thumb" });
        assert_eq!(asked(&spec)["fragment"]["static_files"]["/etc/x"], spec);
    }

    #[test]
    fn what_cannot_work_is_refused_with_what_can() {
        let delete = json!({ "type": "delete" });
        assert!(refused("/../../etc/x", &delete).contains(".."));
        assert!(refused("etc/x", &delete).contains("absolute"));
        assert!(refused("/", &delete).contains("absolute"));
        assert!(refused("/x", &json!({ "contents": "a" })).contains("`type`"));
        assert!(refused("/x", &json!({ "type": "file", "contents": "a" })).contains("inline_file"));
        assert!(refused("/x", &json!({ "type": "inline_file" })).contains("`contents`"));
        assert!(refused("/x", &json!({ "type": "dir", "mode": 755 })).contains("\"0755\""));
        assert!(refused("/x", &json!({ "type": "dir", "mode": "rwx" })).contains("octal"));
        assert!(refused("/x", &json!({ "type": "dir", "mode": 70000 })).contains("octal"));
    }
}
