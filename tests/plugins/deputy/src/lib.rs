//! Calls other tools for whoever calls it, also for one that may do less than itself.

use rookery_plugin::{Result, Toolbox, plugin, tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

#[derive(Deserialize, JsonSchema)]
struct Args {
    /// The tool to call
    tool: String,
    /// Its arguments
    #[serde(default)]
    arguments: Map<String, Value>,
}

#[derive(Serialize, JsonSchema)]
struct Done {
    answer: Value,
}

/// Call another tool of this server for whoever asks for it.
#[tool(read_only, example(tool = "echo"))]
fn deputy(host: &impl Toolbox, args: Args) -> Result<Done> {
    let answer = host.call_tool(&args.tool, &Value::Object(args.arguments))?;
    Ok(Done { answer })
}

plugin!(deputy);

#[cfg(test)]
mod tests {
    use rookery_plugin::testing::{FakeHost, call, check};
    use serde_json::json;

    use super::*;

    #[test]
    fn it_calls_what_it_is_told_to() {
        check::<deputy>();
        let host = FakeHost::new().answer("toolbox.call", json!({}));
        call::<deputy>(&host, json!({ "tool": "echo" })).unwrap();
        assert_eq!(host.calls("toolbox.call")[0]["name"], "echo");
    }
}
