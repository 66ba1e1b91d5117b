//! Parts of answers that all tools share: what is not available, what to call next, and how long an
//! answer may be.

use std::borrow::Cow;

pub use rookery_contract::Next;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::error::{Error, Result, Unavailable};

/// What a diagnostic found, or how to get what it needs. Missing data is an answer, not an error.
///
/// In JSON `{"available": true, …}` with the fields of `T`, or `{"available": false, "what": …,
/// "why": …, "how_to_enable": …}`.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer<T> {
    /// It is there.
    Available(T),
    /// It is not.
    Unavailable(Unavailable),
}

impl<T> Answer<T> {
    /// Turn [`Error::Unavailable`] into an answer and leave other errors as they are.
    pub fn from_result(result: Result<T>) -> Result<Self> {
        match result {
            Ok(value) => Ok(Self::Available(value)),
            Err(Error::Unavailable(unavailable)) => Ok(Self::Unavailable(unavailable)),
            Err(error) => Err(error),
        }
    }
}

impl<T: Serialize> Serialize for Answer<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Here<'a, T> {
            available: bool,
            #[serde(flatten)]
            value: &'a T,
        }
        #[derive(Serialize)]
        struct Missing<'a> {
            available: bool,
            what: &'a str,
            why: &'a str,
            how_to_enable: &'a str,
        }
        match self {
            Self::Available(value) => Here {
                available: true,
                value,
            }
            .serialize(serializer),
            Self::Unavailable(u) => Missing {
                available: false,
                what: &u.what,
                why: &u.why,
                how_to_enable: &u.how_to_enable,
            }
            .serialize(serializer),
        }
    }
}

impl<T: JsonSchema> JsonSchema for Answer<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let inner = T::json_schema(generator);
        let mut properties =
            Map::from_iter([("available".to_owned(), json!({ "type": "boolean" }))]);
        let mut required = vec![json!("available")];
        if let Some(Value::Object(inner)) = inner.get("properties") {
            properties.extend(inner.clone());
        }
        if let Some(Value::Array(inner)) = inner.get("required") {
            required.extend(inner.clone());
        }
        json_schema!({ "type": "object", "properties": properties, "required": required })
    }
}

/// Bytes of JSON that an answer has by default, about two thousand tokens.
pub const USUAL_BYTES: usize = 8 * 1024;

/// Bytes of JSON that an answer has at most, however much was asked for.
pub const MOST_BYTES: usize = 32 * 1024;

/// How many bytes an answer for `rows` rows may have: more bytes where more rows than usual were
/// asked for.
pub fn budget(rows: u32) -> usize {
    usize::try_from(rows)
        .unwrap_or(usize::MAX)
        .saturating_mul(80)
        .clamp(USUAL_BYTES, MOST_BYTES)
}

/// How many of `rows`, in order, fit into `bytes` of JSON; at least one if there is one.
pub fn fitting<'a, T: Serialize + 'a>(
    rows: impl IntoIterator<Item = &'a T>,
    bytes: usize,
) -> usize {
    let mut left = bytes;
    let mut count = 0;
    for row in rows {
        let size = serde_json::to_string(row).map_or(0, |text| text.len() + 1);
        if size > left && count > 0 {
            break;
        }
        left = left.saturating_sub(size);
        count += 1;
    }
    count
}

/// Cut strings in `value` to `bytes` each, and say whether any was longer.
pub fn shorten(value: &mut Value, bytes: usize) -> bool {
    let mut any = false;
    match value {
        Value::String(text) if text.len() > bytes => {
            let end = text.floor_char_boundary(bytes);
            *text = format!("{}… ({} bytes more)", &text[..end], text.len() - end);
            any = true;
        }
        Value::Array(items) => {
            for item in items {
                any |= shorten(item, bytes);
            }
        }
        Value::Object(members) => {
            for member in members.values_mut() {
                any |= shorten(member, bytes);
            }
        }
        _ => {}
    }
    any
}

