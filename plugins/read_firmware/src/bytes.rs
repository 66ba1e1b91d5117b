//! Bytes of a file, as they can be shown.

use data_encoding::{BASE64, HEXLOWER};
use rookery_plugin::text::{escape_lines, is_text, whole_characters};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How bytes are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    Text,
    Hex,
    Base64,
}

/// A range of a file, in one of the forms.
#[derive(Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Shown {
    /// Escaped.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hex: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

impl Shown {
    /// `bytes` in a form that was asked for or that fits them, and how many of them it shows: of
    /// text as many as do not grow beyond `most` by being escaped, of others at most `binary`.
    pub fn new(bytes: &[u8], form: Option<Form>, binary: usize, most: usize) -> (Self, usize) {
        let form = form.unwrap_or(if is_text(bytes) {
            Form::Text
        } else {
            Form::Hex
        });
        let first = &bytes[..bytes.len().min(binary)];
        let nothing = Self::default();
        match form {
            Form::Text => {
                let (text, taken) = escaped(bytes, most);
                let text = Some(text);
                (Self { text, ..nothing }, taken)
            }
            Form::Hex => {
                let hex = Some(HEXLOWER.encode(first));
                (Self { hex, ..nothing }, first.len())
            }
            Form::Base64 => {
                let base64 = Some(BASE64.encode(first));
                (Self { base64, ..nothing }, first.len())
            }
        }
    }
}

/// Whole characters of `bytes`, halved until they are short enough escaped.
fn escaped(bytes: &[u8], most: usize) -> (String, usize) {
    let mut taken = whole_characters(bytes);
    loop {
        let text = escape_lines(&bytes[..taken]);
        if text.len() <= most || taken <= 1 {
            return (text, taken);
        }
        taken = whole_characters(&bytes[..taken / 2]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8], most: usize) -> (Option<String>, usize) {
        let (shown, taken) = Shown::new(bytes, None, 64, most);
        (shown.text, taken)
    }

    #[test]
    fn text_ends_between_characters_and_other_bytes_are_hex() {
        assert_eq!(text(b"a\nb", 100), (Some("a\nb".into()), 3));
        assert_eq!(
            text(&"a\u{1f980}".as_bytes()[..3], 100),
            (Some("a".into()), 1)
        );
        let (shown, taken) = Shown::new(b"\x7fELF\0\xff", None, 64, 100);
        assert_eq!((shown.hex.as_deref(), taken), (Some("7f454c4600ff"), 6));
        let (shown, taken) = Shown::new(&[0; 500], None, 64, 100);
        assert_eq!((shown.hex.map(|hex| hex.len()), taken), (Some(128), 64));
        let (shown, _) = Shown::new(b"\0\x01", Some(Form::Base64), 64, 100);
        assert_eq!(shown.base64.as_deref(), Some("AAE="));
        let (shown, _) = Shown::new(b"\x7fE", Some(Form::Text), 64, 100);
        assert_eq!(shown.text.as_deref(), Some("\\u{7f}E"));
    }

    #[test]
    fn what_grows_by_being_escaped_is_read_on_where_it_ended() {
        let bytes = "\u{1b}".repeat(100);
        let (shown, taken) = text(bytes.as_bytes(), 200);
        assert!(shown.unwrap().len() <= 200);
        assert!((1..100).contains(&taken), "{taken}");
    }
}
