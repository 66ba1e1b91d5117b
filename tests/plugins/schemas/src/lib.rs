//! Schemas that are much work to check, and results that make the most of them. Implements the
//! contract by hand, since `#[tool]` would not let it.

#![cfg(target_family = "wasm")]

use std::hint::black_box;

use rookery_plugin::{Error, Guest, Result, ToolDefinition};

struct Schemas;

/// How deep `anyOf` is nested in the tools that have it. A test overwrites the digit in the built
/// component; 8 is not admitted.
static DEPTH: &str = "any-of-depth:7";

impl Guest for Schemas {
    fn describe() -> Vec<ToolDefinition> {
        let depth = black_box(DEPTH)
            .rsplit(':')
            .next()
            .and_then(|depth| depth.parse().ok())
            .unwrap_or(7);
        let many = |items: &str| {
            format!(
                r#"{{"type":"object","properties":{{"x":{{"type":"array","description":"Items","items":{items}}}}},"required":["x"]}}"#
            )
        };
        let nothing = r#"{"type":"object","properties":{}}"#;
        let variants: Vec<String> = (0..6)
            .map(|n| format!(r#"{{"type":"object","properties":{{"kind":{{"const":"k{n}"}}}},"required":["kind"]}}"#))
            .collect();
        let variants = format!(r#"{{"anyOf":[{}]}}"#, variants.join(","));
        vec![
            define("any_of_result", nothing, &many(&any_of(depth))),
            define("any_of_arguments", &many(&any_of(depth)), nothing),
            define("enum_result", nothing, &many(&variants)),
            define(
                "pattern_result",
                nothing,
                &many(r#"{"type":"string","pattern":"[01]*1[01]{900}$"}"#),
            ),
            define(
                "unique_result",
                nothing,
                &many(r#"{"type":"integer"}"#)
                    .replace(r#""type":"array""#, r#""type":"array","uniqueItems":true"#),
            ),
            define("large_result", nothing, &many(r#"{"type":"string"}"#)),
        ]
    }

    fn call(name: String, _arguments: String) -> Result<String> {
        let items: Vec<String> = match name.as_str() {
            "any_of_result" => vec!["1".to_owned(); 200_000],
            "enum_result" => vec!["{}".to_owned(); 100_000],
            "pattern_result" => {
                let mut state = 1_u32;
                let bits = (0..400_000).map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    if state >> 31 == 0 { '0' } else { '1' }
                });
                vec![format!("{:?}", bits.collect::<String>())]
            }
            "unique_result" => (0..60_000).map(|n| n.to_string()).collect(),
            "large_result" => vec![format!("{:?}", "line ".repeat(16)); 4_500],
            "any_of_arguments" => return Ok("{}".to_owned()),
            _ => return Err(Error::NotFound(name)),
        };
        Ok(format!(r#"{{"x":[{}]}}"#, items.join(",")))
    }
}

/// Two alternatives, each again two, and no value fits any.
fn any_of(depth: u32) -> String {
    if depth == 0 {
        return r#"{"not":{}}"#.to_owned();
    }
    let inner = any_of(depth - 1);
    format!(r#"{{"anyOf":[{inner},{inner}]}}"#)
}

fn define(name: &str, input: &str, output: &str) -> ToolDefinition {
    ToolDefinition {
        name: name.to_owned(),
        definition: format!(
            r#"{{"title":"Schemas","description":"Hostile: much work to check","inputSchema":{input},"outputSchema":{output},"annotations":{{"readOnlyHint":true,"destructiveHint":false,"idempotentHint":true,"openWorldHint":false}}}}"#
        ),
    }
}

#[allow(unsafe_code)]
const _: () = {
    rookery_plugin::bindings::export!(Schemas with_types_in rookery_plugin::bindings);
};
