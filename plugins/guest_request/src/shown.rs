//! The guest's bytes, made fit to be shown.

use data_encoding::BASE64;
use rookery_plugin::text::{escape, escape_lines, is_text};

/// Of bytes that are not text, only so many are shown: nobody reads more.
const BINARY: usize = 256;
const TITLE: usize = 120;

/// A beginning.
pub struct Shown {
    pub text: Option<String>,
    pub base64: Option<String>,
    pub cut: bool,
}

impl Shown {
    /// At most `most` bytes of text, escaped, or base64 of the first bytes.
    pub fn new(bytes: &[u8], most: usize) -> Self {
        let first = &bytes[..bytes.len().min(most)];
        if is_text(first) {
            let mut text = escape_lines(first);
            let cut = text.len() > most;
            text.truncate(text.floor_char_boundary(most));
            Self {
                text: (!bytes.is_empty()).then_some(text),
                base64: None,
                cut: cut || bytes.len() > most,
            }
        } else {
            let first = &first[..first.len().min(BINARY)];
            Self {
                text: None,
                base64: Some(BASE64.encode(first)),
                cut: bytes.len() > first.len(),
            }
        }
    }
}

/// The title of an HTML page, on one line.
pub fn title(page: &[u8]) -> Option<String> {
    let page = String::from_utf8_lossy(page);
    let lower = page.to_ascii_lowercase();
    let start = lower.find("<title")?;
    let start = start + lower.get(start..)?.find('>')? + 1;
    let end = start + lower.get(start..)?.find("</title")?;
    let words: Vec<_> = page.get(start..end)?.split_whitespace().collect();
    let mut title = escape(words.join(" ").as_bytes());
    title.truncate(title.floor_char_boundary(TITLE));
    (!title.is_empty()).then_some(title)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_text_and_other_bytes_are_base64() {
        let shown = Shown::new(b"hello\nworld", 8);
        assert_eq!(
            (shown.text.as_deref(), shown.cut),
            (Some("hello\nwo"), true)
        );
        let shown = Shown::new(&[0x7f, b'E', 0, 1, 2, 3, 0xff], 100);
        assert_eq!(shown.text, None);
        assert_eq!(
            (shown.base64.as_deref(), shown.cut),
            (Some("f0UAAQID/w=="), false)
        );
        assert!(Shown::new(&[0; 5000], 5000).cut);
        let shown = Shown::new(b"", 8);
        assert_eq!((shown.text, shown.base64, shown.cut), (None, None, false));
    }

    #[test]
    fn a_title_is_one_short_line() {
        assert_eq!(
            title(b"<html><TITLE lang=x>\n My  Router\x1b[2J </Title>").as_deref(),
            Some("My Router\\u{1b}[2J")
        );
        assert_eq!(title(b"<title></title>"), None);
        assert_eq!(title(b"<title>open"), None);
        let long = format!("<title>{}</title>", "ä".repeat(500));
        assert!(title(long.as_bytes()).unwrap().len() <= TITLE);
    }
}
