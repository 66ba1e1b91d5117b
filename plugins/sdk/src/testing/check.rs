//! Calling a tool, and checking what it says of itself.

use serde_json::{Value, json};

use crate::error::Result;
use crate::testing::FakeHost;
use crate::tool::{self, DESCRIPTION_CHARS, Tool};

/// Call a tool as the host would: JSON in, JSON out.
///
/// # Panics Where the tool's answer is not a JSON object, or lacks a field that its output schema
/// requires.
#[allow(clippy::needless_pass_by_value)] // so that tests write `json!({…})` without `&`
pub fn call<T: Tool>(host: &FakeHost, arguments: Value) -> Result<Value> {
    let answer = tool::call::<T>(host, &arguments.to_string())?;
    let answer: Value = serde_json::from_str(&answer).expect("a tool answers with JSON");
    assert!(
        answer.is_object(),
        "a tool's answer is a JSON object, and this is not one: {answer}"
    );
    let definition = definition::<T>();
    if let Some(schema) = definition.get("outputSchema") {
        for name in schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            assert!(
                answer.get(name).is_some(),
                "the answer has no `{name}`, which its schema requires: {answer}"
            );
        }
        for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
            let Some(value) = answer.get(name) else {
                continue;
            };
            let fits = match schema["type"].as_str() {
                Some("object") => value.is_object(),
                Some("array") => value.is_array(),
                Some("string") => value.is_string(),
                Some("boolean") => value.is_boolean(),
                Some("integer") => value.is_i64() || value.is_u64(),
                Some("number") => value.is_number(),
                _ => true,
            };
            assert!(
                fits,
                "`{name}` of the answer does not fit its schema {schema}: {value}"
            );
        }
    }
    Ok(answer)
}

/// A tool's definition as the client will see it.
///
/// # Panics
/// Where it is not JSON.
pub fn definition<T: Tool>() -> Value {
    serde_json::from_str(&tool::define::<T>().definition).expect("a definition is JSON")
}

/// Check what makes a definition sound: every argument described, examples that fit, lengths that
/// every client reads.
///
/// # Panics
/// With what is wrong.
pub fn check<T: Tool>() {
    let name = T::ABOUT.name;
    let definition = definition::<T>();
    let description = definition["description"].as_str().unwrap_or_default();
    assert!(
        (30..=DESCRIPTION_CHARS).contains(&description.chars().count()),
        "{name}: the description has {} characters; 30 to {DESCRIPTION_CHARS} are allowed",
        description.chars().count()
    );
    let input = &definition["inputSchema"];
    assert_eq!(input["type"], "object", "{name}: arguments are an object");
    for root in ["anyOf", "oneOf", "allOf", "$ref"] {
        assert!(
            input.get(root).is_none(),
            "{name}: {root} at the root of the arguments is refused by model APIs"
        );
    }
    for (argument, schema) in input["properties"].as_object().into_iter().flatten() {
        assert!(
            schema["description"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{name}: argument `{argument}` has no doc comment"
        );
        assert!(
            schema.get("type").is_some() || schema.get("anyOf").is_some(),
            "{name}: argument `{argument}` has no type: {schema}"
        );
    }
    for example in T::examples() {
        if let Err(error) = serde_json::from_value::<T::Arguments>(example.clone()) {
            panic!("{name}: the example {example} does not fit: {error}");
        }
        for argument in example
            .as_object()
            .into_iter()
            .flatten()
            .map(|(argument, _)| argument)
        {
            assert!(
                input["properties"].get(argument).is_some(),
                "{name}: the example has an unknown argument `{argument}`"
            );
        }
    }
    let text = definition.to_string();
    for forbidden in [
        "\"$ref\"",
        "\"$defs\"",
        "[\"string\",\"null\"]",
        "\"format\":\"uint",
    ] {
        assert!(!text.contains(forbidden), "{name}: {forbidden} in {text}");
    }
    assert_eq!(
        definition["annotations"]
            .as_object()
            .map(serde_json::Map::len),
        Some(4),
        "{name}: {}",
        json!(definition["annotations"])
    );
}
