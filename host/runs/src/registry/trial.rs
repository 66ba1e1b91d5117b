//! A run with a change that is in no patch.

use serde_json::{Map, Value};

/// Keys that a note names.
const NAMED: usize = 8;

/// The keys that are tried, two steps deep: `pseudofiles./dev/dsa`.
pub(super) fn keys(fragment: &Map<String, Value>) -> Vec<String> {
    let below = |(section, value): (&String, &Value)| match value {
        Value::Object(names) => names
            .keys()
            .map(|name| format!("{section}.{name}"))
            .collect(),
        Value::Array(names) => vec![format!("{section} {}", Value::from(names.clone()))],
        _ => vec![section.clone()],
    };
    fragment.iter().flat_map(below).collect()
}

/// What the run says of it.
pub(super) fn note(keys: &[String]) -> String {
    let named = keys
        .iter()
        .take(NAMED)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    let more = match keys.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("this run is a trial of a change that is in no patch: {named}{more}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_trial_is_told_by_what_it_changes_and_not_by_how() {
        let fragment = json!({
            "pseudofiles": { "/dev/a": { "read": { "model": "zero" } }, "/dev/b": {} },
            "netdevs": ["br0"],
            "env": {}
        });
        let keys = keys(fragment.as_object().unwrap());
        assert_eq!(
            keys,
            [
                "pseudofiles./dev/a",
                "pseudofiles./dev/b",
                r#"netdevs ["br0"]"#
            ]
        );
        assert!(note(&keys).ends_with(r#"/dev/a, pseudofiles./dev/b, netdevs ["br0"]"#));
        let many: Vec<_> = (0..10).map(|n| format!("env.x{n}")).collect();
        assert!(
            note(&many).ends_with("env.x7 and 2 more"),
            "{}",
            note(&many)
        );
    }
}
