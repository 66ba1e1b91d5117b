//! Tool schemas, made fit for every client: one bad schema makes some model APIs refuse all tools
//! of a session.

use std::cell::Cell;

use serde_json::{Map, Value, json};

use super::keywords::{DROPPED, FORMATS, MANY, NAMED, ONE, ROOT_REFUSED};
use super::nulls;
use crate::text;

const DEPTH: usize = 16;
const BYTES: usize = 8 << 10;
/// Schemas within a schema once references are in their place. More could not be written in
/// [`BYTES`].
const SUBSCHEMAS: usize = BYTES / 2;
const DESCRIPTION_CHARS: usize = 1000;

/// Which of a tool's two schemas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Of the arguments. Unknown properties are refused, so that a misspelt one is found.
    Input,
    /// Of the result.
    Output,
}

impl Role {
    /// Where it stands in a definition.
    fn pointer(self) -> &'static str {
        match self {
            Self::Input => "/inputSchema",
            Self::Output => "/outputSchema",
        }
    }
}

/// `schema` with local references inlined and what clients stumble over taken out; or what is wrong
/// with it.
pub(super) fn normalise(schema: &Value, role: Role) -> Result<Value, String> {
    let walk = Walk {
        root: schema,
        role,
        seen: Cell::new(0),
    };
    let mut normalised = walk.schema(schema, true, 0, role.pointer())?;
    let root = normalised
        .as_object_mut()
        .ok_or("it must be an object schema")?;
    if root.get("type").and_then(Value::as_str) != Some("object") {
        return Err(format!(
            "its root must have \"type\": \"object\" (`{}/type`)",
            role.pointer()
        ));
    }
    if let Some(keyword) = ROOT_REFUSED
        .iter()
        .find(|keyword| root.contains_key(**keyword))
    {
        return Err(format!(
            "its root must not use `{keyword}` (`{}/{keyword}`), which model APIs refuse; \
             describe the variants as properties",
            role.pointer()
        ));
    }
    if role == Role::Input {
        root.entry("properties").or_insert_with(|| json!({}));
        root.entry("additionalProperties")
            .or_insert(Value::Bool(false));
    }
    let bytes = normalised.to_string().len();
    if bytes > BYTES {
        return Err(format!(
            "it has {bytes} bytes, and at most {BYTES} are allowed"
        ));
    }
    jsonschema::draft202012::meta::validate(&normalised)
        .map_err(|error| unusable("it is not valid JSON Schema 2020-12", &error, role))?;
    crate::work::admit(&normalised)?;
    crate::arguments::validator(&normalised)
        .map_err(|error| unusable("it cannot be used", &error, role))?;
    Ok(normalised)
}

/// What is wrong, and where, as a JSON pointer into the definition.
fn unusable(what: &str, error: &jsonschema::ValidationError<'_>, role: Role) -> String {
    format!(
        "{what}: `{}{}`: {}",
        role.pointer(),
        error.instance_path(),
        text::clean(&error.to_string(), 300)
    )
}

/// One step of a JSON pointer.
fn step(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

struct Walk<'a> {
    root: &'a Value,
    role: Role,
    /// Schemas so far: few definitions that refer to each other can unfold into billions.
    seen: Cell<usize>,
}

