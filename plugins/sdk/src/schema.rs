//! JSON Schemas that every client and model API accepts, from Rust types.
//!
//! Draft 2020-12 with everything inlined: no `$ref`, no type arrays, no formats of schemars' own.
//! An `Option` is a property that may be absent, not one that may be null. Input objects take no
//! further properties, unless a struct flattens a map.
//!
//! Put `#[schemars(length(min = 1))]` on an optional string, list or map that means nothing when it
//! is empty: clients in a strict mode send every property, and an empty value that its schema does
//! not take counts as left out.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// The schema of a tool's arguments.
pub fn of_input<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().for_deserialize();
    let mut schema = inlined::<T>(settings);
    tidy(&mut schema, Side::Input);
    if let Value::Object(root) = &mut schema {
        root.remove("description");
        root.entry("properties").or_insert_with(|| json!({}));
        root.insert("additionalProperties".into(), Value::Bool(false));
    }
    schema
}

/// The schema of a tool's result: the fields that are always there, and their types.
///
/// A client sends the definitions of all tools to its model, again and again, so every word is paid
/// for: rows and fields that may be absent speak for themselves once they are there, and the tool's
/// description says what matters of them.
///
/// # Panics Where a value of `T` is not a JSON object: then no call could succeed.
pub fn of_output<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut schema = inlined::<T>(settings);
    tidy(&mut schema, Side::Output);
    assert!(
        is_object(&schema),
        "a tool's result is a JSON object, and `{}` is not one: put it into a struct with a named \
         field",
        T::schema_name()
    );
    let required = schema
        .get("required")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let Some(Value::Object(properties)) = schema.get("properties") else {
        return json!({ "type": "object" });
    };
    let always: Map<String, Value> = properties
        .iter()
        .filter(|(name, _)| required.iter().any(|one| one == *name))
        .map(|(name, schema)| (name.clone(), kind(schema)))
        .collect();
    // Of an answer that may be unavailable, only that is always there.
    let required = if always.contains_key("available") {
        json!(["available"])
    } else {
        json!(required)
    };
    json!({ "type": "object", "properties": always, "required": required })
}

/// Whether all values are objects; an enum of structs is one of several.
fn is_object(schema: &Value) -> bool {
    let cases = ["anyOf", "oneOf"]
        .iter()
        .find_map(|key| schema.get(key)?.as_array());
    schema["type"] == "object" || cases.is_some_and(|cases| cases.iter().all(is_object))
}

/// The type of a property, and its values where they are few.
fn kind(schema: &Value) -> Value {
    let keep = |key: &&str| schema.get(key).is_some();
    Value::Object(
        ["type", "enum"]
            .iter()
            .filter(|key| keep(key))
            .map(|key| ((*key).to_owned(), schema[*key].clone()))
            .collect(),
    )
}

fn inlined<T: JsonSchema>(settings: SchemaSettings) -> Value {
    let settings = settings.with(|s| {
        s.inline_subschemas = true;
        s.meta_schema = None;
    });
    settings
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value()
}

/// How formats begin that say how wide a number is in Rust.
const NUMBERS: [&str; 4] = ["uint", "int", "float", "double"];

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Input,
    Output,
}

fn tidy(schema: &mut Value, side: Side) {
    let Value::Object(object) = schema else {
        return;
    };
    object.remove("title");
    if object.get("default").is_some_and(is_nothing) {
        object.remove("default");
    }
    // Where a comment was wrapped means nothing to its reader.
    if let Some(Value::String(description)) = object.get_mut("description") {
        *description = description.replace('\n', " ");
    }
    if object
        .get("format")
        .and_then(Value::as_str)
        .is_some_and(|format| NUMBERS.iter().any(|number| format.starts_with(number)))
    {
        object.remove("format");
    }
    // A map without a shape says nothing by this; a struct that takes more than its fields does.
    if object.get("additionalProperties") == Some(&Value::Bool(true))
        && !object.contains_key("properties")
    {
        object.remove("additionalProperties");
    }
    drop_null(object);
    constants_to_enum(object);
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = object.get_mut(key) {
            tidy(inner, side);
        }
    }
    for key in ["anyOf", "oneOf", "allOf", "prefixItems"] {
        if let Some(Value::Array(inner)) = object.get_mut(key) {
            for schema in inner {
                tidy(schema, side);
            }
        }
    }
    if let Some(Value::Object(properties)) = object.get_mut("properties") {
        for schema in properties.values_mut() {
            tidy(schema, side);
        }
        if side == Side::Input {
            object
                .entry("additionalProperties")
                .or_insert(Value::Bool(false));
        }
    }
}

