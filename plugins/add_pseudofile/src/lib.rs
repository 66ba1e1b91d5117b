//! `add_pseudofile`

mod binary;
mod models;

use rookery_plugin::args::ChangeTarget;
use rookery_plugin::shapes::Change;
use rookery_plugin::{ConfigMutation, Result, change, fragment, plugin, tool};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::models::{Ioctl, Model, NameOr, Read, Write, ioctl_models};

#[derive(Deserialize, JsonSchema)]
#[allow(clippy::doc_markdown)] // read by models, not by rustdoc
struct Args {
    #[serde(flatten)]
    target: ChangeTarget,
    /// Guest path
    path: String,
    /// "zero", "one", "empty" or, for example, {"model":"const_buf","val":"text"}; also hex and
    /// base64 (`val`), sequence (`vals`: one a read), const_map (`vals`: text by offset)
    #[schemars(with = "Option<NameOr<Read>>")]
    read: Option<Model>,
    /// "discard" or, for example, {"model":"return_const","const":0}
    #[schemars(with = "Option<NameOr<Write>>")]
    write: Option<Model>,
    /// Command or "*" to return value or model: {"0x5401":{"model":"write_data","data":"x"}}
    ioctl: Option<Ioctl>,
    /// Try it in this running guest first; again without, to keep it
    run_id: Option<String>,
}

/// Make a device, /proc or /sys file exist (`pseudofiles`) or change how it behaves, for paths that
/// `pseudofile_failures` lists. Each model given replaces the one before.
#[tool(
    destructive,
    idempotent,
    title = "Model a device or file",
    example(project_dir = "fw", path = "/dev/dsa", read = "zero", ioctl = {"*": 0})
)]
fn add_pseudofile(host: &impl ConfigMutation, args: Args) -> Result<Change> {
    let mut models = Map::new();
    for (operation, given) in [("read", args.read), ("write", args.write)] {
        if let Some(given) = given {
            models.insert(operation.to_owned(), binary::as_map(given.full())?);
        }
    }
    let commands = args.ioctl.map(ioctl_models).transpose()?;
    let file = fragment::pseudofile(&args.path, models, commands.map(Value::Object));
    change::apply_in(host, &args.target, args.run_id, file)
}

plugin!(add_pseudofile);

#[cfg(test)]
mod tests {
    use rookery_plugin::Error;
    use rookery_plugin::testing::{FakeHost, call, check};
    use serde_json::json;

    use super::*;

    fn host() -> FakeHost {
        FakeHost::new().answer(
            "config-mutation.apply",
            json!({ "changed": true, "patch": {} }),
        )
    }

    fn asked(arguments: Value) -> Value {
        let host = host();
        call::<add_pseudofile>(&host, arguments).unwrap();
        host.calls("config-mutation.apply").remove(0)
    }

