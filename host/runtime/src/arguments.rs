//! Arguments and results against their schemas, with every violation said in words.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{Draft, PatternOptions, ValidationError, Validator};
use serde_json::Value;

use crate::text;

/// Violations that are told; a hostile argument can have millions.
const MAX_VIOLATIONS: usize = 20;
/// Longest value that is shown.
const VALUE_CHARS: usize = 60;
/// Longest violation.
const SENTENCE_CHARS: usize = 400;

/// The validator of an admitted schema. It never fetches anything: admitted schemas hold no reference, and nothing is compiled in that could.
pub(crate) fn validator(schema: &Value) -> Result<Validator, String> {
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .should_validate_formats(true)
        // Linear time: a pattern of a plugin meets arguments of an agent.
        .with_pattern_options(PatternOptions::regex())
        .offline()
        .build(schema)
        .map_err(|error| error.to_string())
}

/// Every way in which `value` does not fit, in words; empty when it does.
pub(crate) fn violations(validator: &Validator, schema: &Value, value: &Value) -> Vec<String> {
    let mut sentences: Vec<String> = Vec::new();
    for error in validator.iter_errors(value) {
        sentences.extend(
            sentences_for(&error, schema)
                .into_iter()
                .map(|sentence| text::clean(&sentence, SENTENCE_CHARS)),
        );
        if sentences.len() > MAX_VIOLATIONS {
            sentences.truncate(MAX_VIOLATIONS);
            sentences.push("… and more".to_owned());
            break;
        }
    }
    sentences
}

fn sentences_for(error: &ValidationError<'_>, schema: &Value) -> Vec<String> {
    let at = error.instance_path().to_string();
    let here = if at.is_empty() {
        "the value".to_owned()
    } else {
        format!("`{}`", at.trim_start_matches('/'))
    };
    let child = |name: &str| {
        if at.is_empty() {
            format!("`{name}`")
        } else {
            format!("`{}/{name}`", at.trim_start_matches('/'))
        }
    };
    let value = show(error.instance());
    let one = |sentence: String| vec![sentence];
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            let allowed = allowed_properties(error, schema);
            unexpected
                .iter()
                .map(|name| unknown(&child(name), name, &allowed))
                .collect()
        }
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            let about = property_schema(error, schema, name)
                .and_then(|schema| schema.get("description"))
                .and_then(Value::as_str);
            one(format!(
                "{} is missing{}",
                child(name),
                about.map_or_else(String::new, |about| format!(": {about}"))
            ))
        }
        ValidationErrorKind::Type { kind } => {
            one(format!("{here} is {value}, and must be {}", types(kind)))
        }
        ValidationErrorKind::Enum { options } => {
            let names: Vec<&str> = options
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            let near = error
                .instance()
                .as_str()
                .and_then(|word| text::nearest(word, names.into_iter()));
            let near = near.map_or_else(String::new, |name| format!("; did you mean {name:?}?"));
            one(format!(
                "{here} is {value}, and must be one of {}{near}",
                list(options)
            ))
        }
        ValidationErrorKind::Constant { expected_value } => one(format!(
            "{here} is {value}, and must be {}",
            show(expected_value)
        )),
        ValidationErrorKind::Minimum { limit } => {
            one(format!("{here} is {value}, and must be at least {limit}"))
        }
        ValidationErrorKind::Maximum { limit } => {
            one(format!("{here} is {value}, and must be at most {limit}"))
        }
        ValidationErrorKind::ExclusiveMinimum { limit } => {
            one(format!("{here} is {value}, and must be more than {limit}"))
        }
        ValidationErrorKind::ExclusiveMaximum { limit } => {
            one(format!("{here} is {value}, and must be less than {limit}"))
        }
        ValidationErrorKind::MinLength { limit } => one(format!(
            "{here} is {value}, and must have at least {limit} characters"
        )),
        ValidationErrorKind::MaxLength { limit } => one(format!(
            "{here} is {value}, and must have at most {limit} characters"
        )),
        ValidationErrorKind::MinItems { limit } => {
            one(format!("{here} must have at least {limit} items"))
        }
        ValidationErrorKind::MaxItems { limit } => {
            one(format!("{here} must have at most {limit} items"))
        }
        ValidationErrorKind::Pattern { pattern } => one(format!(
            "{here} is {value}, and must match the pattern {pattern}"
        )),
        ValidationErrorKind::Format { format } => {
            one(format!("{here} is {value}, and must be a {format}"))
        }
        ValidationErrorKind::AnyOf { .. } | ValidationErrorKind::OneOfNotValid { .. } => one(
            format!("{here} is {value}, which fits none of the forms that are allowed there"),
        ),
        _ => one(format!("{here}: {}", error.masked_with("the value"))),
    }
}

fn unknown(path: &str, name: &str, allowed: &[&str]) -> String {
    let near = text::nearest(name, allowed.iter().copied())
        .map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
    if allowed.is_empty() {
        return format!("{path} is not known: no properties are allowed there");
    }
    format!(
        "{path} is not known; allowed are {}{near}",
        allowed
            .iter()
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", ")
    )
}

/// The schema whose keyword was broken. References are inlined, so the path of the keyword leads to it.
fn broken_schema<'a>(error: &ValidationError<'_>, schema: &'a Value) -> Option<&'a Value> {
    let keyword = error.schema_path().to_string();
    schema.pointer(keyword.rsplit_once('/')?.0)
}