/// What an argument that is left out is taken for anyway.
fn is_nothing(default: &Value) -> bool {
    match default {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(keys) => keys.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

/// Take the null case out of `type`, `enum` and `anyOf`.
fn drop_null(object: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".into(), only);
        }
    }
    if let Some(Value::Array(values)) = object.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    if let Some(Value::Array(cases)) = object.get_mut("anyOf") {
        cases.retain(|case| case.get("type").is_none_or(|name| name != "null"));
        if let [Value::Object(only)] = cases.as_slice() {
            let only = only.clone();
            object.remove("anyOf");
            for (key, value) in only {
                object.entry(key).or_insert(value);
            }
        }
    }
}

/// An enum whose variants have doc comments is a `oneOf` of constants; clients know `enum`.
fn constants_to_enum(object: &mut Map<String, Value>) {
    let Some(Value::Array(cases)) = object.get("oneOf") else {
        return;
    };
    let Some(values) = cases
        .iter()
        .map(|case| case.get("const").filter(|value| value.is_string()).cloned())
        .collect::<Option<Vec<_>>>()
    else {
        return;
    };
    object.remove("oneOf");
    object.insert("type".into(), json!("string"));
    object.insert("enum".into(), Value::Array(values));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(rename_all = "lowercase")]
    enum Mode {
        /// Fast.
        Fast,
        /// Slow.
        Slow,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Inner {
        /// A number
        format: u8,
    }

    /// Not shown.
    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Arguments {
        /// A name that is
        /// wrapped
        name: String,
        /// How
        mode: Option<Mode>,
        /// Whether
        #[serde(default)]
        whether: bool,
        /// How many
        #[serde(default = "five")]
        #[schemars(range(min = 1, max = 9))]
        count: u32,
        /// More
        inner: Option<Inner>,
    }

    fn five() -> u32 {
        5
    }

    #[test]
    fn an_input_schema_is_flat_closed_and_portable() {
        assert_eq!(
            of_input::<Arguments>(),
            json!({
                "type": "object",
                "properties": {
                    "name": { "description": "A name that is wrapped", "type": "string" },
                    "mode": { "description": "How", "type": "string", "enum": ["fast", "slow"] },
                    "whether": { "description": "Whether", "type": "boolean" },
                    "count": {
                        "description": "How many",
                        "type": "integer",
                        "minimum": 1,
                        "maximum": 9,
                        "default": 5
                    },
                    "inner": {
                        "description": "More",
                        "type": "object",
                        "required": ["format"],
                        "additionalProperties": false,
                        "properties": {
                            "format": {
                                "description": "A number",
                                "type": "integer",
                                "minimum": 0,
                                "maximum": 255
                            }
                        }
                    }
                },
                "required": ["name"],
                "additionalProperties": false
            })
        );
    }

    /// Described, and open.
    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Open {
        /// Its name
        model: String,
        /// What plugins add
        #[serde(flatten)]
        others: Map<String, Value>,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    struct WithOpen {
        /// A model
        read: Open,
        /// Any
        free: Map<String, Value>,
    }

    #[test]
    fn a_struct_that_takes_more_than_its_fields_stays_open() {
        let properties = &of_input::<WithOpen>()["properties"];
        assert_eq!(properties["read"]["additionalProperties"], true);
        assert_eq!(properties["read"]["properties"]["model"]["type"], "string");
        assert!(properties["free"].get("additionalProperties").is_none());
    }

    #[derive(Serialize, JsonSchema)]
    struct Found {
        /// Not shown
        total: u64,
        rows: Vec<Inner>,
        mode: Mode,
        #[serde(skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    }

    #[test]
    fn an_output_schema_names_what_is_always_there() {
        let properties = json!({
            "total": { "type": "integer" },
            "rows": { "type": "array" },
            "mode": { "type": "string", "enum": ["fast", "slow"] }
        });
        assert_eq!(
            of_output::<Found>(),
            json!({
                "type": "object",
                "properties": properties,
                "required": ["total", "rows", "mode"]
            })
        );
    }

    #[test]
    #[should_panic(expected = "put it into a struct with a named field")]
    fn a_result_that_is_no_object_is_refused_when_the_tool_is_described() {
        of_output::<Vec<String>>();
    }

    #[test]
    fn an_answer_always_says_whether_it_is_available() {
        let schema = of_output::<crate::Answer<Inner>>();
        let properties =
            json!({ "available": { "type": "boolean" }, "format": { "type": "integer" } });
        assert_eq!(
            schema,
            json!({ "type": "object", "properties": properties, "required": ["available"] })
        );
    }
}