    fn refused(arguments: Value) -> String {
        match call::<add_pseudofile>(&host(), arguments) {
            Err(Error::InvalidArgument(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn its_definition_is_sound() {
        check::<add_pseudofile>();
    }

    #[test]
    fn a_path_alone_exists() {
        assert_eq!(
            asked(json!({ "project_dir": "p", "path": "/dev/x" }))["fragment"],
            json!({ "pseudofiles": { "/dev/x": {} } })
        );
    }

    #[test]
    fn a_model_is_an_object_or_its_name() {
        let asked = asked(json!({
            "project_dir": "p",
            "path": "/dev/x",
            "read": { "model": "const_buf", "val": "08" },
            "write": "discard"
        }));
        let file = json!({
            "read": { "model": "const_buf", "val": "08" },
            "write": { "model": "discard" }
        });
        assert_eq!(
            asked["fragment"],
            json!({ "pseudofiles": { "/dev/x": file } })
        );
        assert_eq!(
            asked["options"]["replace"],
            json!(["pseudofiles./dev/x.read", "pseudofiles./dev/x.write"])
        );
    }

    #[test]
    fn bytes_that_are_no_text_come_as_digits_and_become_a_map() {
        let of = |read: Value| {
            let asked = asked(json!({ "project_dir": "p", "path": "/dev/x", "read": read }));
            asked["fragment"]["pseudofiles"]["/dev/x"]["read"].clone()
        };
        let map = json!({ "model": "const_map", "size": 3, "vals": { "0": [128, 255, 10] } });
        assert_eq!(of(json!({ "model": "hex", "val": "80 FF 0a" })), map);
        assert_eq!(of(json!({ "model": "base64", "val": "gP8K" })), map);
        assert_eq!(
            of(json!({ "model": "hex", "val": "" })),
            json!({ "model": "empty" })
        );
    }

    #[test]
    fn empty_fields_of_another_model_are_left_out() {
        let asked = asked(json!({
            "project_dir": "p",
            "path": "/dev/x",
            "read": { "model": "zero", "val": "", "vals": [] },
            "write": { "model": "discard", "const": 0 }
        }));
        let file = json!({ "read": { "model": "zero" }, "write": { "model": "discard" } });
        assert_eq!(asked["fragment"]["pseudofiles"]["/dev/x"], file);
        let kept = json!({
            "read": { "model": "const_buf", "val": "" },
            "write": { "model": "return_const", "const": 0 }
        });
        let mut arguments = kept.clone();
        arguments["project_dir"] = json!("p");
        arguments["path"] = json!("/dev/x");
        assert_eq!(
            self::asked(arguments)["fragment"]["pseudofiles"]["/dev/x"],
            kept
        );
    }

    #[test]
    fn ioctl_commands_may_be_hexadecimal_and_become_decimal() {
        let asked = asked(json!({
            "project_dir": "p",
            "path": "/dev/x",
            "ioctl": { "0x40046401": 1, "21505": "zero", "*": { "model": "unhandled" } }
        }));
        let commands = json!({
            "1074029569": { "model": "return_const", "val": 1 },
            "21505": { "model": "zero" },
            "*": { "model": "unhandled" }
        });
        assert_eq!(
            asked["fragment"]["pseudofiles"]["/dev/x"]["ioctl"],
            commands
        );
        assert_eq!(
            asked["options"]["replace"][0],
            "pseudofiles./dev/x.ioctl.1074029569"
        );
    }

    #[test]
    fn an_object_may_come_as_its_text() {
        let asked = asked(json!({
            "project_dir": "p",
            "path": "/dev/x",
            "read": r#"{"model":"const_buf","val":"1"}"#,
            "ioctl": r#"{"0x5401":0}"#
        }));
        assert_eq!(
            asked["fragment"]["pseudofiles"]["/dev/x"],
            json!({
                "read": { "model": "const_buf", "val": "1" },
                "ioctl": { "21505": { "model": "return_const", "val": 0 } }
            })
        );
    }

    #[test]
    fn one_ioctl_model_stands_for_every_command() {
        for given in [json!("zero"), json!({ "model": "zero" })] {
            let asked = asked(json!({ "project_dir": "p", "path": "/dev/x", "ioctl": given }));
            assert_eq!(
                asked["fragment"]["pseudofiles"]["/dev/x"]["ioctl"],
                json!({ "*": { "model": "zero" } })
            );
        }
    }

    #[test]
    fn what_cannot_work_is_refused_with_what_can() {
        assert!(
            refused(json!({ "project_dir": "p", "path": "/dev/x", "ioctl": { "TCGETS": 0 } }))
                .contains("\"0x5401\"")
        );
        for (read, reason) in [
            (
                json!({ "model": "hex", "val": "8" }),
                "two hexadecimal digits a byte",
            ),
            (json!({ "model": "base64", "val": "?" }), "base64"),
        ] {
            let refused = refused(json!({ "project_dir": "p", "path": "/dev/x", "read": read }));
            assert!(refused.contains(reason), "{refused}");
        }
        let commands = json!({ "*": { "model": "write_data", "hex": "80" } });
        assert!(
            refused(json!({ "project_dir": "p", "path": "/dev/x", "ioctl": commands }))
                .contains("above 7f")
        );
        assert!(
            refused(
                json!({ "project_dir": "p", "path": "/dev/x", "ioctl": { "0x10": 0, "16": 1 } })
            )
            .contains("twice")
        );
        assert!(
            refused(json!({ "project_dir": "p", "path": "/dev/x", "ioctl": { "0x100000000": 1 } }))
                .contains("32 bits")
        );
    }
}
