//! A change merged into the patch file, by rules of our own where Penguin's would hurt.
//!
//! Penguin appends lists of different files to each other, so the file holds of a list only what
//! lower files lack.

use super::guard::octal;
use super::schema::{Field, PROJECT, Table, Tagged, Type};
use super::templates::{map_strings, neutralise};
use crate::ground::yaml::value::{Key, Map, Value, command_number};

/// `new`, which was checked, laid over the content of the patch file; `below` is what lower files
/// set.
///
/// Of a list of names or numbers what is missing is added; a list whose order matters replaces the
/// one before.
pub fn lay(patch: Value, new: Value, below: &Value, warnings: &mut Vec<String>) -> Value {
    Editor {
        warnings,
        path: Vec::new(),
    }
    .value(Type::Model(&PROJECT), Some(patch), new, Some(below))
    .unwrap_or_else(Value::empty)
}

struct Editor<'a> {
    warnings: &'a mut Vec<String>,
    path: Vec<String>,
}

impl Editor<'_> {
    /// What the patch holds afterwards, or nothing where lower files already say it all.
    fn value(
        &mut self,
        ty: Type,
        old: Option<Value>,
        new: Value,
        below: Option<&Value>,
    ) -> Option<Value> {
        match (ty, new) {
            (Type::Optional(ty) | Type::NullIsEmpty(ty), new) => self.value(*ty, old, new, below),
            (Type::Table(table), Value::Map(new)) => {
                Some(self.entries(|_| table.values, map(old), new, below))
            }
            (Type::Model(model) | Type::Short(model, _), Value::Map(new)) => Some(self.entries(
                |key| model.field(&key.text()).map_or(Type::Any, |field| field.ty),
                map(old),
                new,
                below,
            )),
            (Type::Tagged(union), Value::Map(new)) => {
                Some(self.tagged(union, map(old), new, below))
            }
            (Type::OneOrTable(union, table), Value::Map(new)) => {
                Some(self.commands(union, table, map(old), new, below))
            }
            (Type::Any, Value::Map(new)) if matches!(old, None | Some(Value::Map(_))) => {
                Some(self.entries(|_| Type::Any, map(old), new, below))
            }
            (Type::List(Type::Str | Type::Int) | Type::Any, Value::List(new))
                if new.iter().all(is_scalar) =>
            {
                self.names(old, new, below)
            }
            (Type::Either(types), Value::List(new))
                if types.iter().any(|ty| matches!(ty, Type::Bool)) =>
            {
                self.names(old, new, below)
            }
            (_, Value::List(new)) => Some(self.ordered(new, below)),
            (_, new) => Some(new),
        }
    }

    fn entries(
        &mut self,
        ty: impl Fn(&Key) -> Type,
        mut old: Map,
        new: Map,
        below: Option<&Value>,
    ) -> Value {
        for (key, value) in new {
            self.path.push(key.text());
            let lower = below.and_then(Value::as_map).and_then(|map| map.get(&key));
            let previous = old
                .get_mut(&key)
                .map(|held| std::mem::replace(held, Value::Null));
            match self.value(ty(&key), previous, value, lower) {
                Some(value) => drop(old.insert(key, value)),
                None => drop(old.shift_remove(&key)),
            }
            self.path.pop();
        }
        Value::Map(old)
    }

    /// Another model replaces the one before, with all of its fields.
    fn tagged(&mut self, union: &Tagged, old: Map, new: Map, below: Option<&Value>) -> Value {
        let tag = Key::from(union.tag);
        let model = new
            .get(&tag)
            .and_then(Value::as_str)
            .and_then(|name| union.variant(name));
        let same = |map: &Map| map.get(&tag) == new.get(&tag);
        let old = if same(&old) { old } else { Map::new() };
        let below = below.filter(|value| value.as_map().is_some_and(same));
        let field = |key: &Key| model.and_then(|model| model.field(&key.text()));
        let mut laid = self.entries(
            |key| field(key).map_or(Type::Any, |field| field.ty),
            old,
            new,
            below,
        );
        if let (Value::Map(laid), Some(Value::Map(lower))) = (&mut laid, below) {
            self.cover(laid, lower, field);
        }
        laid
    }

    /// Penguin merges two entries of one model: what the lower one sets and this one leaves out
    /// must be set to its default.
    fn cover(
        &mut self,
        laid: &mut Map,
        lower: &Map,
        field: impl Fn(&Key) -> Option<&'static Field>,
    ) {
        let entries_stay = |laid: &Map, key: &Key, value: &Value| match (laid.get(key), value) {
            (Some(Value::Map(given)), Value::Map(lower)) => {
                lower.keys().any(|key| !given.contains_key(key))
            }
            _ => false,
        };
        // Data of a sparse file that stays needs the room that it has.
        let vals = Key::from("vals");
        let data_stays = lower
            .get(&vals)
            .is_some_and(|value| entries_stay(laid, &vals, value));
        for (key, value) in lower {
            let default = field(key).and_then(|field| field.default.scalar());
            let shows = match laid.get(key) {
                None => *value != Value::Null && default.as_ref() != Some(value),
                // Lists have their own rule.
                Some(_) => entries_stay(laid, key, value),
            };
            match default {
                _ if !shows || *key == Key::from("provenance") => {}
                Some(_) if data_stays && *key == Key::from("size") => {}
                Some(default) => drop(laid.insert(key.clone(), default)),
                None => self.warnings.push(format!(
                    "{}.{}: what an earlier file sets here stays, because Penguin cannot unset it; \
                     use another model, or change that file",
                    self.path.join("."),
                    key.text()
                )),
            }
        }
    }

    /// A model for all commands cannot be laid over a table of lower files, but `*` in a table can.
    fn commands(
        &mut self,
        union: &Tagged,
        table: &Table,
        old: Map,
        new: Map,
        below: Option<&Value>,
    ) -> Value {
        let tag = Key::from(union.tag);
        let whole = |map: &Map| map.contains_key(&tag);
        let as_table = |map: Map| {
            if whole(&map) {
                Map::from([("*".into(), Value::Map(map))])
            } else {
                map
            }
        };
        let lower_has_table = below.and_then(Value::as_map).is_some_and(|map| !whole(map));
        if whole(&new) && (old.is_empty() || whole(&old)) && !lower_has_table {
            return self.tagged(union, old, new, below);
        }
        let lower = below
            .and_then(Value::as_map)
            .map(|map| Value::Map(as_table(map.clone())));
        let mut laid = self.entries(
            |_| table.values,
            as_table(old),
            as_table(new),
            lower.as_ref().filter(|_| lower_has_table),
        );
        // A table replaces a lower model for all commands, so it takes that in.
        if let (false, Value::Map(laid), Some(Value::Map(mut lower))) =
            (lower_has_table, &mut laid, lower)
            && let Some(model) = lower.shift_remove(&Key::from("*"))
        {
            laid.entry("*".into())
                .or_insert_with(|| map_strings(model, neutralise));
        }
        laid
    }

    fn names(
        &mut self,
        old: Option<Value>,
        new: Vec<Value>,
        below: Option<&Value>,
    ) -> Option<Value> {
        let mut items = if let Some(Value::List(items)) = old {
            items
        } else {
            Vec::new()
        };
        let lower = list(below);
        for item in new {
            if lower.contains(&item) {
                self.warnings.push(format!(
                    "{} already holds {} in an earlier file",
                    self.path.join("."),
                    item.to_json()
                ));
            } else if !items.contains(&item) {
                items.push(item);
            }
        }
        (!items.is_empty()).then_some(Value::List(items))
    }

    fn ordered(&mut self, mut new: Vec<Value>, below: Option<&Value>) -> Value {
        let lower = list(below);
        if !lower.is_empty() {
            if new.starts_with(lower) {
                new.drain(..lower.len());
            } else {
                let path = self.path.join(".");
                self.warnings.push(format!(
                    "{path}: an earlier file has a list here and Penguin appends to it; use \
                     another model, or change that file, to replace it"
                ));
            }
        }
        Value::List(new)
    }
}

