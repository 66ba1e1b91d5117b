//! What a caller reads whose arguments do not fit: every violation, what is allowed, and one call
//! that is right.

use std::fmt::Write;

use serde_json::{Map, Value};

use crate::escape::excerpt;

/// More violations than this are counted, not listed.
const MAX_LISTED: usize = 20;
/// Characters of one violation.
const MAX_VIOLATION: usize = 400;

/// The parts of a definition that explain how to call a tool.
#[derive(Debug, Default)]
pub struct Usage {
    allowed: String,
    example: Option<String>,
}

impl Usage {
    /// Read from a definition (`inputSchema`, `examples`).
    pub fn new(definition: &Value) -> Self {
        let example = definition
            .pointer("/examples/0")
            .filter(|example| example.is_object())
            .map(Value::to_string);
        Self {
            allowed: describe_properties(&definition["inputSchema"]),
            example,
        }
    }

    /// The message for `violations` of `tool`'s input schema.
    pub fn explain(&self, tool: &str, violations: &[String]) -> String {
        let mut text = self.violated(tool, violations);
        text.push_str(&self.example(tool));
        text
    }

    /// The same without the call.
    pub fn violated(&self, tool: &str, violations: &[String]) -> String {
        let mut text = format!("Invalid arguments for `{tool}`:");
        for violation in violations.iter().take(MAX_LISTED) {
            let _ = write!(text, "\n- {}", excerpt(violation, MAX_VIOLATION));
        }
        if violations.len() > MAX_LISTED {
            let _ = write!(text, "\n- and {} more", violations.len() - MAX_LISTED);
        }
        let _ = write!(text, "\nAllowed:{}", self.allowed);
        text
    }

    /// One call that is right, on a line of its own; nothing if none is known.
    pub fn example(&self, tool: &str) -> String {
        self.example.as_ref().map_or_else(String::new, |example| {
            format!("\nExample: {tool}({example})")
        })
    }
}

/// One line for each property: its name, whether it is required, and the values that it takes.
fn describe_properties(schema: &Value) -> String {
    let empty = Map::new();
    let properties = schema["properties"].as_object().unwrap_or(&empty);
    if properties.is_empty() {
        return " no arguments".to_owned();
    }
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let mut text = String::new();
    for (name, property) in properties {
        let need = if required.contains(&name.as_str()) {
            "required"
        } else {
            "optional"
        };
        let _ = write!(text, "\n- {name} ({need}): {}", describe(property));
    }
    text
}

fn describe(property: &Value) -> String {
    let alternatives = ["enum", "const", "anyOf", "oneOf"]
        .iter()
        .find_map(|key| property.get(key));
    let mut text = match alternatives {
        Some(Value::Array(values)) if property.get("enum").is_some() => values
            .iter()
            .map(Value::to_string)
            .collect::<Vec<_>>()
            .join(" or "),
        Some(Value::Array(schemas)) => schemas
            .iter()
            .map(describe)
            .collect::<Vec<_>>()
            .join(" or "),
        Some(value) => value.to_string(),
        None => property["type"].as_str().unwrap_or("any value").to_owned(),
    };
    for (key, words) in [
        ("minimum", "at least"),
        ("maximum", "at most"),
        ("minLength", "length at least"),
        ("maxLength", "length at most"),
        ("pattern", "matching"),
        ("default", "default"),
    ] {
        if let Some(value) = property.get(key).filter(|value| !value.is_null()) {
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            let _ = write!(text, ", {words} {value}");
        }
    }
    excerpt(&text, 300)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_message_has_all_violations_what_is_allowed_and_a_literal_call() {
        let definition = json!({
            "inputSchema": {
                "type": "object",
                "required": ["project_dir"],
                "properties": {
                    "project_dir": {"type": "string", "description": "…", "minLength": 1},
                    "backend": {"enum": ["auto", "user"], "default": "auto"},
                    "wait_s": {
                        "anyOf": [
                            {"type": "integer", "minimum": 0, "maximum": 50},
                            {"type": "null"}
                        ]
                    }
                }
            },
            "examples": [{"project_dir": "dlink"}]
        });
        let violations = [
            "project_dir: is required".to_owned(),
            "wait: unknown\u{1b} argument".to_owned(),
        ];
        assert_eq!(
            Usage::new(&definition).explain("run", &violations),
            "Invalid arguments for `run`:\n- project_dir: is required\n\
             - wait: unknown\\u{1b} argument\nAllowed:\n\
             - project_dir (required): string, length at least 1\n\
             - backend (optional): \"auto\" or \"user\", default auto\n\
             - wait_s (optional): integer, at least 0, at most 50 or null\n\
             Example: run({\"project_dir\":\"dlink\"})"
        );
    }

    #[test]
    fn a_flood_of_violations_is_bounded() {
        let violations = vec!["x".repeat(10_000); 1000];
        let text =
            Usage::new(&json!({"inputSchema": {"type": "object"}})).explain("t", &violations);
        assert!(
            text.contains("and 980 more") && text.len() < 10_000,
            "{}",
            text.len()
        );
        assert!(text.ends_with("Allowed: no arguments"));
    }
}
