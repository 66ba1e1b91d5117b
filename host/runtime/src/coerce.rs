//! Values as typed readers expect them: what a client or a tool wrote, and what it means by its
//! schema.
//!
//! Clients in a strict mode send every property, and null or an empty value for what they leave
//! out; others send numbers, objects and lists as text, or a number where text is meant. Each is
//! taken for what it means where nothing else can be meant.

use serde_json::{Map, Value};

/// `value` as typed readers expect it: without members that are null where the schema knows no
/// null; and with 60 for 60.0 where the schema says integer. Taken over, since a result may be
/// large.
pub(crate) fn output(value: Value, schema: &Value) -> Value {
    tidy(value, schema, Writer::Tool)
}

/// Arguments, as [`output`], and taken for what they mean.
pub(crate) fn arguments(arguments: &Value, schema: &Value) -> Value {
    tidy(arguments.clone(), schema, Writer::Agent)
}

/// Who wrote a value. A tool says what it means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Writer {
    Agent,
    Tool,
}

fn tidy(value: Value, schema: &Value, writer: Writer) -> Value {
    let by_agent = writer == Writer::Agent;
    match value {
        Value::Object(members) => Value::Object(tidy_members(members, schema, writer)),
        Value::Array(items) => {
            match only_form(schema, "array").and_then(|form| form.get("items")) {
                Some(schema) => {
                    let items = items.into_iter().map(|item| tidy(item, schema, writer));
                    Value::Array(items.collect())
                }
                None => Value::Array(items),
            }
        }
        Value::Number(number) if number.is_f64() && schema["type"] == "integer" => number
            .as_f64()
            .and_then(whole)
            .map_or_else(|| Value::Number(number), Value::from),
        Value::Number(number) if by_agent && takes_only(schema, "string") => {
            as_text(&number).map_or_else(|| Value::Number(number), Value::String)
        }
        Value::String(text) if by_agent && schema["type"] != "string" => {
            as_json(&text, schema).unwrap_or(Value::String(text))
        }
        scalar => scalar,
    }
}

fn tidy_members(members: Map<String, Value>, schema: &Value, writer: Writer) -> Map<String, Value> {
    let schema = only_form(schema, "object").unwrap_or(schema);
    let required = |name: &str| {
        schema
            .get("required")
            .and_then(Value::as_array)
            .is_some_and(|names| names.iter().any(|n| n == name))
    };
    let named = schema.get("properties");
    let others = schema
        .get("additionalProperties")
        .filter(|schema| schema.is_object());
    let tidied = members.into_iter().filter_map(|(name, member)| {
        let Some(property) = named.and_then(|named| named.get(&name)) else {
            return Some(match others {
                Some(schema) => (name, tidy(member, schema, writer)),
                None => (name, member),
            });
        };
        let member = tidy(member, property, writer);
        let says_nothing = member.is_null() && !allows_null(property)
            || writer == Writer::Agent && is_empty(&member) && !fits(&member, property);
        (required(&name) || !says_nothing).then_some((name, member))
    });
    tidied.collect()
}

/// The JSON in `text`, if the schema names its type and no text fits; beside text, only an object
/// is told from it.
fn as_json(text: &str, schema: &Value) -> Option<Value> {
    let takes_text = takes(schema, "string");
    let value: Value = match text.trim() {
        word if word.eq_ignore_ascii_case("true") => true.into(),
        word if word.eq_ignore_ascii_case("false") => false.into(),
        text => serde_json::from_str(text).ok()?,
    };
    let is_meant = match &value {
        Value::Object(_) => takes(schema, "object"),
        _ if takes_text => false,
        Value::Array(_) => takes(schema, "array"),
        Value::Number(_) => takes(schema, "number") || takes(schema, "integer"),
        Value::Bool(_) => takes(schema, "boolean"),
        Value::Null => KINDS.iter().any(|kind| takes(schema, kind)),
        Value::String(_) => false,
    };
    is_meant.then(|| tidy(value, schema, Writer::Agent))
}

/// What a number is as text: a whole one only, and one that every client writes in one way. 1.0
/// could be meant for `1` or `1.0`, and of one that is longer than floating point holds, digits may
/// be lost already.
fn as_text(number: &serde_json::Number) -> Option<String> {
    let value = number.as_i64()?;
    (value.unsigned_abs() < 1 << 53).then(|| value.to_string())
}

const KINDS: [&str; 6] = ["string", "object", "array", "number", "integer", "boolean"];

