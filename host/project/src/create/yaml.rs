//! YAML that every reader of either version understands alike.

use std::fmt::Write;

use serde_json::Value;

/// Write a value as a document. A string is plain only where YAML 1.1 and 1.2 both take it for the same string.
pub(super) fn to_yaml(value: &Value) -> String {
    let mut out = String::new();
    if is_empty(value) {
        out.push_str(&inline(value));
        out.push('\n');
    } else {
        block(value, 0, &mut out);
    }
    out
}

/// Whether a value fits on the line where it stands.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => true,
    }
}

fn block(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                pad(indent, out);
                out.push_str(&string(key));
                out.push(':');
                after(value, indent + 2, out);
            }
        }
        Value::Array(items) => {
            for item in items {
                pad(indent, out);
                out.push('-');
                after(item, indent + 2, out);
            }
        }
        _ => {}
    }
}

/// What follows a `:` or a `-`.
fn after(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::Object(_) | Value::Array(_) if !is_empty(value) => {
            out.push('\n');
            block(value, indent, out);
        }
        Value::String(text) if is_literal(text) => {
            out.push_str(" |\n");
            for line in text.lines() {
                if !line.is_empty() {
                    pad(indent, out);
                    out.push_str(line);
                }
                out.push('\n');
            }
        }
        scalar => {
            out.push(' ');
            out.push_str(&inline(scalar));
            out.push('\n');
        }
    }
}

fn pad(indent: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', indent));
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => string(text),
        other => other.to_string(),
    }
}

fn string(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    // JSON's escapes are YAML's; what JSON leaves raw and YAML refuses is escaped here.
    let quoted = Value::from(text).to_string();
    quoted
        .chars()
        .fold(String::with_capacity(quoted.len()), |mut out, c| {
            if c.is_control()
                || matches!(
                    c,
                    '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
                )
            {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            } else {
                out.push(c);
            }
            out
        })
}

/// Whether a string needs no quotes: a path or an identifier that is no boolean, null or number to anybody.
fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c))
        && !WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Whether a string can be written line by line.
fn is_literal(text: &str) -> bool {
    text.ends_with('\n')
        && !text.ends_with("\n\n")
        && !text.starts_with([' ', '\n'])
        && text.chars().all(|c| c == '\n' || matches!(c, ' '..='~'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn strings_that_readers_disagree_on_are_quoted() {
        for text in [
            "on",
            "No",
            "~",
            "null",
            "08",
            "0o755",
            "1e3",
            "12:30",
            "",
            " a",
            "a: b",
            "#x",
            "{{ x }}",
            "-",
            "*",
            "2001-01-01",
            ".inf",
        ] {
            assert!(string(text).starts_with('"'), "{text}");
        }
        assert_eq!(string("/sbin/init"), "/sbin/init");
        assert_eq!(
            string("static_patches/base.yaml"),
            "static_patches/base.yaml"
        );
        assert_eq!(string("\u{7f}\u{85}"), "\"\\u007f\\u0085\"");
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
            "[a-z]{0,4}\n[a-z #:]{0,6}\n".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(".{0,8}", inner, 0..4).prop_map(|m| json!(m)),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_value_is_read_back_as_it_was(value in value()) {
            let text = to_yaml(&value);
            let back: Value = serde_yaml::from_str(&text).map_err(|e| TestCaseError::fail(format!("{e}\n{text}")))?;
            prop_assert_eq!(back, value, "{}", text);
        }
    }
}
