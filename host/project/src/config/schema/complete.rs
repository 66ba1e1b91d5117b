//! The defaults of everything that no file sets.

use super::super::value::{Key, Map, Value};
use super::{Default, Model, Type};

/// A checked value with its defaults filled in and its nulls left out, in the order of the description.
pub fn complete(ty: Type, value: Value) -> Value {
    match (ty, value) {
        (Type::Optional(ty) | Type::NullIsEmpty(ty), value) => complete(*ty, value),
        (Type::List(item), Value::List(items)) => Value::List(
            items
                .into_iter()
                .map(|value| complete(*item, value))
                .collect(),
        ),
        (Type::Table(table), Value::Map(map)) => Value::Map(entries(table.values, map)),
        (Type::OneOrTable(union, table), Value::Map(map))
            if !map.contains_key(&Key::from(union.tag)) =>
        {
            Value::Map(entries(table.values, map))
        }
        (Type::Model(model) | Type::Short(model, _), Value::Map(map)) => {
            Value::Map(fields(model, map))
        }
        (Type::Tagged(union) | Type::OneOrTable(union, _), Value::Map(map)) => {
            match map
                .get(&Key::from(union.tag))
                .and_then(Value::as_str)
                .and_then(|name| union.variant(name))
            {
                Some(model) => Value::Map(fields(model, map)),
                None => Value::Map(map),
            }
        }
        (_, value) => value,
    }
}

fn entries(ty: Type, map: Map) -> Map {
    map.into_iter()
        .map(|(key, value)| (key, complete(ty, value)))
        .collect()
}

fn fields(model: &Model, mut map: Map) -> Map {
    let mut out = Map::with_capacity(model.fields.len());
    for field in model.fields {
        let value = map
            .shift_remove(&Key::from(field.name))
            .map_or_else(|| default(field.default), |value| complete(field.ty, value));
        let value = if field.default == Default::Map && matches!(field.ty, Type::Model(_)) {
            complete(field.ty, value)
        } else {
            value
        };
        if value != Value::Null {
            out.insert(field.name.into(), value);
        }
    }
    out.extend(map.into_iter().filter(|(_, value)| *value != Value::Null));
    out
}

fn default(default: Default) -> Value {
    match default {
        Default::Required | Default::RequiredOverall | Default::Absent => Value::Null,
        Default::Bool(flag) => Value::Bool(flag),
        Default::Int(number) => Value::Int(number),
        Default::Str(text) => Value::from(text),
        Default::List => Value::List(Vec::new()),
        Default::Map => Value::empty(),
    }
}