/// Whether `schema` names this type.
fn takes(schema: &Value, kind: &str) -> bool {
    !forms(schema, kind).is_empty()
}

/// Whether `schema` names this type and no other.
fn takes_only(schema: &Value, kind: &str) -> bool {
    KINDS
        .iter()
        .all(|other| takes(schema, other) == (*other == kind))
}

/// The part of `schema` that names this type, if only one does: by several, a value could be meant
/// in several ways.
fn only_form<'a>(schema: &'a Value, kind: &str) -> Option<&'a Value> {
    match forms(schema, kind).as_slice() {
        [one] => Some(one),
        _ => None,
    }
}

/// The parts of `schema` that name this type.
fn forms<'a>(schema: &'a Value, kind: &str) -> Vec<&'a Value> {
    let cases = ["anyOf", "oneOf"]
        .iter()
        .find_map(|key| schema.get(key)?.as_array());
    if let Some(cases) = cases {
        return cases.iter().flat_map(|case| forms(case, kind)).collect();
    }
    let names = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().any(|one| one == kind),
        Some(only) => only == kind,
        None => false,
    };
    if names { vec![schema] } else { Vec::new() }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members
            .values()
            .all(|member| member.is_null() || is_empty(member)),
        _ => false,
    }
}

/// Whether an empty value has a meaning of its own: the schema takes it.
fn fits(value: &Value, schema: &Value) -> bool {
    crate::arguments::validator(schema).is_ok_and(|validator| validator.is_valid(value))
}

/// Only numbers that are exact as floating point.
fn whole(number: f64) -> Option<i64> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "it is whole, and within what is exact"
    )]
    (number.fract() == 0.0 && number.abs() < 2_f64.powi(53)).then_some(number as i64)
}

