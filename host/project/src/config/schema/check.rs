//! Validation and normalisation of what a file says, or of the merged whole.

use super::convert::{convert, decimal, expected};
use super::sections::PROJECT;
use super::types::{Default, Keys, Model, Rule, Table, Tagged, Type};
use crate::ground::yaml::resolve_core;
use crate::ground::yaml::value::{Key, Map, Value};

/// At most this many problems are reported at once.
const MAX_PROBLEMS: usize = 20;

/// What is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// One file: sections may be missing, or null.
    File,
    /// The merged configuration.
    Whole,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The keys that lead there.
    pub path: Vec<String>,
    /// What is wrong and what is allowed.
    pub message: String,
}

/// What fits.
pub struct Checked {
    /// With every scalar converted to its type and every key to its kind.
    pub value: Value,
    /// Keys that are not known, and were kept: a newer Penguin may know them.
    pub unknown: Vec<Problem>,
}

/// The value as its type has it, or all that is wrong with it. A key that a section does not have
/// is wrong where it is a known one misspelt, and else only told.
pub fn check(ty: Type, value: Value, scope: Scope) -> Result<Checked, Vec<Problem>> {
    let mut checker = Checker {
        scope,
        path: Vec::new(),
        problems: Vec::new(),
        unknown: Vec::new(),
    };
    let value = checker.value(ty, value);
    if checker.problems.is_empty() {
        Ok(Checked {
            value,
            unknown: checker.unknown,
        })
    } else {
        Err(checker.problems)
    }
}

struct Checker {
    scope: Scope,
    path: Vec<String>,
    problems: Vec<Problem>,
    unknown: Vec<Problem>,
}