fn allowed_properties<'a>(error: &ValidationError<'_>, schema: &'a Value) -> Vec<&'a str> {
    let properties = broken_schema(error, schema)
        .and_then(|schema| schema.get("properties"))
        .and_then(Value::as_object);
    properties
        .into_iter()
        .flat_map(|properties| properties.keys())
        .map(String::as_str)
        .collect()
}

fn property_schema<'a>(
    error: &ValidationError<'_>,
    schema: &'a Value,
    name: &str,
) -> Option<&'a Value> {
    broken_schema(error, schema)?.get("properties")?.get(name)
}

fn types(kind: &TypeKind) -> String {
    let with_article = |name: String| match name.as_str() {
        "null" => name,
        "array" | "object" | "integer" => format!("an {name}"),
        _ => format!("a {name}"),
    };
    match kind {
        TypeKind::Single(kind) => with_article(kind.to_string()),
        TypeKind::Multiple(kinds) => kinds
            .iter()
            .map(|kind| with_article(kind.to_string()))
            .collect::<Vec<_>>()
            .join(" or "),
    }
}

fn list(options: &Value) -> String {
    options.as_array().map_or_else(
        || show(options),
        |options| options.iter().map(show).collect::<Vec<_>>().join(", "),
    )
}

fn show(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("a list of {} items", items.len()),
        Value::Object(members) => format!("an object with {} members", members.len()),
        Value::String(text) if text.len() > VALUE_CHARS => format!(
            "{:?}… ({} characters)",
            text.chars().take(VALUE_CHARS).collect::<String>(),
            text.chars().count()
        ),
        scalar => scalar.to_string(),
    }
}

/// `value` as typed readers expect it: without members that are null where the schema knows no null, since many clients send null for
/// what they leave out; and with 60 for 60.0 where the schema says integer.
pub(crate) fn tidied(value: &Value, schema: &Value) -> Value {
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
                Some((name.clone(), tidied(member, property)))
            });
            Value::Object(kept.collect())
        }
        Value::Array(items) => match schema.get("items") {
            Some(schema) => Value::Array(items.iter().map(|item| tidied(item, schema)).collect()),
            None => value.clone(),
        },
        Value::Number(number) if number.is_f64() && schema["type"] == "integer" => number
            .as_f64()
            .and_then(whole)
            .map_or_else(|| value.clone(), Value::from),
        scalar => scalar.clone(),
    }
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
            "type": "object", "required": ["project_dir", "mode"], "additionalProperties": false,
            "properties": {
                "project_dir": {"type": "string", "description": "the project"},
                "mode": {"enum": ["fast", "slow"]},
                "form": {"oneOf": [{"const": "a"}, {"const": "b"}]},
                "timeout": {"type": "integer", "minimum": 1, "maximum": 60},
                "any": {},
                "model": {"type": "object", "additionalProperties": false, "properties": {"kind": {"type": "string", "maxLength": 3}}},
                "rows": {"type": "array", "items": {"type": "object", "properties": {"x": {"type": "integer"}}}},
            },
        })
    }

    fn check(value: &Value) -> Vec<String> {
        violations(&validator(&schema()).unwrap(), &schema(), value)
    }

    #[test]
    fn all_violations_are_told_at_once_with_what_is_allowed() {
        let mut found = check(
            &json!({"projct_dir": "x", "mode": "fsat", "timeout": 0, "model": {"kin": "x", "kind": "abcd"}}),
        );
        found.sort();
        let expected = [
            "`mode` is \"fsat\", and must be one of \"fast\", \"slow\"; did you mean \"fast\"?",
            "`model/kin` is not known; allowed are `kind`; did you mean `kind`?",
            "`model/kind` is \"abcd\", and must have at most 3 characters",
            "`project_dir` is missing: the project",
            "`projct_dir` is not known; allowed are `project_dir`, `mode`, `form`, `timeout`, `any`, `model`, `rows`; did you mean `project_dir`?",
            "`timeout` is 0, and must be at least 1",
        ];
        let mut expected = expected.map(str::to_owned);
        expected.sort();
        assert_eq!(found, expected);
        assert_eq!(
            check(&json!([1])),
            ["the value is a list of 1 items, and must be an object"]
        );
        assert!(check(&json!({"project_dir": "x", "mode": "fast"})).is_empty());
    }

    #[test]
    fn hostile_arguments_give_short_and_harmless_sentences() {
        let found =
            check(&json!({"project_dir": 7, "mode": "\u{1b}[2J".repeat(10_000), "timeout": "x"}));
        assert!(
            found
                .iter()
                .all(|sentence| sentence.len() < 3000 && !sentence.contains('\u{1b}')),
            "{found:?}"
        );
        let many: serde_json::Map<String, Value> =
            (0..1000).map(|n| (format!("k{n}"), json!(1))).collect();
        assert!(check(&Value::Object(many)).len() <= 21);
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
    fn a_whole_number_is_an_integer_however_it_is_written() {
        let value =
            json!({"timeout": 60.0, "any": 60.0, "rows": [{"x": -1.0}, {"x": 1.5}, {"x": 1e300}]});
        assert_eq!(
            tidied(&value, &schema()).to_string(),
            r#"{"timeout":60,"any":60.0,"rows":[{"x":-1},{"x":1.5},{"x":1e+300}]}"#
        );
    }
}
