//! Text that came from the guest, made safe to look at: by the host where it reads files, by tools
//! where they have it from a running guest.

use std::fmt::Write;

/// One line: control and invisible characters as `\u{…}`, bytes that are no UTF-8 as `\xNN`. Tabs
/// stay.
pub fn escape(bytes: &[u8]) -> String {
    escape_keeping(bytes, |c| c == '\t')
}

/// What a guest said, as a value to show: one line, with white space folded and the rest as
/// [`escape`] has it, cut at so many characters and not within an escape.
pub fn quoted(bytes: &[u8], chars: usize) -> String {
    let escaped = escape_keeping(bytes, |c| c.is_ascii_whitespace());
    let mut words = escaped.split_ascii_whitespace();
    let first = words.next().unwrap_or_default().to_owned();
    let folded = words.fold(first, |text, word| text + " " + word);
    let mut kept: String = folded.chars().take(chars).collect();
    if kept.len() < folded.len()
        && let Some(at) = kept.rfind('\\')
        && is_cut_escape(&kept[at..])
    {
        kept.truncate(at);
    }
    kept
}

/// Whether this is the beginning of an escape of [`escape`]'s.
fn is_cut_escape(text: &str) -> bool {
    matches!(text, "\\" | "\\u" | "\\x")
        || text.starts_with("\\u{") && !text.contains('}')
        || text.starts_with("\\x") && text.len() < "\\xff".len()
}

/// As [`escape`], for text of many lines: line ends stay too.
pub fn escape_lines(bytes: &[u8]) -> String {
    escape_keeping(bytes, |c| matches!(c, '\t' | '\n' | '\r'))
}

fn escape_keeping(bytes: &[u8], keep: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if keep(c) || !is_hidden(c) {
                out.push(c);
            } else {
                out.extend(c.escape_unicode());
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

/// Whether `c` hides from the reader or steers a terminal: control characters, and those that show
/// nothing or reorder what is shown (format characters, fillers, variation selectors, tags,
/// separators, noncharacters and private use).
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}'
            | '\u{890}' | '\u{891}' | '\u{8e2}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{e000}'..='\u{f8ff}'
            | '\u{fdd0}'..='\u{fdef}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' | '\u{110bd}' | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{10ffff}')
}

/// Whether bytes are best shown as text: they are UTF-8, except for a character that is cut off at
/// the end, and few of their characters are hidden ones.
pub fn is_text(bytes: &[u8]) -> bool {
    let whole = &bytes[..whole_characters(bytes)];
    let plain = |c: char| !is_hidden(c) || matches!(c, '\t' | '\n' | '\r' | '\u{1b}');
    std::str::from_utf8(whole).is_ok_and(|text| {
        let (all, odd) = text.chars().fold((0_usize, 0_usize), |(all, odd), c| {
            (all + 1, odd + usize::from(!plain(c)))
        });
        !text.contains('\0') && odd * 10 <= all
    })
}

/// The length of `bytes` without a character that is cut off at its end.
pub fn whole_characters(bytes: &[u8]) -> usize {
    let tail = bytes
        .utf8_chunks()
        .last()
        .map_or(0, |chunk| chunk.invalid().len());
    let cut = bytes.len() - tail;
    // Only a sequence that more bytes could complete is cut off; others are not UTF-8.
    let incomplete = tail > 0
        && cut > 0
        && std::str::from_utf8(&bytes[cut..]).is_err_and(|e| e.error_len().is_none());
    if incomplete { cut } else { bytes.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_shown() {
        assert_eq!(escape(b"\x1b[31mred\x07\t."), "\\u{1b}[31mred\\u{7}\t.");
        assert_eq!(
            escape("a\u{202e}b\u{200b}c\u{e0041}".as_bytes()),
            "a\\u{202e}b\\u{200b}c\\u{e0041}"
        );
        assert_eq!(escape(b"\xff\xfe ok"), "\\xff\\xfe ok");
        assert_eq!(escape("Grüße 漢字 🦀".as_bytes()), "Grüße 漢字 🦀");
        assert_eq!(escape_lines(b"a\r\nb\0"), "a\r\nb\\u{0}");
    }

    #[test]
    fn what_a_guest_said_is_one_short_line() {
        assert_eq!(
            quoted(b"  Web\r\n\tinterface \x1b[2J ", 100),
            "Web interface \\u{1b}[2J"
        );
        assert_eq!(quoted(b"\xff\xfdlogin: ", 100), "\\xff\\xfdlogin:");
        assert_eq!(quoted("äöü".as_bytes(), 2), "äö");
        for chars in 8..16 {
            let shown = quoted("\u{202e}\u{2028}".as_bytes(), chars);
            assert_eq!(shown, "\\u{202e}", "{chars}");
        }
    }

    #[test]
    fn text_is_told_from_other_bytes() {
        for text in [
            "",
            "a\nb",
            "Grüße",
            "\u{1b}[31mred\u{1b}[0m",
            "one bell\u{7} in a line",
        ] {
            assert!(is_text(text.as_bytes()), "{text:?}");
        }
        assert!(is_text(&"a🦀".as_bytes()[..3]), "cut within a character");
        for bytes in [&b"\x7fELF\x01\x01"[..], b"a\0b", b"\xff\xfe", b"\x01\x02"] {
            assert!(!is_text(bytes), "{bytes:?}");
        }
    }

    #[test]
    fn a_range_ends_between_characters() {
        let crab = "a🦀".as_bytes();
        assert_eq!(whole_characters(&crab[..3]), 1);
        assert_eq!(whole_characters(crab), 5);
        assert_eq!(whole_characters(b"a\xff"), 2);
        // Nothing but a cut character: progress matters more.
        assert_eq!(whole_characters(&"🦀".as_bytes()[..2]), 2);
    }
}
