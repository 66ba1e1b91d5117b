//! A row of a table.

use serde_json::{Map, Value};

/// A cell as text; empty where the file has no such column.
pub fn cell<'a>(row: &'a Map<String, Value>, column: &str) -> &'a str {
    row.get(column).and_then(Value::as_str).unwrap_or_default()
}