impl Checker {
    fn problem(&mut self, message: String) -> Value {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(Problem {
                path: self.path.clone(),
                message,
            });
        }
        Value::Null
    }

    fn below<T>(&mut self, step: String, work: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(step);
        let result = work(self);
        self.path.pop();
        result
    }

    fn value(&mut self, ty: Type, value: Value) -> Value {
        match (ty, value) {
            (Type::Any, value) => value,
            (ty, value) if is_text(ty, &value) => value,
            (Type::Optional(_) | Type::Short(..), Value::Null)
            | (Type::Short(..), Value::Bool(false)) => Value::Null,
            (Type::NullIsEmpty(_), Value::Null) => Value::empty(),
            (Type::Optional(ty) | Type::NullIsEmpty(ty), value) => self.value(*ty, value),
            (Type::List(item), Value::List(items)) => Value::List(
                items
                    .into_iter()
                    .enumerate()
                    .map(|(index, value)| {
                        self.below(index.to_string(), |this| this.value(*item, value))
                    })
                    .collect(),
            ),
            (Type::Tagged(union), Value::Map(map)) => self.tagged(union, map),
            (Type::OneOrTable(union, _), Value::Map(map))
                if map.contains_key(&Key::from(union.tag)) =>
            {
                self.tagged(union, map)
            }
            (Type::Table(table) | Type::OneOrTable(_, table), Value::Map(map)) => {
                self.table(table, map)
            }
            (Type::Short(model, _), Value::Bool(true)) => self.model(model, Map::new()),
            // Penguin takes 0 and 1 for false and true.
            (Type::Short(..), value @ (Value::Int(_) | Value::Float(_))) => {
                match convert(Type::Bool, &value, false) {
                    Some(flag) => self.value(ty, flag),
                    None => self.problem(mismatch(ty, &value)),
                }
            }
            (Type::Short(model, field), value @ Value::Str(_)) => {
                self.model(model, Map::from([(field.into(), value)]))
            }
            (Type::Model(model) | Type::Short(model, _), Value::Map(map)) => self.model(model, map),
            (ty, value) => {
                convert(ty, &value, false).unwrap_or_else(|| self.problem(mismatch(ty, &value)))
            }
        }
    }

    fn table(&mut self, table: &Table, map: Map) -> Value {
        if map.keys().all(|key| is_of_kind(table.keys, key)) {
            return self.table_of_kept_keys(table, map);
        }
        let mut out = Map::with_capacity(map.len());
        for (key, value) in map {
            let name = key.text();
            self.below(name, |this| {
                if let Some(key) = table_key(table.keys, &key) {
                    let value = this.value(table.values, value);
                    out.insert(key, value);
                } else {
                    this.problem(match table.keys {
                        Keys::Str => "a key here must be a string; quote it".to_owned(),
                        Keys::Int => "a key here must be an integer".to_owned(),
                        Keys::IntOrStar => "a key here must be a command number (decimal, or \
                                            hexadecimal without quotes) or '*'"
                            .to_owned(),
                    });
                }
            });
        }
        self.rule(table.rule, &out);
        Value::Map(out)
    }

    /// A table whose keys are of its kind already needs no other in its place.
    fn table_of_kept_keys(&mut self, table: &Table, mut map: Map) -> Value {
        for (key, value) in &mut map {
            // Of thousands of strings none needs its path.
            if is_text(table.values, value) {
                continue;
            }
            let held = std::mem::replace(value, Value::Null);
            *value = self.below(key.text(), |this| this.value(table.values, held));
        }
        self.rule(table.rule, &map);
        Value::Map(map)
    }

    fn tagged(&mut self, union: &Tagged, map: Map) -> Value {
        let names = || {
            union
                .variants
                .iter()
                .map(|model| model.name)
                .collect::<Vec<_>>()
        };
        match map.get(&Key::from(union.tag)) {
            None => self.problem(format!(
                "'{}' is missing; it is one of {}",
                union.tag,
                names().join(", ")
            )),
            Some(Value::Str(name)) => {
                if let Some(model) = union.variant(name) {
                    return self.model(model, map);
                }
                let hint = did_you_mean(name, &names());
                let message = format!(
                    "unknown {} '{}'{hint}; allowed: {}",
                    union.tag,
                    name.escape_debug(),
                    names().join(", ")
                );
                self.problem(message)
            }
            Some(other) => self.problem(format!(
                "'{}' must be one of {}, not {}",
                union.tag,
                names().join(", "),
                other.kind()
            )),
        }
    }

    fn model(&mut self, model: &Model, map: Map) -> Value {
        let before = self.problems.len();
        let mut out = Map::with_capacity(map.len());
        for (key, value) in map {
            let name = key.text();
            let Key::Str(_) = key else {
                self.below(name, |this| {
                    this.problem("a key here must be a string".to_owned())
                });
                continue;
            };
            self.below(name, |this| {
                let Some(field) = model.field(&key.text()) else {
                    if !model.open {
                        this.unknown(model, &key.text());
                    }
                    out.insert(key, value);
                    return;
                };
                let omitted = value == Value::Null
                    && field.default == Default::RequiredOverall
                    && this.scope == Scope::File;
                let value = if omitted {
                    Value::Null
                } else {
                    this.value(field.ty, value)
                };
                out.insert(key, value);
            });
        }
        for field in model.fields {
            let required = field.default == Default::Required
                || field.default == Default::RequiredOverall && self.scope == Scope::Whole;
            if required && !out.contains_key(&Key::from(field.name)) {
                self.below(field.name.to_owned(), |this| {
                    this.problem(format!("is required here ({})", expected(field.ty)))
                });
            }
        }
        if self.problems.len() == before {
            self.rule(model.rule, &out);
        }
        Value::Map(out)
    }

    /// A key that `model` does not have.
    fn unknown(&mut self, model: &Model, name: &str) {
        let message = unknown_field(model, name);
        if model.name == PROJECT.name || is_misspelt(name, &names(model)) {
            self.problem(message);
        } else if self.unknown.len() < MAX_PROBLEMS {
            self.unknown.push(Problem {
                path: self.path.clone(),
                message: format!("{message}; it is passed on as it is"),
            });
        }
    }

    fn rule(&mut self, rule: Option<Rule>, map: &Map) {
        if let Some(Err(message)) = rule.map(|rule| rule(map)) {
            self.problem(message);
        }
    }
}

