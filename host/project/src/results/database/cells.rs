//! Values of a row, as JSON.

use data_encoding::BASE64;
use rusqlite::types::ValueRef;
use serde_json::{Value, json};

use rookery_contract::text;

/// A longer value is cut.
const MAX_VALUE: usize = 64 << 10;

/// One value as JSON. Integers stay exact; what is no printable UTF-8 becomes base64.
pub(super) fn cell(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(i) => i.into(),
        ValueRef::Real(r) => {
            serde_json::Number::from_f64(r).map_or_else(|| r.to_string().into(), Value::Number)
        }
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(whole) if whole.len() <= MAX_VALUE => whole.into(),
            _ => bytes_cell(bytes),
        },
        ValueRef::Blob(bytes) => bytes_cell(bytes),
    }
}

fn bytes_cell(bytes: &[u8]) -> Value {
    let shown = bytes.get(..MAX_VALUE).unwrap_or(bytes);
    let whole = shown.get(..text::whole_characters(shown)).unwrap_or(shown);
    let printable = |t: &&str| {
        !t.chars()
            .any(|c| c.is_control() && !matches!(c, '\t' | '\n' | '\r'))
    };
    let mut cell = match std::str::from_utf8(whole).ok().filter(printable) {
        Some(text) if whole.len() == shown.len() || shown.len() < bytes.len() => {
            json!({ "text": text })
        }
        _ => json!({ "base64": BASE64.encode(shown) }),
    };
    cell["bytes"] = bytes.len().into();
    if shown.len() < bytes.len() {
        cell["cut"] = true.into();
    }
    cell
}

/// About how many bytes a value takes in the answer.
pub(super) fn size(cell: &Value) -> usize {
    match cell {
        Value::String(s) => s.len() + 2,
        Value::Object(fields) => fields.values().map(size).sum::<usize>() + 24,
        _ => 8,
    }
}
