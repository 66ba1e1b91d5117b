//! The text of a patch that is to be written, proven to say what is meant.

use crate::ground::yaml;
use crate::ground::yaml::value::{Key, Map, Value};
use crate::{Error, Result};

/// Readers of YAML give up on longer keys.
const MAX_KEY: usize = 1000;
/// Larger patches are a mistake, and slow every run.
const MAX_TEXT: usize = 1 << 20;

/// What the patch is now: its text, and what that was read as.
#[derive(Clone, Copy)]
pub struct Held<'a> {
    pub text: &'a str,
    pub tree: &'a Value,
}

/// The text to write, or nothing for a patch that sets nothing. What `held` has already is not
/// proven again.
pub fn text_of(tree: &Value, held: Option<Held<'_>>) -> Result<Option<String>> {
    if tree.as_map().is_none_or(Map::is_empty) {
        return Ok(None);
    }
    let text = yaml::write(tree);
    if text.len() > MAX_TEXT {
        return Err(Error::Limit(format!(
            "the patch would have {} bytes, and {MAX_TEXT} is the limit; put large content into \
             files of the project (static_files, type host_file)",
            text.len()
        )));
    }
    // A text that this program wrote was proven when it was.
    let proven = held.filter(|held| yaml::write(held.tree) == held.text);
    let is_read_back = match proven {
        Some(held) => proves_what_is_new(tree, held.tree),
        None => !has_long_key(tree) && yaml::parse_known(&text).as_ref() == Ok(tree),
    };
    if !is_read_back {
        return Err(Error::InvalidArgument(
            "a key is longer than 1000 bytes, or a value cannot be written as YAML; nothing was \
             written"
                .to_owned(),
        ));
    }
    yaml::remember(&text, tree);
    Ok(Some(text))
}

/// Whether the entries of `tree` that `old` does not have are read back as they are.
///
/// Each entry of a section is lines of its own in a text that [`yaml::write`] made, and what they
/// say depends on nothing around them. So those that were proven once need no second proof, and the
/// others need only each other.
fn proves_what_is_new(tree: &Value, old: &Value) -> bool {
    let new = new_entries(tree, old);
    let alone = Value::Map(new);
    !has_long_key(&alone) && yaml::parse(&yaml::write(&alone)).as_ref() == Ok(&alone)
}

/// The sections that differ, and of a mapping only the entries that do.
fn new_entries(tree: &Value, old: &Value) -> Map {
    let old = old.as_map();
    let mut new = Map::new();
    for (name, section) in tree.as_map().into_iter().flatten() {
        let before = old.and_then(|old| old.get(name));
        let differing = match (section, before) {
            (Value::Map(section), Some(Value::Map(before))) if !section.is_empty() => {
                let differs = |(key, value): &(&Key, &Value)| before.get(*key) != Some(*value);
                let owned = |(key, value): (&Key, &Value)| (key.clone(), value.clone());
                let entries: Map = section.iter().filter(differs).map(owned).collect();
                (!entries.is_empty()).then_some(Value::Map(entries))
            }
            (section, before) => (before != Some(section)).then(|| section.clone()),
        };
        if let Some(differing) = differing {
            new.insert(name.clone(), differing);
        }
    }
    new
}

fn has_long_key(tree: &Value) -> bool {
    match tree {
        Value::Map(map) => map
            .iter()
            .any(|(key, value)| is_long_key(key) || has_long_key(value)),
        Value::List(items) => items.iter().any(has_long_key),
        _ => false,
    }
}

fn is_long_key(key: &Key) -> bool {
    let alone = || Value::Map([(key.clone(), Value::Null)].into_iter().collect());
    // A byte is written as ten at most.
    key.text().len() > MAX_KEY / 16 && yaml::write(&alone()).len() > MAX_KEY
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Scalars of every kind, also those that no text gives back.
    fn scalar() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            Just(Value::Float(f64::NAN)),
            Just(Value::Float(1.5)),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(|number| Value::Int(number.into())),
            "[a'\"#: \n{}|\\-]{0,6}".prop_map(|text| Value::Str(text.into())),
            proptest::collection::vec(any::<u8>(), 0..4).prop_map(Value::Bytes),
        ]
    }

    fn key() -> impl Strategy<Value = Key> {
        prop_oneof![
            "[ab1'\"#: \n-]{0,3}".prop_map(|text| Key::Str(text.into())),
            (0..20_i128).prop_map(Key::Int),
            prop_oneof!["true", "null", "1.5", "x: y"].prop_map(|text| Key::Other(text.into())),
            Just(Key::Str("k".repeat(MAX_KEY).into())),
        ]
    }

    fn tree() -> impl Strategy<Value = Value> {
        let value = scalar().prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::List),
                proptest::collection::vec((key(), inner), 0..3)
                    .prop_map(|entries| Value::Map(entries.into_iter().collect())),
            ]
        });
        let section = proptest::collection::vec((key(), value.clone()), 0..5)
            .prop_map(|entries| Value::Map(entries.into_iter().collect()));
        let sections = prop_oneof![3 => section, 1 => value];
        proptest::collection::vec((key(), sections), 0..4)
            .prop_map(|entries| Value::Map(entries.into_iter().collect()))
    }

    /// `old` with some entries of `new`, as changes leave it.
    fn mixed(old: &Value, new: &Value) -> Value {
        let (Value::Map(mut out), Value::Map(new)) = (old.clone(), new.clone()) else {
            return new.clone();
        };
        for (key, value) in new {
            let merged = match (out.get(&key), value) {
                (Some(Value::Map(held)), Value::Map(more)) => {
                    Value::Map(held.clone().into_iter().chain(more).collect())
                }
                (_, value) => value,
            };
            out.insert(key, merged);
        }
        Value::Map(out)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn what_is_proven_in_parts_is_proven_as_a_whole(old in tree(), new in tree()) {
            let tree = mixed(&old, &new);
            let whole = text_of(&tree, None);
            // Only a text that was proven is ever held.
            if let Ok(Some(text)) = text_of(&old, None) {
                let held = Held { text: &text, tree: &old };
                prop_assert_eq!(text_of(&tree, Some(held)), whole.clone());
                let by_hand = format!("# by hand\n{text}");
                let held = Held { text: &by_hand, tree: &old };
                prop_assert_eq!(text_of(&tree, Some(held)), whole.clone());
            }
            if let Ok(Some(text)) = whole {
                prop_assert_eq!(yaml::parse(&text), Ok(tree), "{}", text);
            }
        }
    }
}
