//! Dotted paths: `env.igloo_init`, `pseudofiles./dev/dsa.read`, `netdevs.eth0`.

use super::templates::{is_called, restore};
use crate::ground::yaml::value::{Key, Map, Value, command_number};

/// The keys that a dotted path means in a tree, keys that contain dots matched longest first; items
/// of a list by their text, numbers in any notation.
pub fn resolve(tree: &Value, dotted: &str) -> Option<Vec<String>> {
    by_name(tree, dotted).or_else(|| {
        let step = dotted.split('.').next().unwrap_or_default();
        let number = command_number(step)?.to_string();
        let rest = dotted.get(step.len()..).unwrap_or_default();
        (number != step).then(|| by_name(tree, &(number + rest)))?
    })
}

fn by_name(tree: &Value, dotted: &str) -> Option<Vec<String>> {
    let mut candidates: Vec<String> = match tree {
        Value::Map(map) => map.keys().map(name).collect(),
        Value::List(items) => items.iter().filter_map(item_text).collect(),
        _ => Vec::new(),
    };
    candidates.retain(|name| {
        dotted
            .strip_prefix(name.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    });
    candidates.sort_by_key(|name| std::cmp::Reverse(name.len()));
    candidates.into_iter().find_map(|name| {
        let Some(rest) = dotted.strip_prefix(name.as_str())?.strip_prefix('.') else {
            return Some(vec![name]);
        };
        let mut path = resolve(get(tree, std::slice::from_ref(&name))?, rest)?;
        path.insert(0, name);
        Some(path)
    })
}

/// The value at a path.
pub fn get<'a>(tree: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(tree, |node, step| match node {
        Value::Map(map) => map.get_index(index_of(map, step)?).map(|(_, value)| value),
        Value::List(items) => items
            .iter()
            .find(|item| item_text(item).as_deref() == Some(step)),
        _ => None,
    })
}

/// Take the value at a path out, and what it leaves empty; but an empty pseudofile or plugin still
/// says that it exists.
pub fn remove(tree: &mut Value, path: &[String]) -> bool {
    let kept = match path.first().map(String::as_str) {
        Some("pseudofiles" | "plugins") => 2,
        _ => 0,
    };
    take(tree, path, kept)
}

/// `kept` is how many steps down an emptied mapping stays.
fn take(tree: &mut Value, path: &[String], kept: usize) -> bool {
    let Some((step, rest)) = path.split_first() else {
        return false;
    };
    match tree {
        Value::Map(map) => {
            let Some(index) = index_of(map, step) else {
                return false;
            };
            let Some((_, value)) = map.get_index_mut(index) else {
                return false;
            };
            if !rest.is_empty() {
                if !take(value, rest, kept.saturating_sub(1)) {
                    return false;
                }
                let emptied = kept != 1 && matches!(value, Value::Map(map) if map.is_empty())
                    || matches!(value, Value::List(items) if items.is_empty());
                if !emptied {
                    return true;
                }
            }
            map.shift_remove_index(index).is_some()
        }
        Value::List(items) => {
            let before = items.len();
            items.retain(|item| item_text(item).as_deref() != Some(step));
            rest.is_empty() && items.len() < before
        }
        _ => false,
    }
}

/// The paths of the leaves: scalars, lists, empty mappings, and models as a whole.
pub fn leaves(tree: &Value) -> Vec<Vec<String>> {
    let mut out = Vec::new();
    each_leaf(tree, &mut |path| out.push(path.to_vec()));
    out
}

/// How many [`leaves`] there are, without a path for each.
pub fn count_leaves(tree: &Value) -> usize {
    fn count(node: &Value, depth: usize, holds_models: bool) -> usize {
        let is_model = depth > 1 && holds_models && is_model(node);
        match node {
            Value::Map(map) if !map.is_empty() && !is_model => map
                .iter()
                .map(|(key, value)| {
                    let holds_models = match depth {
                        0 => MODELS.iter().any(|section| is_called(key, section)),
                        _ => holds_models,
                    };
                    count(value, depth + 1, holds_models)
                })
                .sum(),
            // The tree itself is no key.
            _ => usize::from(depth > 0),
        }
    }
    count(tree, 0, false)
}

/// The place of the first key that a person means by `name`.
fn index_of(map: &Map, name: &str) -> Option<usize> {
    // A number and a template may be written otherwise than they are meant; every other key is
    // found as it is.
    if name.contains('{') || name.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
        return map.keys().position(|key| is_called(key, name));
    }
    let text = map.get_index_of(&Key::Str(name.into()));
    let other = map.get_index_of(&Key::Other(name.into()));
    text.into_iter().chain(other).min()
}

/// Sections whose entries are models.
const MODELS: [&str; 2] = ["pseudofiles", "static_files"];

fn is_model(node: &Value) -> bool {
    node.get("model").is_some() || node.get("type").is_some()
}

