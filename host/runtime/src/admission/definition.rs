//! What a component says about its tools, checked and normalised before any client sees it.

use serde_json::{Map, Value, json};

use super::hints;
use super::schema::{self, Role};
use crate::host::bindings::ToolDefinition;
use crate::text;

const DEFINITION_BYTES: usize = 64 << 10;
/// Most bytes that all tools of a component may take of what an agent reads.
const LIST_BYTES: usize = 20 << 10;
const TOOLS: usize = 64;
const TITLE_CHARS: usize = 80;
const DESCRIPTION_CHARS: usize = 1000;
const EXAMPLES: usize = 8;
/// `_meta` key with which a tool says what its result is; see `wit/types.wit`.
const RESULT_KEY: &str = "rookery/result";
const CONTENT: &str = "content";
/// `_meta` key with which a tool says what of a backend it uses.
const NEEDS_KEY: &str = "rookery/needs";

/// Check all tools of one component.
pub(super) fn normalise(tools: Vec<ToolDefinition>) -> Result<Vec<(String, Value)>, String> {
    if tools.is_empty() || tools.len() > TOOLS {
        return Err(format!(
            "it describes {} tools; 1 to {TOOLS} are allowed",
            tools.len()
        ));
    }
    let mut seen: Vec<(String, Value)> = Vec::new();
    for tool in tools {
        let name = tool.name;
        check_legal(&name)?;
        if seen.iter().any(|(other, _)| *other == name) {
            return Err(format!("it describes the tool `{name}` twice"));
        }
        let definition =
            one(&tool.definition).map_err(|reason| format!("the tool `{name}`: {reason}"))?;
        seen.push((name, definition));
    }
    let size = |(name, definition): &(String, Value)| name.len() + definition.to_string().len();
    let bytes: usize = seen.iter().map(size).sum();
    if bytes > LIST_BYTES {
        return Err(format!(
            "the definitions of its {} tools have {bytes} bytes of JSON together, and those of one \
             plugin may have at most {LIST_BYTES}, because an agent reads them all: shorten them, \
             or spread the tools over several plugins",
            seen.len()
        ));
    }
    Ok(seen)
}

/// Why a tool cannot have this name, whatever its plugin.
pub(super) fn check_legal(name: &str) -> Result<(), String> {
    if is_legal(name) {
        return Ok(());
    }
    Err(format!(
        "the tool name {:?} is not allowed: a name is a lower-case letter, followed by at most 39 \
         lower-case letters, digits and underscores",
        name.chars().take(80).collect::<String>()
    ))
}

fn is_legal(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_lowercase())
        && name.len() <= 40
        && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn one(definition: &str) -> Result<Value, String> {
    if definition.len() > DEFINITION_BYTES {
        return Err(format!(
            "its definition has {} bytes, and at most {DEFINITION_BYTES} are allowed",
            definition.len()
        ));
    }
    let definition: Map<String, Value> = serde_json::from_str(definition)
        .map_err(|error| format!("its definition is not a JSON object: {error}"))?;
    let part = |part: &str| {
        definition
            .get(part)
            .ok_or_else(|| format!("its definition has no `{part}` (`/{part}` is missing)"))
    };
    let schema = |part_name: &str, role| {
        schema::normalise(part(part_name)?, role)
            .map_err(|reason| format!("its {part_name}: {reason}"))
    };

    let input = schema("inputSchema", Role::Input)?;
    let mut out = Map::new();
    out.insert(
        "title".to_owned(),
        prose(part("title")?, "title", TITLE_CHARS)?,
    );
    out.insert(
        "description".to_owned(),
        prose(part("description")?, "description", DESCRIPTION_CHARS)?,
    );
    if let Some(examples) = definition.get("examples") {
        out.insert("examples".to_owned(), self::examples(examples, &input)?);
    }
    out.insert("inputSchema".to_owned(), input);
    // Such a tool writes a whole MCP result itself, so there is no structure to promise.
    let content = definition
        .get("_meta")
        .is_some_and(|meta| meta[RESULT_KEY] == CONTENT);
    let mut meta = Map::new();
    let needs = definition
        .get("_meta")
        .and_then(|meta| meta[NEEDS_KEY].as_str());
    if let Some(needs) = needs.filter(|needs| is_legal(needs)) {
        meta.insert(NEEDS_KEY.to_owned(), json!(needs));
    }
    if content {
        meta.insert(RESULT_KEY.to_owned(), json!(CONTENT));
    } else {
        out.insert(
            "outputSchema".to_owned(),
            schema("outputSchema", Role::Output)?,
        );
    }
    if !meta.is_empty() {
        out.insert("_meta".to_owned(), Value::Object(meta));
    }
    out.insert(
        "annotations".to_owned(),
        hints::claims(part("annotations")?)?,
    );
    Ok(Value::Object(out))
}

