//! How much work it is to check a value against a schema: an upper bound, known before the work
//! begins, because the validator cannot be interrupted.
//!
//! A schema is a tree, references being in their place, and every part of it is tried at most once
//! on each value that lies as deep as the part's own depth counts steps into values. So the bound
//! is a sum over depths: what lies there in the value, times what of the schema is tried there. It
//! is counted in units of about a nanosecond.

use regex_automata::nfa::thompson::{self, NFA};
use serde_json::Value;

/// Most units that a check may take: about a second.
pub(crate) const MOST: u64 = 1_000_000_000;
/// Ways in which one value may be allowed: branches of `anyOf` and `oneOf`, with those of branches
/// within them.
const ALTERNATIVES: usize = 128;
/// Schemas within a schema.
const SCHEMAS: usize = 1000;
/// Levels that are told apart; a schema is no deeper than half of them, and what lies deeper in a
/// value is counted as if it lay there.
const LEVELS: usize = 32;

/// A keyword that looks at a value itself, or a schema that is entered.
const KEYWORD: u64 = 20;
/// A regular expression, for each of its states and each byte that it reads.
const STATE: u64 = 3;
/// States that are assumed for a pattern which only the validator's dialect knows.
const UNKNOWN_STATES: usize = 1000;
/// Heap bytes of a compiled pattern.
pub(crate) const PATTERN_BYTES: usize = 256 << 10;
/// `multipleOf`, which is exact for fractions of any size.
const MULTIPLE: u64 = 6_000;
/// A format, for each byte that it reads.
const FORMAT: u64 = 20;
/// `unevaluatedProperties` and `unevaluatedItems` try what stands beside them again to know what it
/// evaluated.
const AGAIN: u64 = 3;
/// `uniqueItems` compares up to fifteen items with each other, and more by their hashes.
const UNIQUE: u64 = 8;

/// What checking costs by depth.
pub(crate) struct Work {
    levels: [Level; LEVELS],
}

/// What lies at one depth of a value, or what each of it costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Level {
    values: u64,
    /// Of texts and of names.
    bytes: u64,
}

impl Work {
    /// Of checking values against `schema`, an admitted one.
    pub(crate) fn of(schema: &Value) -> Self {
        let mut work = Self {
            levels: [Level::default(); LEVELS],
        };
        work.add(schema, 0, 1);
        work
    }

    /// The most that checking `value` takes.
    pub(crate) fn on(&self, value: &Value) -> u64 {
        let mut found = [Level::default(); LEVELS];
        measure(value, 0, &mut found);
        let products = self.levels.iter().zip(&found).map(|(cost, found)| {
            let values = cost.values.saturating_mul(found.values);
            values.saturating_add(cost.bytes.saturating_mul(found.bytes))
        });
        products.fold(0, u64::saturating_add)
    }

    fn add(&mut self, schema: &Value, depth: usize, times: u64) {
        self.charge(depth, KEYWORD, 0, times);
        let Some(schema) = schema.as_object() else {
            return;
        };
        let again = ["unevaluatedProperties", "unevaluatedItems"]
            .iter()
            .any(|keyword| schema.contains_key(*keyword));
        let times = if again {
            times.saturating_mul(AGAIN)
        } else {
            times
        };
        for (keyword, value) in schema {
            match keyword.as_str() {
                "title" | "description" | "default" | "examples" | "deprecated" | "readOnly"
                | "writeOnly" => {}
                "properties" => self.named(value, depth, times, 0),
                "patternProperties" => {
                    // Once for itself and once for `additionalProperties`.
                    let patterns = value.as_object().into_iter().flatten();
                    let states = patterns.map(|(pattern, _)| 2 * states(pattern)).sum();
                    self.named(value, depth, times, states);
                }
                "dependentSchemas" => {
                    for schema in value.as_object().into_iter().flat_map(|map| map.values()) {
                        self.add(schema, depth, times);
                    }
                }
                "items"
                | "additionalProperties"
                | "unevaluatedItems"
                | "unevaluatedProperties"
                | "contains"
                | "propertyNames" => {
                    self.add(value, depth + 1, times);
                }
                "prefixItems" => self.each(value, depth + 1, times),
                "anyOf" | "oneOf" | "allOf" => self.each(value, depth, times),
                "not" | "if" | "then" | "else" => self.add(value, depth, times),
                "enum" | "const" | "required" | "dependentRequired" => {
                    let (parts, bytes) = size(value);
                    self.charge(depth, KEYWORD * parts + bytes, 0, times);
                }
                "pattern" => {
                    let states = value.as_str().map_or(0, states);
                    self.charge(depth, KEYWORD, STATE * states, times);
                }
                "format" => self.charge(depth, KEYWORD, FORMAT, times),
                "multipleOf" if !value.is_u64() => self.charge(depth, MULTIPLE, 0, times),
                "minLength" | "maxLength" => self.charge(depth, KEYWORD, 1, times),
                "uniqueItems" => {
                    for deeper in depth + 1..LEVELS {
                        self.charge(deeper, UNIQUE * KEYWORD, UNIQUE, times);
                    }
                }
                _ => self.charge(depth, KEYWORD, 0, times),
            }
        }
    }