fn allows_null(schema: &Value) -> bool {
    let any = |keyword: &str, allows: fn(&Value) -> bool| {
        schema
            .get(keyword)
            .and_then(Value::as_array)
            .is_none_or(|options| options.iter().any(allows))
    };
    schema.get("type").is_none_or(|kind| kind == "null")
        && schema.get("const").is_none_or(Value::is_null)
        && any("enum", Value::is_null)
        && any("anyOf", allows_null)
        && any("oneOf", allows_null)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        json!({
            "type": "object",
            "required": ["project_dir"],
            "properties": {
                "project_dir": {"type": "string"},
                "form": {"oneOf": [{"const": "a"}, {"const": "b"}]},
                "timeout": {"type": "integer"},
                "any": {},
                "rows": {
                    "type": "array",
                    "items": {"type": "object", "properties": {"x": {"type": "integer"}}}
                }
            }
        })
    }

    #[test]
    fn null_for_what_was_left_out_is_no_violation() {
        let value = json!({
            "project_dir": null,
            "timeout": null,
            "form": null,
            "any": null,
            "other": null,
            "rows": [{"x": null}]
        });
        assert_eq!(
            super::output(value.clone(), &schema()),
            json!({"project_dir": null, "any": null, "other": null, "rows": [{}]})
        );
    }

    #[test]
    fn text_is_taken_for_the_json_in_it_only_where_the_schema_takes_no_such_text() {
        let either = json!({"anyOf": [{"type": "string"}, {"type": "object"}]});
        let schema = json!({
            "type": "object",
            "properties": {
                "key": {"type": "string"},
                "n": {"type": "integer"},
                "x": {"type": "number"},
                "any": {},
                "spec": {
                    "type": "object",
                    "properties": {"mode": {"type": "string"}, "size": {"type": "integer"}}
                },
                "list": {"type": "array", "items": {"type": "integer"}},
                "mode": {"enum": ["1", "2"]},
                "read": either
            }
        });
        let taken = |value: Value| super::arguments(&value, &schema);
        assert_eq!(
            taken(json!({
                "n": "15",
                "x": "1.5",
                "spec": "{\"mode\": \"0755\", \"size\": \"7\"}",
                "list": "[1, 2.0]",
                "read": "{\"model\": \"zero\"}"
            })),
            json!({
                "n": 15,
                "x": 1.5,
                "spec": {"mode": "0755", "size": 7},
                "list": [1, 2],
                "read": {"model": "zero"}
            })
        );
        for as_it_is in [
            json!({"key": "15", "any": "15", "mode": "1", "read": "15"}),
            json!({"key": "{}", "any": "{}", "read": "zero"}),
            json!({
                "read": "[1]",
                "n": "fifteen",
                "spec": "[1]",
                "list": "{\"a\": 1}",
                "x": "true"
            }),
        ] {
            assert_eq!(taken(as_it_is.clone()), as_it_is);
        }
        let output = json!({"n": "15"});
        assert_eq!(
            super::output(output.clone(), &schema),
            output,
            "a tool says what it means"
        );
    }

    #[test]
    fn a_client_that_sends_every_property_leaves_out_what_is_empty_without_meaning() {
        let model = json!({
            "type": "object",
            "required": ["model"],
            "properties": {"model": {"type": "string"}, "val": {"type": "string"}}
        });
        let schema = json!({
            "type": "object",
            "required": ["key", "value"],
            "properties": {
                "key": {"type": "string", "minLength": 1},
                "value": {"type": "string"},
                "pattern": {"type": "string"},
                "dir": {"type": "string", "minLength": 1},
                "state": {"enum": ["a", "b"]},
                "n": {"type": "integer"},
                "dry": {"type": "boolean"},
                "read": {"anyOf": [{"type": "string", "minLength": 1}, model]},
                "list": {"type": "array", "minItems": 1, "items": {"type": "string"}},
                "map": {"type": "object"}
            }
        });
        let taken = |value: Value| super::arguments(&value, &schema);
        assert_eq!(
            taken(json!({
                "key": "k",
                "value": "",
                "pattern": "",
                "dir": "",
                "state": "",
                "n": "",
                "dry": "",
                "read": "",
                "list": [],
                "map": {}
            })),
            json!({"key": "k", "value": "", "pattern": "", "map": {}}),
            "a value may be empty where the schema takes it so"
        );
        assert_eq!(
            taken(json!({
                "key": "k",
                "value": "v",
                "dir": null,
                "state": null,
                "n": "null",
                "read": {"model": "zero", "val": null},
                "list": "[]"
            })),
            json!({"key": "k", "value": "v", "read": {"model": "zero"}})
        );
        assert_eq!(
            taken(json!({"read": {"model": null, "val": null}, "n": {}, "dry": {}})),
            json!({})
        );
        assert_eq!(
            taken(json!({"key": ""})),
            json!({"key": ""}),
            "what is required is missing then"
        );
        let output = json!({"key": "k", "dir": "", "list": []});
        assert_eq!(
            super::output(output.clone(), &schema),
            output,
            "a tool says what it means"
        );
    }

    #[test]
    fn a_scalar_of_another_type_is_taken_where_nothing_can_be_misread() {
        let schema = json!({
            "type": "object",
            "properties": {
                "text": {"type": "string"},
                "flag": {"type": "boolean"},
                "either": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
                "any": {},
                "names": {"type": "array", "items": {"type": "string"}},
                "env": {"type": "object", "additionalProperties": {"type": "string"}}
            }
        });
        let taken = |value: Value| super::arguments(&value, &schema);
        assert_eq!(
            taken(json!({"text": 8, "flag": "true", "names": [80, "a"], "env": {"A": 1}})),
            json!({"text": "8", "flag": true, "names": ["80", "a"], "env": {"A": "1"}})
        );
        assert_eq!(taken(json!({"flag": "False"})), json!({"flag": false}));
        for as_it_is in [
            json!({"text": 1.5}),
            json!({"text": 1.0}),
            json!({"text": 9_007_199_254_740_993_i64}),
            json!({"text": true}),
            json!({"flag": 1}),
            json!({"flag": "yes"}),
            json!({"either": 5, "any": 5}),
            json!({"either": "5", "any": "true"}),
        ] {
            assert_eq!(taken(as_it_is.clone()), as_it_is);
        }
        let output = json!({"text": 8, "flag": "true"});
        assert_eq!(super::output(output.clone(), &schema), output);
    }

    #[test]
    fn of_two_forms_for_an_object_none_is_guessed() {
        let one = |kind: &str| json!({"type": "object", "properties": {"n": {"type": kind}}});
        let schema = json!({
            "type": "object",
            "properties": {"x": {"anyOf": [one("integer"), one("string")]}}
        });
        let value = json!({"x": {"n": "5"}});
        assert_eq!(super::arguments(&value, &schema), value);
    }

    #[test]
    fn a_whole_number_is_an_integer_however_it_is_written() {
        let value =
            json!({"timeout": 60.0, "any": 60.0, "rows": [{"x": -1.0}, {"x": 1.5}, {"x": 1e300}]});
        assert_eq!(
            super::output(value.clone(), &schema()).to_string(),
            r#"{"timeout":60,"any":60.0,"rows":[{"x":-1},{"x":1.5},{"x":1e+300}]}"#
        );
    }
}
