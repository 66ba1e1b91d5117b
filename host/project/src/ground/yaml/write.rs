//! YAML text that a person can review and that readers of version 1.1 and 1.2 understand alike.
//!
//! Invariant 7: a string reaches the guest unchanged.

use std::fmt::Write;

use super::scalar::plain_is_a_string;
use super::value::{Key, Value};
use rookery_contract::text::is_hidden;

/// A block-style document. Strings are double-quoted, text of several lines is a literal block,
/// integers are plain decimal.
pub fn write(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Map(map) if !map.is_empty() => block(&mut out, value, 0),
        Value::List(items) if !items.is_empty() => block(&mut out, value, 0),
        _ => inline(&mut out, value, 0),
    }
    if !out.ends_with('\n') {
        out.push('\n');
    }
    out
}

/// Text as one scalar, for a file whose structure is written otherwise: plain only where readers of
/// both versions take it for this very string.
pub fn scalar(text: &str) -> String {
    let mut out = String::new();
    write_scalar(&mut out, text);
    out
}

fn write_scalar(out: &mut String, text: &str) {
    if plain_is_a_string(text) {
        out.push_str(text);
    } else {
        quote(out, text);
    }
}

/// The entries of a container that is not empty, each on its own line, `depth` levels in.
fn block(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Map(map) => {
            for (key, value) in map {
                indent(out, depth);
                write_key(out, key);
                out.push(':');
                nested(out, value, depth);
            }
        }
        Value::List(items) => {
            for item in items {
                indent(out, depth);
                out.push('-');
                nested(out, item, depth);
            }
        }
        _ => {}
    }
}

fn nested(out: &mut String, value: &Value, depth: usize) {
    let empty = match value {
        Value::Map(map) => map.is_empty(),
        Value::List(items) => items.is_empty(),
        _ => true,
    };
    if empty {
        out.push(' ');
        inline(out, value, depth + 1);
        if !out.ends_with('\n') {
            out.push('\n');
        }
    } else {
        out.push('\n');
        block(out, value, depth + 1);
    }
}

fn inline(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Int(number) => {
            let _ = write!(out, "{number}");
        }
        Value::Float(number) => write_float(out, *number),
        Value::Str(text) if fits_a_literal(text) => literal(out, text, depth),
        Value::Str(text) => quote(out, text),
        Value::Bytes(bytes) => {
            out.push_str("!!binary ");
            quote(out, &data_encoding::BASE64.encode(bytes));
        }
        Value::List(_) => out.push_str("[]"),
        Value::Map(_) => out.push_str("{}"),
    }
}

fn indent(out: &mut String, depth: usize) {
    out.extend(std::iter::repeat_n("  ", depth));
}

fn write_key(out: &mut String, key: &Key) {
    match key {
        Key::Int(number) => {
            let _ = write!(out, "{number}");
        }
        Key::Other(text) => out.push_str(text),
        Key::Str(text) => write_scalar(out, text),
    }
}

/// Version 1.1 wants a point and a signed exponent.
fn write_float(out: &mut String, number: f64) {
    if number.is_nan() {
        out.push_str(".nan");
    } else if number.is_infinite() {
        out.push_str(if number > 0.0 { ".inf" } else { "-.inf" });
    } else {
        let text = format!("{number:?}");
        let (mantissa, exponent) = text
            .split_once('e')
            .map_or((text.as_str(), None), |(m, e)| (m, Some(e)));
        out.push_str(mantissa);
        if !mantissa.contains('.') {
            out.push_str(".0");
        }
        if let Some(exponent) = exponent {
            out.push('e');
            if !exponent.starts_with('-') {
                out.push('+');
            }
            out.push_str(exponent);
        }
    }
}

/// Whether a literal block holds exactly this text in both versions: several plain lines, the first
/// one not indented.
fn fits_a_literal(text: &str) -> bool {
    let body = text.strip_suffix('\n').unwrap_or(text);
    body.contains('\n')
        && !body.starts_with([' ', '\n'])
        && !body.ends_with('\n')
        && body
            .split('\n')
            .all(|line| line.is_empty() || !line.trim_matches(' ').is_empty())
        && body
            .chars()
            .all(|c| c == '\n' || matches!(c, ' '..='~' | '\u{a1}'..) && !is_hidden(c))
}

