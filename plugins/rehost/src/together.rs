//! Changes all at once: what is missing at different places, which costs a run each alone, and what
//! did nothing alone, since two things may be missing at the same place.

use rookery_plugin::fragment::Fragment;
use serde_json::Value;

use crate::ledger::{Effect, Hypothesis, Ledger, Part};

/// How many are one: what is known of them has to fit into a note.
const PARTS: usize = 16;

/// Of `untried`, those that add something, as the first does, as one: unless they were that
/// already.
pub fn at_once(untried: &[Hypothesis], ledger: &Ledger) -> Option<Hypothesis> {
    let was_part = |key: &str| {
        let mut tried = ledger.tried_now().map(|tried| &tried.hypothesis);
        tried.any(|known| known.is_of_many() && known.keys().any(|part| part == key))
    };
    let fits = |one: &&Hypothesis| one.only_adds() && !was_part(&one.key);
    untried.first().filter(fits)?;
    let all: Vec<_> = untried.iter().filter(fits).take(PARTS).collect();
    many(&all, "something is missing at several places")
}

/// The changes that had no effect on the project as it is now, as one.
pub fn together(ledger: &Ledger) -> Option<Hypothesis> {
    let alone: Vec<&Hypothesis> = ledger
        .tried_now()
        .filter(|tried| tried.effect == Effect::Same)
        .map(|tried| &tried.hypothesis)
        .filter(|hypothesis| !hypothesis.asks && !hypothesis.is_of_many())
        .collect();
    many(&alone, "these did nothing alone")
}

/// Several as one; `None` of fewer than two.
fn many(all: &[&Hypothesis], why: &str) -> Option<Hypothesis> {
    if all.len() < 2 {
        return None;
    }
    let mut change = Fragment::default();
    for hypothesis in all {
        merge(&mut change.value, &hypothesis.fragment);
        change.replace.extend(hypothesis.replace.iter().cloned());
    }
    let part = |one: &&Hypothesis| Part {
        key: one.key.clone(),
        call: one.call.clone(),
    };
    let mut keys: Vec<_> = all.iter().map(|one| one.key.as_str()).collect();
    keys.sort_unstable();
    let (key, why) = (keys.join(" + "), format!("{why}: {}", keys.join(" and ")));
    let one = Hypothesis::new(format!("together {key}"), why, None, change);
    Some(Hypothesis {
        parts: all.iter().map(part).collect(),
        ..one
    })
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
