//! The one place where result files in YAML are parsed.

use serde_json::Value;

use crate::{Error, Result};

/// Parse a result file. Empty is `null`; mapping keys of any scalar type become their text.
pub(super) fn parse(text: &str) -> Result<Value> {
    let parsed: serde_yaml::Value =
        serde_yaml::from_str(text).map_err(|e| Error::InvalidArgument(e.to_string()))?;
    Ok(to_json(parsed))
}

fn to_json(value: serde_yaml::Value) -> Value {
    use serde_yaml::Value as Yaml;
    match value {
        Yaml::Null => Value::Null,
        Yaml::Bool(b) => Value::Bool(b),
        Yaml::String(s) => Value::String(s),
        Yaml::Sequence(items) => items.into_iter().map(to_json).collect(),
        Yaml::Tagged(tagged) => to_json(tagged.value),
        Yaml::Number(n) => n
            .as_i64()
            .map(Value::from)
            .or_else(|| n.as_u64().map(Value::from))
            .unwrap_or_else(|| {
                n.as_f64().map_or(Value::Null, |f| {
                    serde_json::Number::from_f64(f)
                        .map_or_else(|| n.to_string().into(), Value::Number)
                })
            }),
        Yaml::Mapping(entries) => {
            let text = |key: Yaml| match to_json(key) {
                Value::String(s) => s,
                other => other.to_string(),
            };
            Value::Object(
                entries
                    .into_iter()
                    .map(|(k, v)| (text(k), to_json(v)))
                    .collect(),
            )
        }
    }
}