    /// Schemas of an object's members by name, or by patterns of this many states.
    fn named(&mut self, schemas: &Value, depth: usize, times: u64, states: u64) {
        self.charge(depth + 1, KEYWORD, 1 + STATE * states, times);
        for schema in schemas.as_object().into_iter().flat_map(|map| map.values()) {
            // Looked for in the object, whether it is there or not.
            self.charge(depth, KEYWORD, 0, times);
            self.add(schema, depth + 1, times);
        }
    }

    fn each(&mut self, schemas: &Value, depth: usize, times: u64) {
        for schema in schemas.as_array().into_iter().flatten() {
            self.add(schema, depth, times);
        }
    }

    fn charge(&mut self, depth: usize, value: u64, byte: u64, times: u64) {
        if let Some(level) = self.levels.get_mut(depth.min(LEVELS - 1)) {
            level.values = level.values.saturating_add(value.saturating_mul(times));
            level.bytes = level.bytes.saturating_add(byte.saturating_mul(times));
        }
    }
}

/// States of the automaton that `pattern` becomes: a match takes at most so many steps for each
/// byte.
fn states(pattern: &str) -> u64 {
    let limits = thompson::Config::new().nfa_size_limit(Some(PATTERN_BYTES));
    let automaton = NFA::compiler().configure(limits).build(pattern);
    automaton.map_or(UNKNOWN_STATES, |nfa| nfa.states().len()) as u64
}

fn measure(value: &Value, depth: usize, found: &mut [Level; LEVELS]) {
    let Some(level) = found.get_mut(depth.min(LEVELS - 1)) else {
        return;
    };
    level.values += 1;
    match value {
        Value::String(text) => level.bytes += text.len() as u64,
        Value::Array(items) => items
            .iter()
            .for_each(|item| measure(item, depth + 1, found)),
        Value::Object(members) => {
            for (name, member) in members {
                if let Some(level) = found.get_mut((depth + 1).min(LEVELS - 1)) {
                    level.bytes += name.len() as u64;
                }
                measure(member, depth + 1, found);
            }
        }
        _ => {}
    }
}

/// Values in `value`, and bytes of the texts in it.
fn size(value: &Value) -> (u64, u64) {
    let mut found = [Level::default(); LEVELS];
    measure(value, 0, &mut found);
    let sum = |of: fn(&Level) -> u64| found.iter().map(of).sum();
    (sum(|level| level.values), sum(|level| level.bytes))
}

/// Whether `value` has fewer than `limit` values and bytes of text together. Looks at no more of
/// it.
pub(crate) fn is_small(value: &Value, limit: usize) -> bool {
    fn left(value: &Value, limit: usize) -> Option<usize> {
        let limit = limit.checked_sub(1)?;
        match value {
            Value::String(text) => limit.checked_sub(text.len()),
            Value::Array(items) => items
                .iter()
                .try_fold(limit, |limit, item| left(item, limit)),
            Value::Object(members) => members.iter().try_fold(limit, |limit, (name, member)| {
                left(member, limit.checked_sub(name.len())?)
            }),
            _ => Some(limit),
        }
    }
    left(value, limit).is_some()
}

/// What of `schema`, a normalised one, makes checking against it too much work for small values
/// too, and where.
pub(crate) fn admit(schema: &Value) -> Result<(), String> {
    let mut schemas = 0;
    count(schema, "", &mut schemas).map(drop)
}

