//! Values as typed readers expect them: what a client or a tool wrote, and what it means by its schema.

use serde_json::Value;

/// `value` as typed readers expect it: without members that are null where the schema knows no null, since many clients send null for
/// what they leave out; and with 60 for 60.0 where the schema says integer.
pub(crate) fn tidied(value: &Value, schema: &Value) -> Value {
    tidy(value, schema, false)
}

/// Arguments, [`tidied`], and taken for what they mean: some clients send numbers, objects and lists as text.
pub(crate) fn meant(arguments: &Value, schema: &Value) -> Value {
    tidy(arguments, schema, true)
}

fn tidy(value: &Value, schema: &Value, texts: bool) -> Value {
    match value {
        Value::Object(members) => {
            let required = |name: &str| {
                schema
                    .get("required")
                    .and_then(Value::as_array)
                    .is_some_and(|names| names.iter().any(|n| n == name))
            };
            let kept = members.iter().filter_map(|(name, member)| {
                let Some(property) = schema
                    .get("properties")
                    .and_then(|properties| properties.get(name))
                else {
                    return Some((name.clone(), member.clone()));
                };
                if member.is_null() && !required(name) && !allows_null(property) {
                    return None;
                }
                Some((name.clone(), tidy(member, property, texts)))
            });
            Value::Object(kept.collect())
        }
        Value::Array(items) => match schema.get("items") {
            Some(schema) => {
                let items = items.iter().map(|item| tidy(item, schema, texts));
                Value::Array(items.collect())
            }
            None => value.clone(),
        },
        Value::Number(number) if number.is_f64() && schema["type"] == "integer" => number
            .as_f64()
            .and_then(whole)
            .map_or_else(|| value.clone(), Value::from),
        Value::String(text) if texts && schema["type"] != "string" => {
            as_json(text, schema).unwrap_or_else(|| value.clone())
        }
        scalar => scalar.clone(),
    }
}

/// The JSON in `text`, if the schema names its type and no text fits; beside text, only an object is told from it.
fn as_json(text: &str, schema: &Value) -> Option<Value> {
    let takes_text = form(schema, "string").is_some();
    let value: Value = serde_json::from_str(text).ok()?;
    let form = match &value {
        Value::Object(_) => form(schema, "object"),
        Value::Array(_) if !takes_text => form(schema, "array"),
        Value::Number(_) if !takes_text => {
            form(schema, "number").or_else(|| form(schema, "integer"))
        }
        _ => None,
    };
    Some(tidy(&value, form?, true))
}

/// The part of `schema` that names this type, if one does.
fn form<'a>(schema: &'a Value, kind: &str) -> Option<&'a Value> {
    let cases = ["anyOf", "oneOf"]
        .iter()
        .find_map(|key| schema.get(key)?.as_array());
    if let Some(cases) = cases {
        return cases.iter().find_map(|case| form(case, kind));
    }
    let names = match schema.get("type")? {
        Value::Array(kinds) => kinds.iter().any(|one| one == kind),
        only => only == kind,
    };
    names.then_some(schema)
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
            "type": "object", "required": ["project_dir"],
            "properties": {
                "project_dir": {"type": "string"},
                "form": {"oneOf": [{"const": "a"}, {"const": "b"}]},
                "timeout": {"type": "integer"},
                "any": {},
                "rows": {"type": "array", "items": {"type": "object", "properties": {"x": {"type": "integer"}}}},
            },
        })
    }

    #[test]
    fn null_for_what_was_left_out_is_no_violation() {
        let value = json!({"project_dir": null, "timeout": null, "form": null, "any": null, "other": null, "rows": [{"x": null}]});
        assert_eq!(
            tidied(&value, &schema()),
            json!({"project_dir": null, "any": null, "other": null, "rows": [{}]})
        );
    }

    #[test]
    fn text_is_taken_for_the_json_in_it_only_where_the_schema_takes_no_such_text() {
        let either = json!({"anyOf": [{"type": "string"}, {"type": "object"}]});
        let schema = json!({"type": "object", "properties": {
            "key": {"type": "string"}, "n": {"type": "integer"}, "x": {"type": "number"}, "any": {},
            "spec": {"type": "object", "properties": {"mode": {"type": "string"}, "size": {"type": "integer"}}},
            "list": {"type": "array", "items": {"type": "integer"}}, "mode": {"enum": ["1", "2"]}, "read": either}});
        let taken = |value: Value| meant(&value, &schema);
        assert_eq!(
            taken(
                json!({"n": "15", "x": "1.5", "spec": "{\"mode\": \"0755\", \"size\": \"7\"}", "list": "[1, 2.0]", "read": "{\"model\": \"zero\"}"})
            ),
            json!({"n": 15, "x": 1.5, "spec": {"mode": "0755", "size": 7}, "list": [1, 2], "read": {"model": "zero"}})
        );
        for as_it_is in [
            json!({"key": "15", "any": "15", "mode": "1", "read": "15"}),
            json!({"key": "{}", "any": "{}", "read": "zero"}),
            json!({"read": "[1]", "n": "fifteen", "spec": "[]", "list": "{}", "x": "true"}),
        ] {
            assert_eq!(taken(as_it_is.clone()), as_it_is);
        }
        let output = json!({"n": "15"});
        assert_eq!(
            tidied(&output, &schema),
            output,
            "a tool says what it means"
        );
    }

    #[test]
    fn a_whole_number_is_an_integer_however_it_is_written() {
        let value =
            json!({"timeout": 60.0, "any": 60.0, "rows": [{"x": -1.0}, {"x": 1.5}, {"x": 1e300}]});
        assert_eq!(
            tidied(&value, &schema()).to_string(),
            r#"{"timeout":60,"any":60.0,"rows":[{"x":-1},{"x":1.5},{"x":1e+300}]}"#
        );
    }
}