fn prose(value: &Value, what: &str, max: usize) -> Result<Value, String> {
    let Some(words) = value
        .as_str()
        .map(str::trim)
        .filter(|words| !words.is_empty())
    else {
        return Err(format!("its {what} is not a string (`/{what}`)"));
    };
    let length = words.chars().count();
    if length > max {
        return Err(format!(
            "its {what} has {length} characters, and at most {max} are allowed (`/{what}`)"
        ));
    }
    if let Some(hidden) = words.chars().find(|c| text::is_hidden(*c)) {
        return Err(format!(
            "its {what} holds the hidden character U+{:04X} (`/{what}`)",
            u32::from(hidden)
        ));
    }
    Ok(Value::String(words.to_owned()))
}

/// Examples are shown in error messages, as calls that work: each must.
fn examples(examples: &Value, input: &Value) -> Result<Value, String> {
    let list = examples
        .as_array()
        .ok_or("its `examples` is not a list of argument objects")?;
    if list.len() > EXAMPLES {
        return Err(format!(
            "it has {} examples, and at most {EXAMPLES} are allowed",
            list.len()
        ));
    }
    let validator =
        crate::arguments::validator(input).map_err(|error| format!("its inputSchema: {error}"))?;
    for (n, example) in list.iter().enumerate() {
        schema::plain(example, &format!("/examples/{n}"))?;
        if let Some(violation) = crate::arguments::violations(&validator, input, example).first() {
            return Err(format!(
                "its example {n} (`/examples/{n}`) does not fit its own inputSchema: {violation}"
            ));
        }
    }
    Ok(examples.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> Value {
        json!({
            "title": "Echo",
            "description": "Say it again.",
            "icons": [{"src": "https://example.com/track.png"}],
            "inputSchema": {
                "type": "object",
                "properties": {"text": {"type": "string", "description": "d"}},
                "required": ["text"]
            },
            "outputSchema": {
                "type": "object",
                "properties": {"text": {"type": "string", "description": "d"}}
            },
            "annotations": {
                "readOnlyHint": true,
                "destructiveHint": false,
                "idempotentHint": true,
                "openWorldHint": false,
                "title": "x"
            },
            "examples": [{"text": "hello"}]
        })
    }

    fn admit(name: &str, definition: &Value) -> Result<Value, String> {
        let tools = vec![ToolDefinition {
            name: name.to_owned(),
            definition: definition.to_string(),
        }];
        Ok(normalise(tools)?.remove(0).1)
    }

    #[test]
    fn a_sound_definition_is_kept_and_what_no_client_should_see_is_dropped() {
        let admitted = admit("echo", &sound()).unwrap();
        assert_eq!(admitted["title"], "Echo");
        assert_eq!(
            admitted["annotations"],
            json!({
                "readOnlyHint": true,
                "destructiveHint": false,
                "idempotentHint": true,
                "openWorldHint": false
            })
        );
        assert!(admitted.get("icons").is_none(), "a client would fetch it");
    }

    #[test]
    fn what_an_agent_reads_of_one_component_is_bounded() {
        let tool = |n: usize| {
            let mut definition = sound();
            definition["description"] = json!("d".repeat(900));
            ToolDefinition {
                name: format!("tool_{n}"),
                definition: definition.to_string(),
            }
        };
        assert!(normalise((0..12).map(tool).collect()).is_ok());
        let reason = normalise((0..30).map(tool).collect()).unwrap_err();
        assert!(
            reason
                .contains("bytes of JSON together, and those of one plugin may have at most 20480"),
            "{reason}"
        );
        let mut examples = sound();
        examples["examples"] = json!([{"text": "x".repeat(21 << 10)}]);
        assert!(
            admit("echo", &examples).unwrap_err().contains("20480"),
            "an agent reads examples too"
        );
    }

    #[test]
    fn unsound_definitions_are_refused_with_the_reason() {
        let refused = |pointer: &str, value: Value, words: &str| {
            let mut definition = sound();
            *definition.pointer_mut(pointer).unwrap() = value;
            let reason = admit("echo", &definition).unwrap_err();
            assert!(reason.contains(words), "{reason}");
        };
        refused("/title", json!(7), "title is not a string");
        refused("/title", json!("x".repeat(81)), "80");
        refused("/description", json!("x".repeat(1001)), "1000");
        refused("/description", json!("do\u{202e}it"), "U+202E");
        refused(
            "/annotations/openWorldHint",
            Value::Null,
            "`/annotations/openWorldHint` is missing",
        );
        refused("/outputSchema", json!({"type": "string"}), "outputSchema");
        refused("/examples/0", json!({"txt": "hello"}), "example 0");
        for name in ["", "Echo", "1echo", "e-cho", "écho", &"e".repeat(41)] {
            assert!(
                admit(name, &sound()).unwrap_err().contains("not allowed"),
                "{name}"
            );
        }
        let twice = || ToolDefinition {
            name: "echo".into(),
            definition: sound().to_string(),
        };
        assert!(
            normalise(vec![twice(), twice()])
                .unwrap_err()
                .contains("twice")
        );
        assert!(normalise(vec![]).is_err());
        assert!(
            normalise(vec![ToolDefinition {
                name: "echo".into(),
                definition: "[".into()
            }])
            .unwrap_err()
            .contains("JSON")
        );
    }
}