fn literal(out: &mut String, text: &str, depth: usize) {
    let body = text.strip_suffix('\n');
    out.push_str(if body.is_some() { "|\n" } else { "|-\n" });
    for line in body.unwrap_or(text).split('\n') {
        if !line.is_empty() {
            // The top level is never a scalar in a patch; one level still needs an indent there.
            indent(out, depth.max(1));
            out.push_str(line);
        }
        out.push('\n');
    }
}

fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\0'..='\u{1f}' | '\u{7f}'..='\u{a0}' => {
                let _ = write!(out, "\\x{:02X}", u32::from(c));
            }
            // A person cannot see it, and to YAML 1.1 some end a line.
            c if is_hidden(c) => {
                let _ = match u32::from(c) {
                    code @ ..=0xffff => write!(out, "\\u{code:04X}"),
                    code => write!(out, "\\U{code:08X}"),
                };
            }
            _ => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value as Json, json};

    use super::super::parse;
    use super::*;

    fn map(entries: impl IntoIterator<Item = (Key, Value)>) -> Value {
        Value::Map(entries.into_iter().collect())
    }

    #[test]
    fn a_document_reads_like_one_written_by_hand() {
        let ioctl = map([
            (
                Key::from("*"),
                map([(Key::from("model"), Value::from("zero"))]),
            ),
            (Key::Int(1_074_029_569), Value::empty()),
        ]);
        let document = map([
            (
                Key::from("env"),
                map([(Key::from("on"), Value::from("yes"))]),
            ),
            (
                Key::from("pseudofiles"),
                map([(Key::from("/dev/x"), map([(Key::from("ioctl"), ioctl)]))]),
            ),
            (Key::from("netdevs"), Value::List(vec![Value::from("eth0")])),
            (Key::from("script"), Value::from("#!/bin/sh\n\necho hi\n")),
        ]);
        let text = write(&document);
        assert_eq!(
            text,
            "env:\n  \"on\": \"yes\"\npseudofiles:\n  /dev/x:\n    ioctl:\n      \"*\":\n        \
             model: \"zero\"\n      1074029569: {}\nnetdevs:\n  - \"eth0\"\n\
             script: |\n  #!/bin/sh\n\n  echo hi\n"
        );
        assert_eq!(parse(&text).unwrap(), document);
    }

    #[test]
    fn every_character_survives() {
        for text in [
            "\0\u{7}\u{1b}\u{7f}\u{85}\u{9f}\u{2028}\u{2029}\u{feff}",
            "😀",
            "a\tb",
            "a\r\nb",
            "\"\\",
            " x \n y \n",
            "a\n\n",
            "a\n b",
            "\u{fffe}",
            "a\n\u{2028}b",
            "",
        ] {
            let document = map([(Key::from(text), Value::from(text))]);
            assert_eq!(
                parse(&write(&document)).unwrap(),
                document,
                "{text:?}\n{}",
                write(&document)
            );
        }
    }

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
            assert!(scalar(text).starts_with('"'), "{text}");
        }
        assert_eq!(scalar("/sbin/init"), "/sbin/init");
        assert_eq!(
            scalar("static_patches/base.yaml"),
            "static_patches/base.yaml"
        );
        assert_eq!(scalar("\u{7f}\u{85}"), "\"\\x7F\\x85\"");
    }

    fn value() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            ".{0,12}".prop_map(Json::from),
            "[a-z]{0,4}\n[a-z #:]{0,6}\n".prop_map(Json::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
                prop::collection::btree_map(".{0,8}", inner, 0..4).prop_map(|m| json!(m)),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_value_is_read_back_as_it_was(value in value()) {
            let text = write(&Value::from_json(&value));
            let back = serde_yaml::from_str::<Json>(&text);
            let back = back.map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
            prop_assert_eq!(back, value, "{}", text);
        }
    }
}
