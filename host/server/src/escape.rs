//! Makes text visible: characters that a terminal obeys, or that a reader cannot see, become
//! `\u{…}`.
//!
//! Text from a guest is hostile. Tools escape it themselves; this is the last gate before an agent
//! or a terminal reads it.

use std::borrow::Cow;

use rookery_runtime::is_hidden;
use serde_json::{Map, Value};

/// `text` with every hidden character written as `\u{…}`.
pub fn visible(text: &str) -> Cow<'_, str> {
    if is_plain_ascii(text) || !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hidden(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Most text is: this check needs no decoding.
fn is_plain_ascii(text: &str) -> bool {
    text.bytes()
        .all(|b| matches!(b, b' '..=b'~' | b'\n' | b'\t'))
}

/// [`visible`] for every string and key of `value`.
pub fn make_visible(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Cow::Owned(escaped) = visible(text) {
                *text = escaped;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(make_visible),
        Value::Object(map) => {
            map.values_mut().for_each(make_visible);
            if map.keys().any(|key| matches!(visible(key), Cow::Owned(_))) {
                let entries: Map<String, Value> = std::mem::take(map)
                    .into_iter()
                    .map(|(key, value)| (visible(&key).into_owned(), value))
                    .collect();
                *map = entries;
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// [`visible`] text of at most `limit` characters, `…` where it was cut. For text that is quoted in
/// a message.
pub fn excerpt(text: &str, limit: usize) -> String {
    let text = visible(text);
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn hidden_characters_are_written_out_and_the_rest_is_kept() {
        assert_eq!(
            visible("\u{1b}[2Jhi\u{202e}\u{200b}\u{e0041}\u{9b}\u{3164}\u{fe01}\u{2800}\u{e000}"),
            r"\u{1b}[2Jhi\u{202e}\u{200b}\u{e0041}\u{9b}\u{3164}\u{fe01}\u{2800}\u{e000}"
        );
        for kept in ["a\nb\tc", "日本語 é 🙂", "{\"k\": \"\\u001b\"}"] {
            assert!(matches!(visible(kept), Cow::Borrowed(text) if text == kept));
        }
    }

    #[test]
    fn keys_are_escaped_in_place() {
        let mut value = json!({"a": 1, "b\u{7}": ["\u{0}"], "c": {"\u{feff}": null}});
        make_visible(&mut value);
        assert_eq!(
            value.to_string(),
            r#"{"a":1,"b\\u{7}":["\\u{0}"],"c":{"\\u{feff}":null}}"#
        );
    }

    #[test]
    fn an_excerpt_is_cut_between_characters() {
        assert_eq!(excerpt("ééé", 2), "éé…");
        assert_eq!(excerpt("éé", 2), "éé");
    }
}
