//! `set_config`

use rookery_plugin::args::ChangeTarget;
use rookery_plugin::change::Preset;
use rookery_plugin::shapes::Change;
use rookery_plugin::{Config, ConfigMutation, Result, change, invalid, plugin, tool};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

#[derive(Deserialize, JsonSchema)]
struct Args {
    #[serde(flatten)]
    target: ChangeTarget,
    /// `core.mem`, `plugins.db.enabled`, `lib_inject.stubs.libc.so.0.reboot`
    #[schemars(length(min = 1))]
    path: Option<String>,
    /// In the type of that key; an object is merged into what is there
    #[schemars(with = "Option<Setting>")]
    value: Option<Value>,
    /// Or diagnostics: what records boot arguments and events
    preset: Option<Preset>,
}

/// For the schema.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[allow(dead_code)]
enum Setting {
    Text(String),
    Flag(bool),
    Number(i64),
    Items(Vec<String>),
    Keys(Map<String, Value>),
}

/// Set any key of the configuration by its dotted path, or a preset of several. `unset` takes it
/// back.
#[tool(
    destructive,
    idempotent,
    title = "Set a configuration key",
    example(project_dir = "fw", path = "core.mem", value = "512M"),
    example(project_dir = "fw", preset = "diagnostics")
)]
fn set_config(host: &(impl Config + ConfigMutation), args: Args) -> Result<Change> {
    let target = &args.target;
    match (args.path, args.value, args.preset) {
        (Some(path), Some(value), None) => host
            .set(&target.project_dir, &path, &value, target.dry_run)
            .map(change::finish),
        (None, None, Some(preset)) => {
            let fragment = preset.missing(host, &target.project_dir)?;
            change::apply(host, target, fragment)
        }
        _ => Err(invalid("give path and value, or a preset alone")),
    }
}

plugin!(set_config);

#[cfg(test)]
mod tests {
    use rookery_plugin::Error;
    use rookery_plugin::testing::{FakeHost, call, check};
    use serde_json::json;

    use super::*;

    fn host(plugins: &Value) -> FakeHost {
        let change = json!({ "project_dir": "/p", "changed": true, "patch": {} });
        FakeHost::new()
            .answer(
                "config.effective",
                json!({ "config": { "plugins": plugins } }),
            )
            .answer("config-mutation.apply", change.clone())
            .answer("config-mutation.set", change)
    }

    #[test]
    fn its_definition_is_sound() {
        check::<set_config>();
    }

    #[test]
    fn a_value_of_any_type_goes_to_the_host_as_it_is() {
        for value in [
            json!("512M"),
            json!(true),
            json!(9),
            json!(["eth1"]),
            json!({ "enabled": true }),
            json!(""),
        ] {
            let host = host(&json!({}));
            let arguments = json!({ "project_dir": "p", "path": "a.b", "value": value });
            let answer = call::<set_config>(&host, arguments).unwrap();
            assert_eq!(answer["next"]["tool"], "run");
            let asked = &host.calls("config-mutation.set")[0];
            assert_eq!((&asked["path"], &asked["value"]), (&json!("a.b"), &value));
            assert_eq!(asked["options"], json!({ "dry_run": false }));
        }
    }

    #[test]
    fn diagnostics_switches_on_what_is_off_and_leaves_the_rest() {
        let host = host(&json!({ "env": {}, "db": { "enabled": false, "bufsize": 7 } }));
        let arguments = json!({ "project_dir": "p", "preset": "diagnostics", "dry_run": true });
        call::<set_config>(&host, arguments).unwrap();
        let asked = &host.calls("config-mutation.apply")[0];
        let on = json!({ "enabled": true });
        assert_eq!(
            asked["fragment"],
            json!({
                "plugins": {
                    "db": on, "exec_logger": on, "syscalls_logger": on, "processes": on
                }
            })
        );
        assert_eq!(asked["options"]["dry_run"], true);
    }

    #[test]
    fn a_key_and_a_preset_are_not_mixed() {
        for arguments in [
            json!({ "project_dir": "p" }),
            json!({ "project_dir": "p", "path": "a.b" }),
            json!({ "project_dir": "p", "value": "1" }),
            json!({ "project_dir": "p", "path": "a", "value": "1", "preset": "diagnostics" }),
        ] {
            assert!(matches!(
                call::<set_config>(&host(&json!({})), arguments),
                Err(Error::InvalidArgument(_))
            ));
        }
    }
}