impl Walk<'_> {
    /// Normalise one schema at `at`. `null_matters`: whether null differs from absence there.
    fn schema(
        &self,
        schema: &Value,
        null_matters: bool,
        depth: usize,
        at: &str,
    ) -> Result<Value, String> {
        if depth > DEPTH {
            return Err(format!(
                "it is deeper than {DEPTH} levels, or refers to itself (at `{at}`)"
            ));
        }
        self.seen.set(self.seen.get() + 1);
        if self.seen.get() > SUBSCHEMAS {
            return Err(format!(
                "it becomes more than {SUBSCHEMAS} schemas once its references are resolved"
            ));
        }
        let Value::Object(schema) = schema else {
            return if schema.is_boolean() {
                Ok(schema.clone())
            } else {
                Err(format!("`{at}` is not a schema"))
            };
        };
        let schema = self.dereference(schema, at)?;
        let mut out = Map::new();
        for (keyword, value) in &schema {
            let keyword = keyword.as_str();
            if DROPPED.contains(&keyword)
                || (keyword == "format"
                    && !value
                        .as_str()
                        .is_some_and(|format| FORMATS.contains(&format)))
            {
                continue;
            }
            let value = self.keyword(keyword, value, &schema, depth, &format!("{at}/{keyword}"))?;
            out.insert(keyword.to_owned(), value);
        }
        if let Some(description) = out.get("description").and_then(Value::as_str)
            && description.chars().count() > DESCRIPTION_CHARS
        {
            return Err(format!(
                "the description at `{at}` is longer than {DESCRIPTION_CHARS} characters"
            ));
        }
        nulls::nullable(&mut out, null_matters);
        if self.role == Role::Input && out.contains_key("properties") {
            out.entry("additionalProperties")
                .or_insert(Value::Bool(false));
        }
        Ok(Value::Object(out))
    }

    /// Normalise the value that `keyword` has in `schema`.
    fn keyword(
        &self,
        keyword: &str,
        value: &Value,
        schema: &Map<String, Value>,
        depth: usize,
        at: &str,
    ) -> Result<Value, String> {
        if keyword == "properties" {
            return self.properties(value, schema, depth, at);
        }
        if ONE.contains(&keyword) {
            return self.schema(value, true, depth + 1, at);
        }
        if NAMED.contains(&keyword) {
            let schemas = value
                .as_object()
                .ok_or_else(|| format!("`{at}` is not an object"))?;
            plain(&schemas.keys().cloned().collect(), at)?;
            let schemas = schemas.iter().map(|(name, schema)| {
                let schema =
                    self.schema(schema, true, depth + 1, &(at.to_owned() + &step(name)))?;
                Ok((name.clone(), schema))
            });
            return schemas.collect::<Result<_, _>>().map(Value::Object);
        }
        if MANY.contains(&keyword) {
            let schemas = value
                .as_array()
                .ok_or_else(|| format!("`{at}` is not a list"))?;
            let schemas = schemas
                .iter()
                .enumerate()
                .map(|(n, schema)| self.schema(schema, true, depth + 1, &format!("{at}/{n}")));
            return schemas.collect::<Result<_, _>>().map(Value::Array);
        }
        plain(value, at)?;
        Ok(value.clone())
    }

    fn properties(
        &self,
        properties: &Value,
        schema: &Map<String, Value>,
        depth: usize,
        at: &str,
    ) -> Result<Value, String> {
        let properties = properties
            .as_object()
            .ok_or_else(|| format!("`{at}` is not an object"))?;
        let required = |name: &str| {
            schema
                .get("required")
                .and_then(Value::as_array)
                .is_some_and(|names| names.iter().any(|n| n == name))
        };
        let mut out = Map::new();
        for (name, property) in properties {
            let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
            if name.is_empty() || name.len() > 64 || !name.chars().all(legal) {
                return Err(format!(
                    "the property name {name:?} (at `{at}`) is not allowed: a name has 1 to 64 \
                     characters of A-Z a-z 0-9 _ . -"
                ));
            }
            let property =
                self.schema(property, required(name), depth + 1, &format!("{at}/{name}"))?;
            let described = property
                .get("description")
                .and_then(Value::as_str)
                .is_some_and(|text| !text.trim().is_empty());
            if self.role == Role::Input && !described {
                return Err(format!(
                    "the property `{at}/{name}` has no description; an agent learns only from that \
                     what it is for"
                ));
            }
            out.insert(name.clone(), property);
        }
        Ok(Value::Object(out))
    }

    /// Put what a local `$ref` refers to in its place; keywords beside it win.
    fn dereference(
        &self,
        schema: &Map<String, Value>,
        at: &str,
    ) -> Result<Map<String, Value>, String> {
        let mut schema = schema.clone();
        for _ in 0..DEPTH {
            if schema.contains_key("$dynamicRef") || schema.contains_key("$recursiveRef") {
                return Err(format!("`{at}` uses a dynamic reference; use a plain one"));
            }
            let Some(reference) = schema.shift_remove("$ref") else {
                return Ok(schema);
            };
            let reference = reference.as_str().unwrap_or_default().to_owned();
            let Some(pointer) = reference.strip_prefix('#') else {
                return Err(format!(
                    "`{at}` refers to {reference:?}, outside itself; no reference is ever fetched"
                ));
            };
            let target = self
                .root
                .pointer(pointer)
                .and_then(Value::as_object)
                .ok_or_else(|| format!("`{at}` refers to {reference:?}, which does not exist"))?;
            let mut merged = target.clone();
            merged.extend(schema);
            schema = merged;
        }
        Err(format!("the reference at `{at}` refers to itself"))
    }
}

