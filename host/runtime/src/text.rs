//! Text from a guest, made fit to be shown.

/// Whether a character can hide from the reader or steer a terminal: controls, and the invisible and direction-changing
/// characters of Unicode. A line feed and a tab are plain.
pub(crate) fn is_hidden(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// `text` with hidden characters escaped, cut to `max` characters of the original.
pub(crate) fn clean(text: &str, max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(max));
    for (n, c) in text.chars().enumerate() {
        if n == max {
            out.push('…');
            break;
        }
        if is_hidden(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// The candidate that `word` most likely meant.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(score, _)| *score > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_characters_are_escaped_and_long_text_is_cut() {
        assert_eq!(
            clean("a\u{1b}[31mb\u{202e}c\nd", 100),
            "a\\u{1b}[31mb\\u{202e}c\nd"
        );
        assert_eq!(clean("äöüß", 2), "äö…");
        assert_eq!(clean("", 0), "");
    }

    #[test]
    fn a_near_name_is_found_and_a_far_one_is_not() {
        let names = ["set_env", "set_nvram", "console"];
        assert_eq!(nearest("set_enb", names.into_iter()), Some("set_env"));
        assert_eq!(nearest("zzz", names.into_iter()), None);
    }
}