/// Whether a value is the string that its type wants.
fn is_text(ty: Type, value: &Value) -> bool {
    let wanted = match ty {
        Type::Str | Type::Joined(_) => true,
        // The first that fits is taken.
        Type::Either(types) => matches!(types.first(), Some(Type::Str)),
        _ => false,
    };
    wanted && matches!(value, Value::Str(_))
}

/// Whether a key is as its table has it.
fn is_of_kind(keys: Keys, key: &Key) -> bool {
    match (keys, key) {
        (Keys::Str, Key::Str(_)) | (Keys::Int | Keys::IntOrStar, Key::Int(_)) => true,
        (Keys::IntOrStar, Key::Str(text)) => text == "*",
        _ => false,
    }
}

/// A key as its table has it. Decimal digits in quotes are a number, and so are whole floats and
/// booleans without quotes.
fn table_key(keys: Keys, key: &Key) -> Option<Key> {
    match (keys, key) {
        (keys, key) if is_of_kind(keys, key) => Some(key.clone()),
        (Keys::Int | Keys::IntOrStar, Key::Str(text)) => decimal(text.trim()).map(Key::Int),
        (Keys::Int | Keys::IntOrStar, Key::Other(text)) => {
            match convert(Type::Int, &resolve_core(text), false) {
                Some(Value::Int(number)) => Some(Key::Int(number)),
                _ => None,
            }
        }
        _ => None,
    }
}

fn mismatch(ty: Type, value: &Value) -> String {
    let expected = expected(ty);
    match value {
        Value::Int(number) if wants_string(ty) => {
            format!("must be {expected}, not an integer; write it in quotes: \"{number}\"")
        }
        Value::Bool(flag) if wants_string(ty) => {
            format!("must be {expected}, not a boolean; write it in quotes: \"{flag}\"")
        }
        Value::Float(_) | Value::Null if wants_string(ty) => format!(
            "must be {expected}, not {}; write it in quotes",
            value.kind()
        ),
        Value::Str(text) if text.chars().count() <= 64 => {
            format!("must be {expected}, not {text:?}")
        }
        _ => format!("must be {expected}, not {}", value.kind()),
    }
}

fn wants_string(ty: Type) -> bool {
    match ty {
        Type::Str | Type::Joined(_) | Type::Hex => true,
        Type::Either(types) => types.iter().any(|ty| wants_string(*ty)),
        _ => false,
    }
}

fn unknown_field(model: &Model, name: &str) -> String {
    let names = names(model);
    format!(
        "unknown option '{}' in {}{}; allowed: {}",
        name.escape_debug(),
        model.name,
        did_you_mean(name, &names),
        names.join(", ")
    )
}

fn names(model: &Model) -> Vec<&'static str> {
    model.fields.iter().map(|field| field.name).collect()
}

/// Whether this is surely one of the names, written wrongly: short names resemble each other by
/// chance.
pub fn is_misspelt(name: &str, names: &[&str]) -> bool {
    let distance = |candidate: &&str| strsim::damerau_levenshtein(name, candidate);
    let close = names.iter().map(distance).min();
    close.is_some_and(|distance| distance <= 2 && distance * 4 < name.chars().count())
}

/// ` (did you mean 'x'?)` when one of the names is close.
pub fn did_you_mean(name: &str, names: &[&str]) -> String {
    let close = names
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .min();
    match close {
        Some((distance, candidate)) if distance <= 2 && distance < name.chars().count() => {
            format!(" (did you mean '{candidate}'?)")
        }
        _ => String::new(),
    }
}
