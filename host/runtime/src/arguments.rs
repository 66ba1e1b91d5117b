//! Arguments and results against their schemas, with every violation said in words.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{Draft, PatternOptions, ValidationError, Validator};
use serde_json::{Map, Value};

use crate::text;
use crate::work::{self, Work};

/// Violations that are told; a hostile argument can have millions.
const MAX_VIOLATIONS: usize = 20;
/// Longest value that is shown.
const VALUE_CHARS: usize = 60;
/// Longest violation.
const SENTENCE_CHARS: usize = 400;
/// Longest name of a place.
const PLACE_CHARS: usize = 200;
/// Units of [`Work`] of what the validator is asked all errors of: each keyword that fails makes
/// one, of a few hundred bytes.
const EXPLAINED: u64 = 500_000;

/// The validator of an admitted schema. It never fetches anything: admitted schemas hold no
/// reference, and nothing is compiled in that could.
pub(crate) fn validator(schema: &Value) -> Result<Validator, ValidationError<'static>> {
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .should_validate_formats(true)
        // Linear time: a pattern of a plugin meets arguments of an agent.
        .with_pattern_options(PatternOptions::regex().size_limit(work::PATTERN_BYTES))
        .offline()
        .build(schema)
}

/// Ways in which `value` does not fit, in words, up to what is shown; empty when it does.
pub(crate) fn violations(validator: &Validator, schema: &Value, value: &Value) -> Vec<String> {
    found(validator, schema, value, None)
}

/// The same for who wrote the schema, which stands at `pointer` of a definition: each with the JSON
/// pointer of the keyword that `value` breaks.
pub(crate) fn violations_in(
    pointer: &str,
    validator: &Validator,
    schema: &Value,
    value: &Value,
) -> Vec<String> {
    found(validator, schema, value, Some(pointer))
}

fn found(
    validator: &Validator,
    schema: &Value,
    value: &Value,
    pointer: Option<&str>,
) -> Vec<String> {
    if validator.is_valid(value) {
        return Vec::new();
    }
    let mut found = Found {
        sentences: Vec::new(),
        left: work::MOST,
        with_pointers: pointer.is_some(),
    };
    let place = Place {
        value: String::new(),
        schema: pointer.unwrap_or_default().to_owned(),
    };
    found.explain(validator, schema, value, &place);
    found.sentences
}

/// Where a part of a value lies, and its schema, as JSON pointers.
struct Place {
    value: String,
    schema: String,
}

/// Violations that were found.
struct Found {
    sentences: Vec<String>,
    /// Units of [`Work`] that may still go into looking for where they are.
    left: u64,
    /// Whether each is told with the place of its keyword.
    with_pointers: bool,
}

impl Found {
    /// Say how `value`, which lies `at` a place and does not fit, breaks `schema`.
    ///
    /// The validator collects all errors of a value, however many, so it is asked for those of
    /// small ones only; in a large one the places that break the schema are looked for first.
    fn explain(&mut self, validator: &Validator, schema: &Value, value: &Value, at: &Place) {
        if Work::of(schema).on(value) <= EXPLAINED {
            self.add(validator, schema, value, at);
            return;
        }
        let before = self.sentences.len();
        let own = own(schema);
        if let Ok(validator) = self::validator(&own) {
            self.add(&validator, &own, value, at);
        }
        for (step, schema, parts) in parts(schema, value) {
            let (Ok(validator), work) = (self::validator(schema), Work::of(schema)) else {
                continue;
            };
            for (name, part) in parts {
                let units = work.on(part);
                if self.is_full() || self.left < units {
                    break;
                }
                self.left -= units;
                if !validator.is_valid(part) {
                    let place = Place {
                        value: format!("{}/{name}", at.value),
                        schema: format!("{}{step}", at.schema),
                    };
                    self.explain(&validator, schema, part, &place);
                }
            }
        }
        if self.sentences.len() == before {
            let sentence = format!(
                "{} is {}, and does not fit its schema",
                place(&at.value),
                show(value)
            );
            self.say(&sentence, &at.schema);
        }
    }

    fn add(&mut self, validator: &Validator, schema: &Value, value: &Value, at: &Place) {
        for error in validator.iter_errors(value) {
            let keyword = format!("{}{}", at.schema, error.schema_path());
            for sentence in sentences_for(&error, schema, &at.value) {
                self.say(&sentence, &keyword);
            }
            if self.is_full() {
                break;
            }
        }
    }

