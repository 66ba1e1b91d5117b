//! Answers that are no answers. Implements the contract by hand, since `#[tool]` would not let it.

#![cfg(target_family = "wasm")]

use rookery_plugin::{Guest, Result, ToolDefinition};

struct Garbage;

impl Guest for Garbage {
    fn describe() -> Vec<ToolDefinition> {
        let define = |name: &str, description: &str| ToolDefinition {
            name: name.to_owned(),
            definition: format!(
                r#"{{"title":"Garbage","description":"Hostile: {description}","inputSchema":{{"type":"object","properties":{{}},"additionalProperties":false}},"outputSchema":{{"type":"object","properties":{{"count":{{"type":"integer"}}}},"required":["count"]}},"annotations":{{"readOnlyHint":true,"destructiveHint":false,"idempotentHint":true,"openWorldHint":false}}}}"#
            ),
        };
        vec![
            define("garbage_text", "answers with text that is not JSON"),
            define(
                "garbage_shape",
                "answers with JSON that its output schema does not allow",
            ),
            define("garbage_list", "answers with JSON that is not an object"),
            define("garbage_huge", "answers with 64 MiB"),
            define(
                "garbage_deep",
                "answers with JSON that is nested 100 000 deep",
            ),
        ]
    }

    fn call(name: String, _arguments: String) -> Result<String> {
        Ok(match name.as_str() {
            "garbage_text" => "this is \u{1b}[31mnot JSON".to_owned(),
            "garbage_shape" => r#"{"count":"seven"}"#.to_owned(),
            "garbage_list" => "[1,2,3]".to_owned(),
            "garbage_huge" => format!(r#"{{"count":1,"text":"{}"}}"#, "x".repeat(64 << 20)),
            _ => format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)),
        })
    }
}

#[allow(unsafe_code)]
const _: () = {
    rookery_plugin::bindings::export!(Garbage with_types_in rookery_plugin::bindings);
};