fn each_leaf(tree: &Value, found: &mut dyn FnMut(&[String])) {
    fn walk(node: &Value, path: &mut Vec<String>, found: &mut dyn FnMut(&[String])) {
        match node {
            Value::Map(map) if !map.is_empty() && !is_whole(path, node) => {
                for (key, value) in map {
                    path.push(name(key));
                    walk(value, path, found);
                    path.pop();
                }
            }
            // The tree itself is no key.
            _ if path.is_empty() => {}
            _ => found(path),
        }
    }
    // A variable may be called `model`, too.
    fn is_whole(path: &[String], node: &Value) -> bool {
        matches!(path, [section, _, ..] if MODELS.contains(&section.as_str())) && is_model(node)
    }
    walk(tree, &mut Vec::new(), found);
}

/// A key as a person means it: what was written so that Penguin renders it to the key given.
fn name(key: &Key) -> String {
    restore(&key.text())
}

fn item_text(item: &Value) -> Option<String> {
    match item {
        Value::Str(text) => Some(restore(text)),
        Value::Int(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Value {
        Value::from_json(&serde_json::json!({
            "env": {"a": "1", "a.b": "2"},
            "netdevs": ["eth0", "br0.1"],
            "pseudofiles": {"/dev/x.y": {"read": {"model": "zero"}}, "/dev/x": {"y": 1}},
        }))
    }

    #[test]
    fn keys_with_dots_are_matched_longest_first() {
        let path = |dotted| resolve(&tree(), dotted).map(|path| path.join("|"));
        assert_eq!(path("env.a.b").as_deref(), Some("env|a.b"));
        assert_eq!(path("env.a").as_deref(), Some("env|a"));
        assert_eq!(
            path("pseudofiles./dev/x.y.read.model").as_deref(),
            Some("pseudofiles|/dev/x.y|read|model")
        );
        assert_eq!(path("netdevs.br0.1").as_deref(), Some("netdevs|br0.1"));
        assert_eq!(path("env.c"), None);
    }

    #[test]
    fn a_model_is_one_leaf_and_a_variable_called_model_is_another() {
        let tree = Value::from_json(&serde_json::json!({
            "env": {"model": "X1", "a": "1"},
            "nvram": {"type": "router"},
            "pseudofiles": {"/dev/x": {"read": {"model": "const_buf", "val": "1"}}},
            "static_files": {"/x": {"type": "dir", "mode": 493}},
        }));
        let leaves: Vec<_> = leaves(&tree)
            .into_iter()
            .map(|path| path.join("|"))
            .collect();
        assert_eq!(
            leaves,
            [
                "env|model",
                "env|a",
                "nvram|type",
                "pseudofiles|/dev/x|read",
                "static_files|/x"
            ]
        );
    }

    #[test]
    fn what_a_removal_leaves_empty_goes_too() {
        let mut tree = tree();
        assert!(remove(
            &mut tree,
            &["pseudofiles".into(), "/dev/x".into(), "y".into()]
        ));
        // The node itself was made, too.
        assert_eq!(
            get(&tree, &["pseudofiles".into(), "/dev/x".into()]),
            Some(&Value::empty())
        );
        assert!(remove(&mut tree, &["netdevs".into(), "eth0".into()]));
        assert!(remove(&mut tree, &["netdevs".into(), "br0.1".into()]));
        assert!(tree.get("netdevs").is_none());
        assert!(!remove(&mut tree, &["env".into(), "z".into()]));
    }

    proptest::proptest! {
        #[test]
        fn a_key_is_found_as_if_all_were_compared(
            keys in proptest::collection::vec(key(), 0..8),
            name in "[a1{-]{0,3}|true|1.5|\\{\\{ a \\}\\}",
        ) {
            let map: Map = keys.into_iter().map(|key| (key, Value::Null)).collect();
            let compared = map.keys().position(|key| super::name(key) == name);
            proptest::prop_assert_eq!(index_of(&map, &name), compared);
            let tree = Value::Map([("pseudofiles".into(), Value::Map(map))].into());
            proptest::prop_assert_eq!(count_leaves(&tree), leaves(&tree).len());
        }
    }

    fn key() -> impl proptest::strategy::Strategy<Value = Key> {
        use proptest::strategy::Strategy as _;
        let text = || "[a1{-]{0,3}|\\{\\{ a \\}\\}";
        proptest::prop_oneof![
            text().prop_map(|text| Key::Str(text.into())),
            text().prop_map(|text| Key::Str(super::super::templates::neutralise(&text).into())),
            (-2..12_i128).prop_map(Key::Int),
            "true|1.5|a".prop_map(|text| Key::Other(text.into())),
        ]
    }

    #[test]
    fn leaves_are_counted_as_they_are_listed() {
        for tree in [tree(), Value::Null, Value::empty(), Value::from("x")] {
            assert_eq!(count_leaves(&tree), leaves(&tree).len(), "{tree:?}");
        }
    }
}
