//! Text from a guest, made fit to be shown.

/// Whether a character can hide from the reader or steer a terminal; see
/// [`rookery_project::is_hidden`]. A line feed and a tab are plain.
pub fn is_hidden(c: char) -> bool {
    c != '\n' && c != '\t' && rookery_project::is_hidden(c)
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

/// Longer words mean nothing that is near.
const WORD_BYTES: usize = 200;

/// The candidate that `word` most likely meant.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .filter(|_| word.len() <= WORD_BYTES)
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
