//! `set_uboot_env`

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
    /// Variable
    key: String,
    /// A string: "1", not 1
    #[serde(deserialize_with = "rookery_plugin::args::text")]
    value: String,
}

/// Set a U-Boot variable (`uboot_env`), for example one that `missing_env` lists under `uboot`.
#[tool(
    destructive,
    idempotent,
    title = "Set U-Boot variable",
    example(project_dir = "fw", key = "bootcmd", value = "run flash")
)]
fn set_uboot_env(host: &impl ConfigMutation, args: Args) -> Result<Change> {
    change::apply(
        host,
        &args.target,
        json!({ "uboot_env": { args.key: args.value } }),
    )
}

plugin!(set_uboot_env);

#[cfg(test)]
mod tests {
    use rookery_plugin::Error;
    use rookery_plugin::testing::{FakeHost, call, check};

    use super::*;

    #[test]
    fn its_definition_is_sound() {
        check::<set_uboot_env>();
    }

    #[test]
    fn a_key_is_set_as_text() {
        let host = FakeHost::new().answer(
            "config-mutation.apply",
            json!({ "changed": true, "patch": {} }),
        );
        call::<set_uboot_env>(
            &host,
            json!({ "project_dir": "p", "key": "bootcmd", "value": "08" }),
        )
        .unwrap();
        assert_eq!(
            host.calls("config-mutation.apply")[0]["fragment"],
            json!({ "uboot_env": { "bootcmd": "08" } })
        );
    }

    #[test]
    fn a_number_must_be_quoted() {
        let refused = call::<set_uboot_env>(
            &FakeHost::new(),
            json!({ "project_dir": "p", "key": "bootcmd", "value": 8 }),
        );
        assert!(matches!(
            refused,
            Err(Error::InvalidArgument(message)) if message.contains("write \"8\" instead of 8")
        ));
    }
}
