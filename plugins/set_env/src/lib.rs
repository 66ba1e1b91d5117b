//! `set_env`

use rookery_plugin::args::ChangeTarget;
use rookery_plugin::shapes::Change;
use rookery_plugin::{ConfigMutation, Result, change, fragment, plugin, tool};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
struct Args {
    #[serde(flatten)]
    target: ChangeTarget,
    /// Name; `igloo_init` is the init program
    key: String,
    /// A string: "1", not 1
    #[serde(deserialize_with = "rookery_plugin::args::text")]
    value: String,
}

/// Set a boot argument or environment variable (`env`), such as `missing_env` lists.
#[tool(
    destructive,
    idempotent,
    title = "Set boot argument",
    example(project_dir = "fw", key = "igloo_init", value = "/sbin/init")
)]
fn set_env(host: &impl ConfigMutation, args: Args) -> Result<Change> {
    change::apply(host, &args.target, fragment::env(&args.key, &args.value))
}

plugin!(set_env);

#[cfg(test)]
mod tests {
    use rookery_plugin::testing::{FakeHost, call, check};
    use rookery_plugin::{Error, invalid};
    use serde_json::json;

    use super::*;

    #[test]
    fn its_definition_is_sound() {
        check::<set_env>();
    }

    #[test]
    fn a_key_is_set_and_the_next_run_is_suggested() {
        let change = json!({
            "project_dir": "/p",
            "patch_file": "/p/x",
            "changed": true,
            "patch": { "env": { "sxid": "08" } },
            "revision": 1
        });
        let host = FakeHost::new().answer("config-mutation.apply", change);
        let answer = call::<set_env>(
            &host,
            json!({ "project_dir": "p", "key": "sxid", "value": "08" }),
        )
        .unwrap();
        assert_eq!(
            answer["next"],
            json!({ "tool": "run", "arguments": { "project_dir": "/p" } })
        );
        let asked = &host.calls("config-mutation.apply")[0];
        assert_eq!(asked["fragment"], json!({ "env": { "sxid": "08" } }));
        assert_eq!(asked["options"], json!({ "dry_run": false, "replace": [] }));
    }

    #[test]
    fn a_dry_run_is_passed_on_and_suggests_no_run() {
        let host = FakeHost::new().answer(
            "config-mutation.apply",
            json!({ "changed": true, "dry_run": true, "patch": {} }),
        );
        let answer = call::<set_env>(
            &host,
            json!({ "project_dir": "p", "key": "a", "value": "b", "dry_run": true }),
        )
        .unwrap();
        assert_eq!(answer.get("next"), None);
        assert_eq!(
            host.calls("config-mutation.apply")[0]["options"]["dry_run"],
            true
        );
    }

    #[test]
    fn a_number_must_be_quoted() {
        for value in [json!(8), json!(true), json!(1.5), json!(null)] {
            let Err(Error::InvalidArgument(message)) = call::<set_env>(
                &FakeHost::new(),
                json!({ "project_dir": "p", "key": "a", "value": value }),
            ) else {
                panic!("{value} was taken")
            };
            assert!(message.contains("write \"8\" instead of 8"), "{message}");
        }
    }

    #[test]
    fn the_host_s_refusal_comes_through() {
        let host = FakeHost::new().fail("config-mutation.apply", invalid("a space is not allowed"));
        let refused = call::<set_env>(
            &host,
            json!({ "project_dir": "p", "key": "a", "value": "b c" }),
        );
        assert_eq!(refused, Err(invalid("a space is not allowed")));
    }
}
