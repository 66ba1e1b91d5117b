//! A tool as it is listed: what model APIs and their SDKs refuse is left out, and enforced all the
//! same.
//!
//! One schema that a client's SDK cannot convert costs the client all tools of the server. The
//! schema that calls are checked against is the one that was admitted; what is listed says less, in
//! words that every converter knows.

use serde_json::{Map, Value, json};

/// Keywords that some converters stop at, or some APIs refuse. Google's converter takes the value
/// of `additionalProperties` for a schema with members, so that `false` ends it; strict modes add
/// it by themselves.
const LEFT_OUT: [&str; 9] = [
    "additionalProperties",
    "unevaluatedProperties",
    "patternProperties",
    "propertyNames",
    "minProperties",
    "maxProperties",
    "dependentRequired",
    "dependentSchemas",
    "unevaluatedItems",
];
/// Keywords whose value is a list of schemas.
const MANY: [&str; 4] = ["anyOf", "oneOf", "allOf", "prefixItems"];

/// `definition` as it is listed: without `examples`, which stand in error messages, with its
/// `inputSchema` made portable, and without what only the host looks at.
pub(crate) fn listed(mut definition: Value) -> Value {
    if let Some(map) = definition.as_object_mut() {
        map.shift_remove("examples");
        if let Some(schema) = map.get_mut("inputSchema") {
            *schema = portable(schema);
        }
        // The host holds a tool to it; a client reads what comes.
        if let Some(Value::Object(schema)) = map.get_mut("outputSchema") {
            schema.shift_remove("required");
        }
    }
    definition
}

/// `schema` in the words that every converter knows. It accepts whatever `schema` accepts, and
/// perhaps more.
fn portable(schema: &Value) -> Value {
    let Value::Object(schema) = schema else {
        // `true` accepts every value; what `false` refuses is refused at the call.
        return json!({});
    };
    let mut out = Map::new();
    let mut values = Vec::new();
    for (keyword, value) in schema {
        let list = || value.as_array().map(Vec::as_slice).unwrap_or_default();
        let (keyword, value) = match keyword.as_str() {
            keyword if LEFT_OUT.contains(&keyword) => continue,
            // "Not empty" is for the host: an empty value of what need not be there counts as left
            // out.
            "minLength" if *value == 1 => continue,
            // Nobody counts below that, and no port is above.
            "minimum" if *value == 0 || *value == 1 => continue,
            "maximum" if *value == u16::MAX => continue,
            "const" | "enum" if !is_texts(value) => {
                values = if keyword == "enum" {
                    list().to_vec()
                } else {
                    vec![value.clone()]
                };
                continue;
            }
            "const" => ("enum", json!([value])),
            "properties" => ("properties", properties(value)),
            "items" => ("items", portable(value)),
            "oneOf" if !schema.contains_key("anyOf") => {
                ("anyOf", list().iter().map(portable).collect())
            }
            keyword if MANY.contains(&keyword) => (keyword, list().iter().map(portable).collect()),
            keyword => (keyword, value.clone()),
        };
        out.insert(keyword.to_owned(), value);
    }
    if !values.is_empty() {
        describe(&mut out, &values);
    }
    Value::Object(out)
}

/// A property that no value fits is not listed.
fn properties(properties: &Value) -> Value {
    let properties = properties.as_object().into_iter().flatten();
    properties
        .filter(|(_, schema)| **schema != false)
        .map(|(name, schema)| (name.clone(), portable(schema)))
        .collect::<Map<_, _>>()
        .into()
}

/// Whether a constant, or all values of an enumeration, are text: some APIs know no other.
fn is_texts(value: &Value) -> bool {
    value.as_array().map_or(value.is_string(), |values| {
        values.iter().all(Value::is_string)
    })
}

/// Say in words which values are allowed.
fn describe(schema: &mut Map<String, Value>, values: &[Value]) {
    let values: Vec<String> = values.iter().map(Value::to_string).collect();
    let allowed = format!("One of: {}", values.join(", "));
    let description = match schema.get("description").and_then(Value::as_str) {
        Some(words) => format!("{words} {allowed}"),
        None => allowed,
    };
    schema.insert("description".to_owned(), Value::String(description));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(schema: &Value) -> Value {
        let definition = json!({"inputSchema": schema, "outputSchema": schema, "examples": [{}]});
        let listed = listed(definition);
        let mut output = schema.clone();
        if let Some(output) = output.as_object_mut() {
            output.remove("required");
        }
        assert_eq!(listed["outputSchema"], output, "no client converts it");
        assert!(listed.get("examples").is_none());
        listed["inputSchema"].clone()
    }

    #[test]
    fn what_a_converter_stops_at_is_not_listed() {
        let schema = json!({
            "type": "object",
            "additionalProperties": false,
            "required": ["a"],
            "properties": {
                "additionalProperties": {
                    "type": "string",
                    "description": "a property may be called so"
                },
                "a": {"type": "string", "minLength": 1, "description": "d"},
                "b": {
                    "type": "object",
                    "additionalProperties": {"type": "string"},
                    "minProperties": 1
                },
                "c": {
                    "oneOf": [
                        {"type": "string"},
                        {
                            "type": "object",
                            "properties": {"x": true, "y": false},
                            "additionalProperties": false
                        }
                    ]
                },
                "d": {"type": "array", "items": true, "minItems": 2},
                "e": {"type": "integer", "enum": [1, 2], "description": "d"},
                "f": {"const": "x"},
                "g": {"const": 7},
                "h": true,
                "i": false,
                "j": {"type": "string", "minLength": 3, "maxLength": 9, "pattern": "^x"}
            }
        });
        assert_eq!(
            shown(&schema),
            json!({
                "type": "object",
                "required": ["a"],
                "properties": {
                    "additionalProperties": {
                        "type": "string",
                        "description": "a property may be called so"
                    },
                    "a": {"type": "string", "description": "d"},
                    "b": {"type": "object"},
                    "c": {
                        "anyOf": [{"type": "string"}, {"type": "object", "properties": {"x": {}}}]
                    },
                    "d": {"type": "array", "items": {}, "minItems": 2},
                    "e": {"type": "integer", "description": "d One of: 1, 2"},
                    "f": {"enum": ["x"]},
                    "g": {"description": "One of: 7"},
                    "h": {},
                    "j": {"type": "string", "minLength": 3, "maxLength": 9, "pattern": "^x"}
                }
            })
        );
    }
}