    fn say(&mut self, sentence: &str, keyword: &str) {
        match self.sentences.len() {
            0..MAX_VIOLATIONS => {
                let mut sentence = text::clean(sentence, SENTENCE_CHARS);
                if self.with_pointers {
                    let keyword = text::clean(keyword, PLACE_CHARS);
                    sentence = format!("{sentence} (`{keyword}`)");
                }
                self.sentences.push(sentence);
            }
            MAX_VIOLATIONS => self.sentences.push("… and more".to_owned()),
            _ => {}
        }
    }

    fn is_full(&self) -> bool {
        self.sentences.len() > MAX_VIOLATIONS
    }
}

/// What `schema` demands of a value itself, whatever its parts are. Cheap to check on a value of
/// any size.
fn own(schema: &Value) -> Value {
    let mut own = Map::new();
    for (keyword, value) in schema.as_object().into_iter().flatten() {
        let value = match keyword.as_str() {
            "properties" => {
                let known = value.as_object().into_iter().flatten();
                // Descriptions are told of what is missing.
                let known = known.map(|(name, schema)| {
                    let about = schema.get("description").cloned();
                    let about = about.map(|about| ("description".to_owned(), about));
                    (name.clone(), Value::Object(about.into_iter().collect()))
                });
                Value::Object(known.collect())
            }
            "additionalProperties" if value.is_boolean() => value.clone(),
            "type" | "required" | "enum" | "const" | "minimum" | "maximum" | "exclusiveMinimum"
            | "exclusiveMaximum" | "minLength" | "maxLength" | "minItems" | "maxItems"
            | "pattern" | "format" => value.clone(),
            _ => continue,
        };
        own.insert(keyword.clone(), value);
    }
    Value::Object(own)
}

type Parts<'a> = Box<dyn Iterator<Item = (String, &'a Value)> + 'a>;

/// The schemas for parts of `value`, each with its place in `schema`, and the parts that it is for
/// with their names.
fn parts<'a>(schema: &'a Value, value: &'a Value) -> Vec<(String, &'a Value, Parts<'a>)> {
    let mut found: Vec<(String, &Value, Parts<'_>)> = Vec::new();
    match value {
        Value::Object(members) => {
            let known = schema.get("properties").and_then(Value::as_object);
            for (name, schema) in known.into_iter().flatten() {
                if let Some(member) = members.get(name) {
                    let step = format!("/properties/{name}");
                    let member = std::iter::once((name.clone(), member));
                    found.push((step, schema, Box::new(member)));
                }
            }
            if let Some(schema) = schema.get("additionalProperties")
                && schema.is_object()
            {
                let others = members
                    .iter()
                    .filter(move |(name, _)| known.is_none_or(|known| !known.contains_key(*name)))
                    .map(|(name, member)| (name.clone(), member));
                found.push(("/additionalProperties".to_owned(), schema, Box::new(others)));
            }
        }
        Value::Array(items) => {
            let first = schema.get("prefixItems").and_then(Value::as_array);
            let first = first.map_or(&[][..], Vec::as_slice);
            for (n, (schema, item)) in first.iter().zip(items).enumerate() {
                let item = std::iter::once((n.to_string(), item));
                found.push((format!("/prefixItems/{n}"), schema, Box::new(item)));
            }
            if let Some(schema) = schema.get("items") {
                let rest = items.iter().enumerate().skip(first.len());
                let rest = rest.map(|(n, item)| (n.to_string(), item));
                found.push(("/items".to_owned(), schema, Box::new(rest)));
            }
        }
        _ => {}
    }
    found
}

/// How a place in a value is called.
fn place(at: &str) -> String {
    if at.is_empty() {
        "the value".to_owned()
    } else {
        format!("`{}`", text::clean(at.trim_start_matches('/'), PLACE_CHARS))
    }
}

/// What is wrong in a value that lies `above`, by `schema`, in words.
fn sentences_for(error: &ValidationError<'_>, schema: &Value, above: &str) -> Vec<String> {
    let at = format!("{above}{}", error.instance_path());
    let here = place(&at);
    let child = |name: &str| place(&format!("{at}/{name}"));
    let value = show(error.instance());
    let one = |sentence: String| vec![sentence];
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            let allowed = allowed_properties(error, schema);
            unexpected
                .iter()
                .take(MAX_VIOLATIONS + 1)
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
        ValidationErrorKind::AnyOf { .. } | ValidationErrorKind::OneOfNotValid { .. } => one(
            format!("{here} is {value}, which fits none of the forms that are allowed there"),
        ),
        kind => one(demand(kind).map_or_else(
            || format!("{here}: {}", error.masked_with("the value")),
            |demand| format!("{here} is {value}, and must {demand}"),
        )),
    }
}

