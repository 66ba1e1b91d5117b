//! `set_nvram`

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
    /// NVRAM key
    key: String,
    /// A string: "1", not 1
    #[serde(deserialize_with = "rookery_plugin::args::text")]
    value: String,
}

/// Set an NVRAM value (`nvram`) that the guest's programs read.
#[tool(
    destructive,
    idempotent,
    title = "Set NVRAM value",
    example(project_dir = "fw", key = "lan_ipaddr", value = "192.168.1.1")
)]
fn set_nvram(host: &impl ConfigMutation, args: Args) -> Result<Change> {
    change::apply(
        host,
        &args.target,
        json!({ "nvram": { args.key: args.value } }),
    )
}

plugin!(set_nvram);

#[cfg(test)]
mod tests {
    use rookery_plugin::Error;
    use rookery_plugin::testing::{FakeHost, call, check};

    use super::*;

    #[test]
    fn its_definition_is_sound() {
        check::<set_nvram>();
    }

    #[test]
    fn a_key_is_set_as_text() {
        let host = FakeHost::new().answer(
            "config-mutation.apply",
            json!({ "changed": true, "patch": {} }),
        );
        call::<set_nvram>(
            &host,
            json!({ "project_dir": "p", "key": "lan_ipaddr", "value": "08" }),
        )
        .unwrap();
        assert_eq!(
            host.calls("config-mutation.apply")[0]["fragment"],
            json!({ "nvram": { "lan_ipaddr": "08" } })
        );
    }

    #[test]
    fn a_number_must_be_quoted() {
        let refused = call::<set_nvram>(
            &FakeHost::new(),
            json!({ "project_dir": "p", "key": "lan_ipaddr", "value": 8 }),
        );
        assert!(matches!(
            refused,
            Err(Error::InvalidArgument(message)) if message.contains("write \"8\" instead of 8")
        ));
    }
}
