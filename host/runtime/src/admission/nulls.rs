//! "Or null" in schemas, which clients understand in one form and model APIs in few.

use serde_json::{Map, Value};

/// Write "or null" as clients understand it: not at all where it means the same as absence, else as
/// `anyOf`.
pub(super) fn nullable(schema: &mut Map<String, Value>, null_matters: bool) {
    let is_null = |schema: &Value| schema.get("type").and_then(Value::as_str) == Some("null");
    if let Some(Value::Array(types)) = schema.get("type") {
        let kept: Vec<Value> = types
            .iter()
            .filter(|name| null_matters || *name != "null")
            .cloned()
            .collect();
        if let [only] = kept.as_slice() {
            schema.insert("type".to_owned(), only.clone());
        } else {
            schema.shift_remove("type");
            let mut rest = std::mem::take(schema);
            for keyword in ["description", "default"] {
                if let Some(value) = rest.shift_remove(keyword) {
                    schema.insert(keyword.to_owned(), value);
                }
            }
            let of_type = |name: &Value| {
                let mut one = Map::from_iter([("type".to_owned(), name.clone())]);
                if name != "null" {
                    one.extend(rest.clone());
                }
                Value::Object(one)
            };
            schema.insert("anyOf".to_owned(), kept.iter().map(of_type).collect());
        }
    }
    if !null_matters && let Some(Value::Array(variants)) = schema.get_mut("anyOf") {
        variants.retain(|variant| !is_null(variant));
        if let [Value::Object(only)] = variants.as_slice() {
            let only = only.clone();
            schema.shift_remove("anyOf");
            for (keyword, value) in only {
                schema.entry(keyword).or_insert(value);
            }
        }
    }
    if !null_matters {
        if let Some(Value::Array(options)) = schema.get_mut("enum") {
            options.retain(|option| !option.is_null());
        }
        if schema.get("default").is_some_and(Value::is_null) {
            schema.shift_remove("default");
        }
    }
}
