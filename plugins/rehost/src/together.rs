//! Changes that did nothing alone, all at once: two things may be missing at the same place.

use rookery_plugin::fragment::Fragment;
use serde_json::Value;

use crate::ledger::{Effect, Hypothesis, Ledger};

/// The changes that had no effect on the project as it is now, as one.
pub fn together(ledger: &Ledger) -> Option<Hypothesis> {
    let alone: Vec<&Hypothesis> = ledger
        .tried_now()
        .filter(|tried| tried.effect == Effect::Same)
        .map(|tried| &tried.hypothesis)
        .filter(|hypothesis| !hypothesis.asks && !hypothesis.is_of_many())
        .collect();
    if alone.len() < 2 {
        return None;
    }
    let mut change = Fragment::default();
    for hypothesis in &alone {
        merge(&mut change.value, &hypothesis.fragment);
        change.replace.extend(hypothesis.replace.iter().cloned());
    }
    let keys: Vec<&str> = alone
        .iter()
        .map(|hypothesis| hypothesis.key.as_str())
        .collect();
    Some(Hypothesis::new(
        format!("{}{}", Hypothesis::MANY, keys.join(" + ")),
        format!("these did nothing alone: {}", keys.join(" and ")),
        None,
        change,
    ))
}

/// Objects by their members, lists by their items; anything else takes the place of what was there.
fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                merge(into.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (Value::Array(into), Value::Array(from)) => {
            let new: Vec<_> = from
                .iter()
                .filter(|item| !into.contains(item))
                .cloned()
                .collect();
            into.extend(new);
        }
        (into, from) => *into = from.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fragments_are_merged_as_layers_are() {
        let mut into = json!({ "netdevs": ["a"], "env": { "x": "1" } });
        merge(
            &mut into,
            &json!({ "netdevs": ["b", "a"], "env": { "y": "2" }, "nvram": {} }),
        );
        let merged = json!({ "netdevs": ["a", "b"], "env": { "x": "1", "y": "2" }, "nvram": {} });
        assert_eq!(into, merged);
    }
}