/// Counts all schemas in `schema`, which stands at `at`, and gives the ways in which it may allow
/// one value.
fn count(schema: &Value, at: &str, schemas: &mut usize) -> Result<usize, String> {
    *schemas += 1;
    if *schemas > SCHEMAS {
        return Err(format!(
            "it holds more than {SCHEMAS} schemas (the next is at `{at}`)"
        ));
    }
    let mut ways = 0;
    for (keyword, value) in schema.as_object().into_iter().flatten() {
        let at = format!("{at}/{keyword}");
        match keyword.as_str() {
            "anyOf" | "oneOf" | "allOf" | "dependentSchemas" => {
                for (place, schema) in children(value, &at) {
                    ways += count(schema, &place, schemas)?;
                }
                if ways > ALTERNATIVES {
                    return Err(format!(
                        "it has {ways} alternatives for one value (at `{at}`, with those within \
                         them), and at most {ALTERNATIVES} are allowed"
                    ));
                }
            }
            "not" | "if" | "then" | "else" => ways += count(value, &at, schemas)?,
            "properties" | "patternProperties" | "prefixItems" => {
                for (place, schema) in children(value, &at) {
                    count(schema, &place, schemas)?;
                }
            }
            "items"
            | "additionalProperties"
            | "unevaluatedItems"
            | "unevaluatedProperties"
            | "contains"
            | "propertyNames" => {
                count(value, &at, schemas)?;
            }
            _ => {}
        }
    }
    Ok(ways.max(1))
}