fn map(value: Option<Value>) -> Map {
    if let Some(Value::Map(map)) = value {
        map
    } else {
        Map::new()
    }
}

fn list(value: Option<&Value>) -> &[Value] {
    if let Some(Value::List(items)) = value {
        items
    } else {
        &[]
    }
}

fn is_scalar(value: &Value) -> bool {
    !matches!(value, Value::List(_) | Value::Map(_))
}

/// What JSON cannot say is put as YAML has it: numbers of commands and offsets as keys, file modes
/// in octal notation.
pub fn from_json(fragment: &serde_json::Value) -> Value {
    let mut tree = Value::from_json(fragment);
    number_commands(&mut tree);
    each(&mut tree, "static_files", |node| {
        let is_patch = node.get(&Key::from("type")).and_then(Value::as_str) == Some("binary_patch");
        if let Some(mode) = node.get_mut(&Key::from("mode")).filter(|_| !is_patch)
            && let Some(number) = mode.as_str().and_then(octal)
        {
            *mode = Value::Int(number);
        }
    });
    tree
}

/// Put the numbers of ioctl commands and of offsets in one notation, so that one command is one
/// key.
pub fn number_commands(tree: &mut Value) {
    each(tree, "pseudofiles", |node| {
        if let Some(ioctl) = node.get_mut(&Key::from("ioctl")) {
            number_keys(ioctl);
        }
        if let Some(vals) = node
            .get_mut(&Key::from("read"))
            .and_then(Value::as_map_mut)
            .and_then(|read| read.get_mut(&Key::from("vals")))
        {
            number_keys(vals);
        }
    });
}

fn each(tree: &mut Value, section: &str, change: impl Fn(&mut Map)) {
    let section = tree
        .as_map_mut()
        .and_then(|map| map.get_mut(&Key::from(section)))
        .and_then(Value::as_map_mut);
    section
        .into_iter()
        .flatten()
        .filter_map(|(_, value)| value.as_map_mut())
        .for_each(change);
}

fn number_keys(table: &mut Value) {
    let Value::Map(map) = table else { return };
    *map = std::mem::take(map)
        .into_iter()
        .map(|(key, value)| {
            let number = match &key {
                Key::Str(text) => command_number(text),
                _ => None,
            };
            (number.map_or(key, Key::Int), value)
        })
        .collect();
}
