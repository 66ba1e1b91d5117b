//! The defaults of everything that no file sets.

use super::types::{Default, Field, Model, Type};
use crate::ground::yaml::value::{Key, Map, Value};

/// What becomes of an optional field that a file sets to null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nulls {
    /// It stays, so that no default takes its place.
    Keep,
    /// It is left out.
    Drop,
}

/// A checked value with the defaults of absent fields filled in, in the order of the description.
pub fn complete(ty: Type, value: Value, nulls: Nulls) -> Value {
    match (ty, value) {
        (Type::Optional(ty) | Type::NullIsEmpty(ty), value) => complete(*ty, value, nulls),
        (Type::List(item), Value::List(items)) => Value::List(
            items
                .into_iter()
                .map(|value| complete(*item, value, nulls))
                .collect(),
        ),
        (Type::Table(table), Value::Map(map)) => Value::Map(entries(table.values, map, nulls)),
        (Type::OneOrTable(union, table), Value::Map(map))
            if !map.contains_key(&Key::from(union.tag)) =>
        {
            Value::Map(entries(table.values, map, nulls))
        }
        (Type::Model(model) | Type::Short(model, _), Value::Map(map)) => {
            Value::Map(fields(model, map, nulls))
        }
        (Type::Tagged(union) | Type::OneOrTable(union, _), Value::Map(map)) => {
            match map
                .get(&Key::from(union.tag))
                .and_then(Value::as_str)
                .and_then(|name| union.variant(name))
            {
                Some(model) => Value::Map(fields(model, map, nulls)),
                None => Value::Map(map),
            }
        }
        (_, value) => value,
    }
}

fn entries(ty: Type, mut map: Map, nulls: Nulls) -> Map {
    for value in map.values_mut() {
        *value = complete(ty, std::mem::replace(value, Value::Null), nulls);
    }
    map
}

fn fields(model: &Model, mut map: Map, nulls: Nulls) -> Map {
    let mut out = Map::with_capacity(model.fields.len());
    for field in model.fields {
        let key = Key::from(field.name);
        let given = map.shift_remove(&key);
        // A section that is null everywhere is missing, not empty.
        let kept = nulls == Nulls::Keep && field.default != Default::RequiredOverall;
        if given == Some(Value::Null) {
            if kept {
                out.insert(key, Value::Null);
            }
            continue;
        }
        let value = given.map_or_else(|| default(field), |value| complete(field.ty, value, nulls));
        if value != Value::Null {
            out.insert(key, value);
        }
    }
    out.extend(
        map.into_iter()
            .filter(|(_, value)| nulls == Nulls::Keep || *value != Value::Null),
    );
    out
}

fn default(field: &Field) -> Value {
    match field.default {
        Default::List => Value::List(Vec::new()),
        // The defaults of a model that no file names.
        Default::Map => complete(field.ty, Value::empty(), Nulls::Drop),
        scalar => scalar.scalar().unwrap_or(Value::Null),
    }
}