/// What a plain keyword demands, to follow "must".
fn demand(kind: &ValidationErrorKind) -> Option<String> {
    Some(match kind {
        ValidationErrorKind::Type { kind } => format!("be {}", types(kind)),
        ValidationErrorKind::Constant { expected_value } => format!("be {}", show(expected_value)),
        ValidationErrorKind::Minimum { limit } => format!("be at least {limit}"),
        ValidationErrorKind::Maximum { limit } => format!("be at most {limit}"),
        ValidationErrorKind::ExclusiveMinimum { limit } => format!("be more than {limit}"),
        ValidationErrorKind::ExclusiveMaximum { limit } => format!("be less than {limit}"),
        ValidationErrorKind::MinLength { limit } => format!("have at least {limit} characters"),
        ValidationErrorKind::MaxLength { limit } => format!("have at most {limit} characters"),
        ValidationErrorKind::MinItems { limit } => format!("have at least {limit} items"),
        ValidationErrorKind::MaxItems { limit } => format!("have at most {limit} items"),
        ValidationErrorKind::Pattern { pattern } => format!("match the pattern {pattern}"),
        ValidationErrorKind::Format { format } => format!("be a {format}"),
        _ => return None,
    })
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

/// The schema whose keyword was broken. References are inlined, so the path of the keyword leads to
/// it.
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        json!({
            "type": "object",
            "required": ["project_dir", "mode"],
            "additionalProperties": false,
            "properties": {
                "project_dir": {"type": "string", "description": "the project"},
                "mode": {"enum": ["fast", "slow"]},
                "timeout": {"type": "integer", "minimum": 1, "maximum": 60},
                "model": {
                    "type": "object",
                    "additionalProperties": false,
                    "properties": {"kind": {"type": "string", "maxLength": 3}}
                }
            }
        })
    }

    fn check(value: &Value) -> Vec<String> {
        violations(&validator(&schema()).unwrap(), &schema(), value)
    }

    #[test]
    fn all_violations_are_told_at_once_with_what_is_allowed() {
        let mut found = check(&json!({
            "projct_dir": "x",
            "mode": "fsat",
            "timeout": 0,
            "model": {"kin": "x", "kind": "abcd"}
        }));
        found.sort();
        let expected = [
            "`mode` is \"fsat\", and must be one of \"fast\", \"slow\"; did you mean \"fast\"?",
            "`model/kin` is not known; allowed are `kind`; did you mean `kind`?",
            "`model/kind` is \"abcd\", and must have at most 3 characters",
            "`project_dir` is missing: the project",
            "`projct_dir` is not known; allowed are `project_dir`, `mode`, `timeout`, `model`; \
             did you mean `project_dir`?",
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
    fn whoever_wrote_the_schema_is_told_which_keyword_is_broken() {
        let told = |value: &Value| {
            let validator = validator(&schema()).unwrap();
            violations_in("/outputSchema", &validator, &schema(), value)
        };
        assert_eq!(
            told(&json!({"project_dir": "x", "mode": "fast", "model": {"kind": 7}})),
            ["`model/kind` is 7, and must be a string \
                 (`/outputSchema/properties/model/properties/kind/type`)"]
        );
        assert_eq!(
            told(&json!({"mode": "fast"})),
            ["`project_dir` is missing: the project (`/outputSchema/required`)"]
        );
        // In what is too large to be asked for all errors, too.
        let schema = json!({
            "type": "object",
            "properties": {"rows": {"type": "array", "items": {"type": "integer"}}}
        });
        let rows: Vec<Value> = (0..300_000).map(|n| json!(n)).chain([json!("x")]).collect();
        let found = violations_in(
            "/outputSchema",
            &validator(&schema).unwrap(),
            &schema,
            &json!({"rows": rows}),
        );
        let last = found.last().unwrap();
        assert!(
            last.contains("/outputSchema/properties/rows/items/type"),
            "{found:?}"
        );
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
}