/// Refuse hidden characters in any text of `value`: a schema is read by a model.
pub(super) fn plain(value: &Value, at: &str) -> Result<(), String> {
    match value {
        Value::String(text) => match text.chars().find(|c| text::is_hidden(*c)) {
            Some(c) => Err(format!(
                "the text at `{at}` holds the hidden character U+{:04X}",
                u32::from(c)
            )),
            None => Ok(()),
        },
        Value::Array(values) => values.iter().try_for_each(|value| plain(value, at)),
        Value::Object(members) => members.iter().try_for_each(|(key, value)| {
            plain(&Value::String(key.clone()), at)?;
            plain(value, at)
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(schema: &Value) -> Result<Value, String> {
        normalise(schema, Role::Input)
    }

    #[test]
    fn what_schemars_writes_becomes_what_every_client_reads() {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "Args",
            "type": "object",
            "properties": {
                "limit": {
                    "description": "d",
                    "type": ["integer", "null"],
                    "format": "uint32",
                    "minimum": 0,
                    "default": null
                },
                "kind": {"description": "d", "anyOf": [{"$ref": "#/$defs/Kind"}, {"type": "null"}]},
                "at": {"description": "d", "type": "string", "format": "date-time"},
                "cell": {"description": "d", "type": ["string", "null"]},
                "nested": {"$ref": "#/$defs/Nested", "description": "own words"}
            },
            "required": ["cell"],
            "$defs": {
                "Kind": {"title": "Kind", "type": "string", "enum": ["a", "b"]},
                "Nested": {
                    "description": "theirs",
                    "type": "object",
                    "properties": {"x": {"description": "d", "type": "number", "format": "double"}}
                }
            }
        });
        assert_eq!(
            input(&schema).unwrap(),
            json!({
                "type": "object",
                "properties": {
                    "limit": {"description": "d", "type": "integer", "minimum": 0},
                    "kind": {"description": "d", "type": "string", "enum": ["a", "b"]},
                    "at": {"description": "d", "type": "string", "format": "date-time"},
                    "cell": {"description": "d", "anyOf": [{"type": "string"}, {"type": "null"}]},
                    "nested": {
                        "description": "own words",
                        "type": "object",
                        "additionalProperties": false,
                        "properties": {"x": {"description": "d", "type": "number"}}
                    }
                },
                "required": ["cell"],
                "additionalProperties": false
            })
        );
    }

    #[test]
    fn references_below_named_schemas_are_put_in_their_place() {
        let map = json!({
            "description": "d", "type": "object", "additionalProperties": false,
            "patternProperties": {"^[0-9]+$": {"$ref": "#/$defs/Port"}},
        });
        let schema = json!({
            "type": "object",
            "properties": {"ports": map},
            "$defs": {"Port": {"type": "string"}}
        });
        assert_eq!(
            input(&schema).unwrap()["properties"]["ports"]["patternProperties"],
            json!({"^[0-9]+$": {"type": "string"}})
        );
    }

    #[test]
    fn references_that_unfold_without_end_are_refused_at_once() {
        let level = |next: usize| {
            let properties: Map<String, Value> = (0..8)
                .map(|n| {
                    let property = json!({"description": "d", "$ref": format!("#/$defs/l{next}")});
                    (format!("p{n}"), property)
                })
                .collect();
            json!({"type": "object", "properties": properties})
        };
        let mut schema = level(0);
        schema["$defs"] = (0..12).map(|n| (format!("l{n}"), level(n + 1))).collect();
        schema["$defs"]["l12"] = json!({"type": "string"});
        let reason = input(&schema).unwrap_err();
        assert!(reason.contains("becomes more than"), "{reason}");
    }

    #[test]
    fn a_property_may_be_called_like_a_keyword() {
        let schema = json!({
            "type": "object",
            "properties": {
                "title": {"type": "string", "description": "d"},
                "format": {"type": "string", "description": "d"}
            }
        });
        let normalised = input(&schema).unwrap();
        assert!(
            normalised.pointer("/properties/title").is_some()
                && normalised.pointer("/properties/format").is_some()
        );
    }

    #[test]
    fn unsound_schemas_are_refused_with_the_reason() {
        let property = |property: Value| json!({"type": "object", "properties": {"x": property}});
        let refused = |schema: Value, words: &str| {
            let reason = input(&schema).unwrap_err();
            assert!(reason.contains(words), "{schema}: {reason}");
        };
        refused(json!(true), "object schema");
        refused(json!({"type": "array"}), "\"type\": \"object\"");
        for keyword in ["anyOf", "oneOf", "allOf"] {
            refused(
                json!({"type": "object", keyword: [{}]}),
                "model APIs refuse",
            );
        }
        refused(json!({"type": "object", "not": {}}), "model APIs refuse");
        refused(property(json!({"type": "string"})), "no description");
        refused(
            property(json!({"type": "strnig", "description": "d"})),
            "not valid JSON Schema",
        );
        refused(
            property(json!({"pattern": "(", "description": "d"})),
            "regex",
        );
        refused(
            property(json!({"pattern": "^(?=a)", "description": "d"})),
            "regex",
        );
        refused(
            property(json!({"$ref": "https://example.com/x.json"})),
            "ever fetched",
        );
        refused(property(json!({"$ref": "#/$defs/none"})), "does not exist");
        refused(property(json!({"$ref": "#/properties/x"})), "itself");
        refused(
            json!({
                "type": "object",
                "properties": {"x": {"description": "d", "items": {"$ref": "#/properties/x"}}}
            }),
            "refers to itself",
        );
        refused(property(json!({"description": "a\u{200b}b"})), "U+200B");
        refused(
            property(json!({"description": "d", "enum": ["\u{1b}[0m"]})),
            "U+001B",
        );
        refused(property(json!({"description": "d".repeat(1001)})), "1000");
        refused(
            json!({"type": "object", "properties": {"a b": {"description": "d"}}}),
            "not allowed",
        );
        let many: Map<String, Value> = (0..400)
            .map(|n| (format!("p{n}"), json!({"description": "ddddddddd"})))
            .collect();
        refused(json!({"type": "object", "properties": many}), "bytes");
    }

    #[test]
    fn output_may_grow_and_input_may_not() {
        let schema =
            json!({"type": "object", "properties": {"x": {"type": "string", "description": "d"}}});
        assert_eq!(input(&schema).unwrap()["additionalProperties"], false);
        assert!(
            normalise(&schema, Role::Output)
                .unwrap()
                .get("additionalProperties")
                .is_none()
        );
    }
}