/// Make `value` fit into about `bytes` of JSON, and say whether anything was removed for that.
///
/// Long strings are cut first; then of each object and list the first members are kept, and `…`
/// says how many more there are.
pub fn fit(value: &mut Value, bytes: usize) -> bool {
    const LONGEST: usize = 300;
    let fits = |value: &Value| serde_json::to_string(value).map_or(0, |text| text.len()) <= bytes;
    if fits(value) {
        return false;
    }
    shorten(value, LONGEST);
    let whole = std::mem::take(value);
    let mut most = bytes.next_power_of_two();
    loop {
        *value = thinned(&whole, most);
        if most <= 1 || fits(value) {
            return true;
        }
        most /= 2;
    }
}

fn thinned(value: &Value, most: usize) -> Value {
    let more = |all: usize| (all > most).then(|| format!("({} more)", all - most));
    match value {
        Value::Object(members) => {
            let kept = members.iter().take(most);
            let kept = kept.map(|(name, value)| (name.clone(), thinned(value, most)));
            let more = more(members.len()).map(|more| ("…".to_owned(), more.into()));
            kept.chain(more).collect()
        }
        Value::Array(items) => {
            let kept = items.iter().take(most).map(|item| thinned(item, most));
            let more = more(items.len()).map(|more| format!("… {more}").into());
            kept.chain(more).collect()
        }
        other => other.clone(),
    }
}

/// Keep the first of `lines` that fit into `bytes`, followed by how many more there are; says
/// whether any was dropped.
pub fn few(lines: &mut Vec<String>, bytes: usize) -> bool {
    let kept = fitting(&*lines, bytes);
    let dropped = lines.len() - kept;
    lines.truncate(kept);
    if dropped > 0 {
        lines.push(format!("and {dropped} more"));
    }
    dropped > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_counts_json_bytes_and_is_never_nothing() {
        assert_eq!(fitting(&["aaaa", "bbbb", "cccc"], 14), 2);
        assert_eq!(fitting(&["a very long line indeed"], 3), 1);
        assert_eq!(fitting::<String>(&[], 3), 0);
    }

    #[test]
    fn a_string_is_cut_between_characters() {
        let mut value = json!({ "a": ["äöü"], "b": 7 });
        assert!(shorten(&mut value, 3));
        assert_eq!(value, json!({ "a": ["ä… (4 bytes more)"], "b": 7 }));
        assert!(!shorten(&mut json!("short"), 5));
    }

    #[test]
    fn what_does_not_fit_is_counted_where_it_was() {
        let list: Vec<_> = (0..100).collect();
        let mut value = json!({ "a": list, "b": { "x": 1, "y": 2 } });
        assert!(!fit(&mut value.clone(), 1000));
        assert!(fit(&mut value, 60));
        assert_eq!(
            value,
            json!({ "a": [0, 1, 2, 3, 4, 5, 6, 7, "… (92 more)"], "b": { "x": 1, "y": 2 } })
        );
        assert!(fit(&mut value, 1), "as near as can be");
        let mut lines = vec!["first".to_owned(), "second".to_owned()];
        assert!(!few(&mut lines, 100));
        assert!(few(&mut lines, 10));
        assert_eq!(lines, ["first", "and 1 more"]);
    }

    #[test]
    fn only_missing_data_becomes_an_answer() {
        let missing = Unavailable {
            what: "x".into(),
            why: "y".into(),
            how_to_enable: "z".into(),
        };
        let answer = Answer::<u8>::from_result(Err(Error::Unavailable(missing))).unwrap();
        assert_eq!(
            serde_json::to_value(answer).unwrap(),
            json!({ "available": false, "what": "x", "why": "y", "how_to_enable": "z" })
        );
        assert_eq!(
            Answer::<u8>::from_result(Err(Error::Cancelled)),
            Err(Error::Cancelled)
        );
    }
}
