//! `penguin_plugin`

use rookery_plugin::shapes::GuestPlugin;
use rookery_plugin::text::escape;
use rookery_plugin::{Live, PluginOp, PluginOptions, Result, invalid, plugin, tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Deserialize, JsonSchema)]
struct Args {
    /// Run
    run_id: String,
    /// What to do
    op: Op,
    /// Plugin
    name: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Op {
    List,
    Enable,
    Disable,
    Load,
}

#[derive(Serialize, JsonSchema)]
struct Answered {
    run_id: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    plugins: Vec<GuestPlugin>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// Load, enable or disable an analysis plugin of Penguin while its guest runs, if the operator
/// allows that plugin: `list` says which.
#[tool(
    destructive,
    title = "Change Penguin's analysis plugins",
    needs = "plugin",
    example(run_id = "run-7f3a", op = "list"),
    example(run_id = "run-7f3a", op = "enable", name = "syscalls_logger")
)]
fn penguin_plugin(host: &impl Live, args: Args) -> Result<Answered> {
    let op = match args.op {
        Op::List => PluginOp::List,
        Op::Enable => PluginOp::Enable,
        Op::Disable => PluginOp::Disable,
        Op::Load => PluginOp::Load,
    };
    if op != PluginOp::List && args.name.is_none() {
        return Err(invalid("name the plugin; op \"list\" says which there are"));
    }
    let run_id = args.run_id;
    let request = PluginOptions {
        op,
        name: args.name,
    };
    let answer = host.control_plugin(&run_id, &request)?;
    let plugins = answer.plugins.into_iter().map(|plugin| GuestPlugin {
        name: escape(plugin.name.as_bytes()),
        ..plugin
    });
    Ok(Answered {
        run_id,
        plugins: plugins.collect(),
        message: answer.message,
    })
}

plugin!(penguin_plugin);

#[cfg(test)]
mod tests {
    use rookery_plugin::Error;
    use rookery_plugin::testing::{FakeHost, call, check, definition};
    use serde_json::json;

    use super::*;

    #[test]
    fn its_definition_is_sound_and_says_what_it_needs() {
        check::<penguin_plugin>();
        let definition = definition::<penguin_plugin>();
        assert_eq!(definition["_meta"]["rookery/needs"], "plugin");
    }

    #[test]
    fn a_refusal_of_the_host_is_passed_on() {
        let denied = Error::Denied("a line: plugins = [\"x\"]".into());
        let host = FakeHost::new().fail("live.control-plugin", denied.clone());
        let arguments = json!({ "run_id": "r", "op": "load", "name": "x" });
        assert_eq!(call::<penguin_plugin>(&host, arguments), Err(denied));
        let nameless = call::<penguin_plugin>(&host, json!({ "run_id": "r", "op": "load" }));
        assert!(matches!(nameless, Err(Error::InvalidArgument(_))));
    }

    #[test]
    fn plugins_are_listed_with_what_may_be_done() {
        let plugin = json!({ "name": "crashes", "allowed": true, "configured": false });
        let host = FakeHost::new().answer(
            "live.control-plugin",
            json!({ "plugins": [plugin.clone()] }),
        );
        let answer = call::<penguin_plugin>(&host, json!({ "run_id": "r", "op": "list" })).unwrap();
        assert_eq!(answer, json!({ "run_id": "r", "plugins": [plugin] }));
        assert_eq!(
            host.calls("live.control-plugin")[0]["request"],
            json!({ "op": "list" })
        );
    }
}
