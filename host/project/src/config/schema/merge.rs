//! One checked file laid over another, as Penguin's loader does it.

use super::types::{Model, Tagged, Type};
use crate::ground::yaml::value::{Key, Map, Value};

/// A combination on which Penguin's loader fails with a traceback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergeError {
    /// The keys that lead there.
    pub path: Vec<String>,
    /// What cannot be combined, and what to write instead.
    pub message: String,
}

/// `new` laid over `base`; both have passed the check against `ty`. The result must be checked
/// again.
pub fn merge(ty: Type, base: Value, new: Value) -> Result<Value, MergeError> {
    match (ty, base, new) {
        // There is no way to unset: null lets the lower value show through.
        (_, Value::Null, new) => Ok(new),
        (_, base, Value::Null) => Ok(base),
        (Type::Optional(ty) | Type::NullIsEmpty(ty), base, new) => merge(*ty, base, new),
        (Type::Joined(separator), Value::Str(base), Value::Str(new)) => {
            Ok(Value::Str(base + separator + &new))
        }
        (Type::Model(model) | Type::Short(model, _), Value::Map(base), Value::Map(new)) => {
            fields(model, base, new)
        }
        (Type::Tagged(union), Value::Map(base), Value::Map(new)) => tagged(union, base, new),
        (Type::OneOrTable(union, table), Value::Map(base), Value::Map(new)) => {
            let whole = |map: &Map| map.contains_key(&Key::from(union.tag));
            match (whole(&base), whole(&new)) {
                (true, true) => tagged(union, base, new),
                (true, false) => Ok(Value::Map(new)),
                (false, false) => entries(table.values, base, new),
                (false, true) => Err(wrong(
                    "a model for all commands cannot be merged into a mapping of commands; write \
                     {'*': MODEL}",
                )),
            }
        }
        (Type::Table(table), Value::Map(base), Value::Map(new)) => entries(table.values, base, new),
        (Type::Any, Value::Map(base), Value::Map(new)) => entries(Type::Any, base, new),
        (_, Value::List(mut base), Value::List(new)) => {
            base.extend(new);
            Ok(Value::List(base))
        }
        (_, Value::List(_), new) => Err(wrong(&format!(
            "an earlier file has a list here, and {} cannot be merged into a list; write a list",
            new.kind()
        ))),
        (_, Value::Map(_), new) => Err(wrong(&format!(
            "an earlier file has a mapping here, and {} cannot be merged into it",
            new.kind()
        ))),
        (_, base, new) => Ok(if base.equals_like_python(&new) {
            base
        } else {
            new
        }),
    }
}

fn wrong(message: &str) -> MergeError {
    MergeError {
        path: Vec::new(),
        message: message.to_owned(),
    }
}

fn tagged(union: &Tagged, base: Map, new: Map) -> Result<Value, MergeError> {
    let tag = Key::from(union.tag);
    match new
        .get(&tag)
        .and_then(Value::as_str)
        .and_then(|name| union.variant(name))
    {
        Some(model) if base.get(&tag) == new.get(&tag) => fields(model, base, new),
        _ => Ok(Value::Map(new)),
    }
}

fn fields(model: &Model, mut base: Map, new: Map) -> Result<Value, MergeError> {
    // Penguin visits the fields that a model does not describe twice, so their lists are appended
    // twice.
    let extra: Vec<_> = if model.open {
        new.iter()
            .filter(|(key, _)| model.field(&key.text()).is_none())
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    } else {
        Vec::new()
    };
    for (key, value) in new.into_iter().chain(extra) {
        let ty = model.field(&key.text()).map_or(Type::Any, |field| field.ty);
        put(&mut base, ty, key, value)?;
    }
    Ok(Value::Map(base))
}

fn entries(ty: Type, mut base: Map, new: Map) -> Result<Value, MergeError> {
    base.reserve(new.len());
    for (key, value) in new {
        put(&mut base, ty, key, value)?;
    }
    Ok(Value::Map(base))
}

fn put(base: &mut Map, ty: Type, key: Key, value: Value) -> Result<(), MergeError> {
    if let Some(old) = base.get_mut(&key) {
        let merged =
            merge(ty, std::mem::replace(old, Value::Null), value).map_err(|mut error| {
                error.path.insert(0, key.text());
                error
            })?;
        *old = merged;
    } else {
        base.insert(key, value);
    }
    Ok(())
}