/// The members of a list or an object, each with its place.
fn children<'a>(value: &'a Value, at: &str) -> Vec<(String, &'a Value)> {
    match value {
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(n, item)| (format!("{at}/{n}"), item))
            .collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, member)| (format!("{at}/{name}"), member))
            .collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::arguments::validator;
    use crate::meter::thread_cpu_ns;

    /// `anyOf` of two, nested so deep.
    fn any_of(depth: usize) -> Value {
        if depth == 0 {
            return json!({"not": {}});
        }
        let inner = any_of(depth - 1);
        json!({"anyOf": [inner.clone(), inner]})
    }

    fn object(x: impl Into<Value>) -> Value {
        json!({"type": "object", "properties": {"x": x.into()}})
    }

    #[test]
    fn alternatives_that_multiply_are_refused_with_their_number_and_place() {
        let reason = admit(&object(json!({"type": "array", "items": any_of(8)}))).unwrap_err();
        assert!(
            reason.contains("alternatives") && reason.contains("/properties/x/items/anyOf"),
            "{reason}"
        );
        assert_eq!(admit(&object(any_of(7))), Ok(()));
        let many: Vec<Value> = (0..128).map(|n| json!({"const": n})).collect();
        assert_eq!(admit(&object(json!({"oneOf": many}))), Ok(()));
        let properties: serde_json::Map<String, Value> =
            (0..1001).map(|n| (format!("p{n}"), json!({}))).collect();
        let reason = admit(&json!({"type": "object", "properties": properties})).unwrap_err();
        assert!(reason.contains("1000 schemas"), "{reason}");
    }

    #[test]
    fn each_value_is_charged_for_what_is_tried_on_it() {
        let schema = object(json!({"type": "array", "items": {"type": "integer"}}));
        let work = Work::of(&schema);
        let items = |n: usize| work.on(&json!({"x": vec![1; n]}));
        assert_eq!(items(1001) - items(1), 1000 * (items(2) - items(1)));
        assert!(items(100_000) < MOST);
        let bomb = Work::of(&object(json!({"items": any_of(7)})));
        assert!(bomb.on(&json!({"x": vec![1; 10]})) < MOST);
        assert!(bomb.on(&json!({"x": vec![1; 200_000]})) > MOST);
    }

    #[test]
    fn an_honest_enum_of_many_items_is_within_the_bound() {
        let variants: Vec<Value> = (0..6)
            .map(|n| {
                json!({
                    "type": "object",
                    "required": ["kind"],
                    "properties": {"kind": {"const": format!("k{n}")}, "line": {"type": "integer"}}
                })
            })
            .collect();
        let work = Work::of(&object(
            json!({"type": "array", "items": {"oneOf": variants}}),
        ));
        let item = json!({"kind": "k5", "line": 7});
        assert!(work.on(&json!({"x": vec![item; 20_000]})) < MOST);
    }

    #[test]
    fn a_small_value_is_told_without_looking_at_all_of_a_large_one() {
        assert!(is_small(&json!({"a": [1, 2, "three"]}), 20));
        assert!(!is_small(&json!({"a": "x".repeat(20)}), 20));
        assert!(!is_small(&json!(vec![1; 20]), 20));
    }

    fn many_names() -> Value {
        let names = (0..20_000).map(|n| (format!("ab{n}"), json!(n)));
        Value::Object(names.collect())
    }

    /// The worst of each keyword: a name, a schema, and a value for it.
    fn worst_of_each_keyword() -> [(&'static str, Value, Value); 15] {
        let x = |items: Value| object(json!({"type": "array", "items": items}));
        let distinct: Vec<Value> = (0..8)
            .map(|n| json!({"type": "object", "required": [format!("r{n}")]}))
            .collect();
        let strings = |text: &str, n: usize| json!({"x": vec![text; n]});
        let unevaluated = (0..4).fold(
            json!({
                "properties": {"a": {"type": "integer"}}
            }),
            |inner, _| {
                json!({
                    "allOf": [inner.clone()],
                    "anyOf": [inner],
                    "unevaluatedProperties": {"type": "integer"}
                })
            },
        );
        let words: Vec<String> = (0..200).map(|n| format!("w{n}")).collect();
        let bits: String = (0..20_000_u32)
            .map(|n| {
                if (n.wrapping_mul(2_654_435_761) >> 13) & 1 == 0 {
                    '0'
                } else {
                    '1'
                }
            })
            .collect();
        [
            ("anyOf", x(any_of(6)), json!({"x": vec![1; 20_000]})),
            (
                "oneOf",
                x(json!({"oneOf": distinct})),
                json!({"x": vec![json!({}); 20_000]}),
            ),
            ("enum", x(json!({"enum": words})), strings("w1999", 50_000)),
            (
                "pattern",
                x(json!({"pattern": "[01]*1[01]{100}$"})),
                json!({"x": [bits]}),
            ),
            (
                "patterns of names",
                object(json!({
                    "patternProperties": {"^(a|b)*c{30}": {}},
                    "additionalProperties": false
                })),
                json!({ "x": many_names() }),
            ),
            (
                "uniqueItems",
                object(json!({"uniqueItems": true})),
                json!({"x": (0..100_000).collect::<Vec<u32>>()}),
            ),
            (
                "uniqueItems of few",
                x(json!({"uniqueItems": true})),
                json!({"x": vec![(0..15).collect::<Vec<u32>>(); 5_000]}),
            ),
            (
                "format",
                x(json!({"format": "uri"})),
                strings("http://example.com/a/b/c?d=e#f", 10_000),
            ),
            (
                "email",
                x(json!({"format": "email"})),
                strings("somebody.of.note@mail.example.com", 10_000),
            ),
            (
                "idn",
                x(json!({"format": "idn-hostname"})),
                strings("xn--bcher-kva.example", 10_000),
            ),
            (
                "date",
                x(json!({"format": "date-time"})),
                strings("2026-11-29T07:00:00Z", 10_000),
            ),
            (
                "multipleOf",
                x(json!({"multipleOf": 1e-300})),
                json!({"x": vec![1e300; 20_000]}),
            ),
            (
                "length",
                x(json!({"maxLength": 10_000_000})),
                strings(&"ä".repeat(100_000), 4),
            ),
            (
                "contains",
                x(json!({"contains": {"const": 1}, "minContains": 9})),
                json!({"x": vec![vec![2; 100]; 500]}),
            ),
            (
                "unevaluatedProperties",
                x(unevaluated),
                json!({"x": vec![json!({"a": 1, "b": 2}); 500]}),
            ),
        ]
    }

    /// The bound must hold for whatever a schema can ask for. A busy machine makes a processor's
    /// time longer, too.
    #[test]
    fn no_keyword_takes_longer_than_it_is_charged_for() {
        let mut slow = Vec::new();
        for (name, schema, value) in worst_of_each_keyword() {
            let units = Work::of(&schema).on(&value);
            // Item by item where there are items, since the validator stops at the first that does
            // not fit.
            let (schema, parts) = match (schema.pointer("/properties/x/items"), &value["x"]) {
                (Some(items), Value::Array(parts)) => (items, parts.iter().collect()),
                _ => (&schema, vec![&value]),
            };
            let validator = validator(schema).unwrap();
            let begun = thread_cpu_ns();
            for part in parts {
                std::hint::black_box(validator.is_valid(part));
            }
            let took = thread_cpu_ns() - begun;
            println!("{name}: {units} units, {} µs", took / 1000);
            if took > 4 * units {
                slow.push(format!("{name}: {units} units took {took} ns"));
            }
        }
        assert!(slow.is_empty(), "{slow:#?}");
    }
}
