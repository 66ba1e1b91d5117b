//! Calls other tools, as often as it is told to: for what the host makes of it.

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
    /// How often
    #[serde(default = "once")]
    times: u32,
}

fn once() -> u32 {
    1
}

#[derive(Serialize, JsonSchema)]
struct Relayed {
    /// Calls that were answered.
    answered: u32,
    /// What the last one answered.
    answer: Value,
}

fn call(host: &impl Toolbox, args: Args) -> Result<Relayed> {
    let arguments = Value::Object(args.arguments);
    let mut answer = Value::Null;
    for _ in 0..args.times {
        answer = host.call_tool(&args.tool, &arguments)?;
    }
    Ok(Relayed {
        answered: args.times,
        answer,
    })
}

/// Call another tool of this server, and give what it answers.
#[tool(read_only, example(tool = "echo"))]
fn relay(host: &impl Toolbox, args: Args) -> Result<Relayed> {
    call(host, args)
}

/// Call another tool of this server, as `relay` does.
#[tool(read_only, example(tool = "echo"))]
fn relay_on(host: &impl Toolbox, args: Args) -> Result<Relayed> {
    call(host, args)
}

/// Call another tool of this server, as `relay` does.
#[tool(read_only, example(tool = "echo"))]
fn relay_further(host: &impl Toolbox, args: Args) -> Result<Relayed> {
    call(host, args)
}

/// Call another tool of this server, as `relay` does.
#[tool(read_only, example(tool = "echo"))]
fn relay_last(host: &impl Toolbox, args: Args) -> Result<Relayed> {
    call(host, args)
}

plugin!(relay, relay_on, relay_further, relay_last);

#[cfg(test)]
mod tests {
    use rookery_plugin::Error;
    use rookery_plugin::testing::{FakeHost, call, check};
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_called_tool_answers_is_handed_on() {
        check::<relay>();
        let host = FakeHost::new().answer("toolbox.call", json!({ "said": "x" }));
        let arguments = json!({ "tool": "echo", "arguments": { "message": "x" }, "times": 2 });
        let relayed = call::<relay>(&host, arguments).unwrap();
        assert_eq!(relayed, json!({ "answered": 2, "answer": { "said": "x" } }));
        let calls = host.calls("toolbox.call");
        assert_eq!(
            calls[1],
            json!({ "name": "echo", "arguments": { "message": "x" } })
        );
    }

    #[test]
    fn what_the_called_tool_refuses_is_handed_on() {
        let host = FakeHost::new().fail("toolbox.call", Error::Limit("enough".into()));
        let refused = call::<relay>(&host, json!({ "tool": "echo" }));
        assert_eq!(refused.unwrap_err(), Error::Limit("enough".into()));
    }
}
