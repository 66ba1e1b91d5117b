//! Read a whole result file as JSON or YAML; one that cannot be read is damaged, and says how.

use std::path::Path;

use serde_json::Value;

use crate::ground::yaml::{InParts, parse_result, result_in_parts};
use crate::{Error, Result, Unavailable};
use rookery_contract::text::escape;

/// A smaller file is read whole.
const LARGE: usize = 256 << 10;

/// The value of a file as JSON text.
pub(super) fn as_json(name: &str, raw: &[u8]) -> Result<String> {
    let in_parts = (raw.len() > LARGE && !is_json(name))
        .then(|| std::str::from_utf8(raw).ok().map(result_in_parts))
        .flatten();
    match in_parts {
        Some(InParts::Json(json)) => Ok(json),
        Some(InParts::TooLarge) => Err(too_large(name, raw)),
        Some(InParts::Not) | None => serde_json::to_string(&parse(name, raw)?)
            .map_err(|error| Error::Internal(format!("{name} has no JSON form: {error}"))),
    }
}

fn is_json(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|e| e == "json")
}

/// The value of a file named `name`. A byte order mark is no part of it.
pub(super) fn parse(name: &str, raw: &[u8]) -> Result<Value> {
    let text = String::from_utf8_lossy(raw);
    let text = text.trim_start_matches('\u{feff}');
    let is_json = is_json(name);
    let read = |text: &str| {
        if is_json {
            serde_json::from_str(text)
                .or_else(|error| serde_json::from_str(&finite(text)).map_err(|_| error))
                .map_err(|error| Error::InvalidArgument(error.to_string()))
        } else {
            parse_result(text)
        }
    };
    let parsed = read(text).or_else(|error| match without_halves(text, is_json) {
        Some(text) => read(&text),
        None => Err(error),
    });
    parsed.map_err(|error| match error {
        // The reader weighs a document as it would be with its aliases expanded: one without any
        // is what it is.
        Error::Limit(_) if !text.contains('*') => too_large(name, raw),
        error => damaged(name, &escape(error.to_string().as_bytes())),
    })
}

fn too_large(name: &str, raw: &[u8]) -> Error {
    Error::unavailable(
        name,
        format!(
            "it holds more values than are read at once ({} bytes)",
            raw.len()
        ),
        "Run the project for a shorter time, so that less is recorded",
    )
}

/// The error for a result file that is there but cannot be used.
///
/// Missing data to whoever asks: one file that a dying run cut off must not spoil what the others
/// say.
pub(super) fn damaged(name: &str, how: &str) -> Error {
    Error::Unavailable(Unavailable::damaged(
        name,
        how,
        "The run may have died while it was written, or a copy was cut off: run the project \
         again, or copy the file again",
    ))
}

/// The text with a replacement character for each escape that is half a character, or none where it
/// has no such.
///
/// Python writes so what is no UTF-8 in a guest's name. Two halves are a character in JSON
/// (`pairs`), and nothing in YAML.
fn without_halves(text: &str, pairs: bool) -> Option<String> {
    let half = |text: &str, lead: &str| {
        let digits = text.strip_prefix("\\u")?.get(..4)?;
        let is_half = digits.starts_with(['d', 'D'])
            && digits.get(1..2).is_some_and(|digit| lead.contains(digit));
        is_half.then_some(6)
    };
    let mut out = String::with_capacity(text.len());
    let mut any = false;
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        let second = half(escape, "89abAB")
            .and_then(|end| half(&escape[end..], "cdefCDEF"))
            .filter(|_| pairs);
        let length = if second.is_some() {
            12
        } else if half(escape, "89abcdefABCDEF").is_some() {
            any = true;
            out.push('\u{fffd}');
            rest = &escape[6..];
            continue;
        } else {
            // A backslash and what it escapes.
            1 + escape[1..].chars().next().map_or(0, char::len_utf8)
        };
        out.push_str(&escape[..length]);
        rest = &escape[length..];
    }
    out.push_str(rest);
    any.then_some(out)
}

/// JSON with `null` for the numbers that Python writes and JSON does not have.
fn finite(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (index, part) in quotes(text).enumerate() {
        if index % 2 == 1 {
            out.push_str(part);
        } else {
            // The longer word first: the sign is a part of it.
            out.push_str(
                &part
                    .replace("-Infinity", "null")
                    .replace("Infinity", "null")
                    .replace("NaN", "null"),
            );
        }
    }
    out
}

/// The parts of a JSON text by turns outside and inside of strings; joined they are the text.
fn quotes(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    let mut inside = false;
    std::iter::from_fn(move || {
        let whole = rest?;
        let mut escaped = false;
        let end = whole.bytes().position(|byte| {
            let ends = byte == b'"' && !escaped;
            escaped = inside && byte == b'\\' && !escaped;
            ends
        });
        inside = !inside;
        let (part, after) = match end {
            Some(at) => (&whole[..=at], Some(&whole[at + 1..])),
            None => (whole, None),
        };
        rest = after;
        Some(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_that_only_python_writes_are_null_and_strings_stay() {
        let text =
            br#"{"score": NaN, "a": [-Infinity, Infinity], "NaN \" Infinity": "a \\", "b": "NaN"}"#;
        assert_eq!(
            parse("summary.json", text).unwrap(),
            json!({"score": null, "a": [null, null], "NaN \" Infinity": "a \\", "b": "NaN"})
        );
        assert_eq!(
            parse("summary.json", "\u{feff}{\"score\": 1}".as_bytes()).unwrap(),
            json!({"score": 1})
        );
    }

    #[test]
    fn a_name_that_is_no_utf_8_spoils_no_other() {
        let json = br#"{"a\udcff": "\ud83d\ude00 \\udcff \ud83dx", "score": NaN}"#;
        assert_eq!(
            parse("summary.json", json).unwrap(),
            json!({"a\u{fffd}": "\u{1f600} \\udcff \u{fffd}x", "score": null})
        );
        let yaml = b"\"/dev/\\uDCFFx\": {a: 1}\n/dev/y: \"\\uD83D\\uDE00\"\n";
        assert_eq!(
            parse("x.yaml", yaml).unwrap(),
            json!({"/dev/\u{fffd}x": {"a": 1}, "/dev/y": "\u{fffd}\u{fffd}"})
        );
        assert_eq!(
            parse("x.yaml", b"- a\\udcff\n").unwrap(),
            json!(["a\\udcff"]),
            "no escape outside of quotes"
        );
    }

    #[test]
    fn what_was_cut_off_is_damaged() {
        for (name, text) in [
            ("summary.json", &b"{\"score\": NaN, \"a"[..]),
            ("summary.json", b""),
            ("crashes.yaml", b"crashes:\n- proc: \"abc"),
        ] {
            assert!(
                matches!(parse(name, text), Err(Error::Unavailable(why)) if why.is_damaged()),
                "{name}"
            );
        }
    }
}
