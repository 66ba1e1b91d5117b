//! What was merged, and which of it set a path.

use super::files::MAIN;
use crate::ground::yaml::value::Value;

/// One file, or one thing that Penguin adds by itself, and what it sets.
#[derive(Debug, Clone)]
pub struct Layer {
    /// The file relative to the project directory, or the key that caused the addition in
    /// parentheses.
    pub file: String,
    /// Its content.
    pub text: String,
    /// What it sets, rendered and normalised.
    pub tree: Value,
}

/// The last file that sets a path, or the longest part of it.
pub(super) fn origin(layers: &[Layer], path: &[String]) -> String {
    let sets = |layer: &Layer, length: usize| {
        let mut node = Some(&layer.tree);
        for step in path.iter().take(length) {
            node = node.and_then(|value| match value {
                Value::Map(map) => map
                    .iter()
                    .find(|(key, _)| key.text() == *step)
                    .map(|(_, value)| value),
                Value::List(items) => items.get(step.parse::<usize>().ok()?),
                _ => None,
            });
        }
        node.is_some()
    };
    let found = (1..=path.len())
        .rev()
        .find_map(|length| layers.iter().rev().find(|layer| sets(layer, length)));
    found.map_or_else(|| MAIN.to_owned(), |layer| layer.file.clone())
}
