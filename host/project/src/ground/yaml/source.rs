//! How a scalar is written, where Penguin's scanner is stricter than the parser here.

use std::ops::Range;

use saphyr_parser::{ScalarStyle, Span};

/// Characters of a key that Penguin's scanner looks back over.
const MAX_KEY: usize = 1024;

/// Where a scalar stands.
#[derive(Clone, Copy)]
pub struct Place {
    pub is_key: bool,
    pub in_brackets: bool,
}

/// Where a node's content starts: the parser's span takes in its anchor and its tag.
pub fn content_start(chars: &[char], span: Span) -> usize {
    let (mut at, end) = (span.start.index(), span.end.index());
    while at < end {
        match chars.get(at) {
            Some('&' | '!') => at += length(chars, at, |c| !matches!(c, ' ' | '\t' | '\n')),
            Some(' ' | '\t' | '\n') => at += 1,
            Some('#') if at > span.start.index() => at += length(chars, at, |c| c != '\n'),
            _ => break,
        }
    }
    at
}

/// The characters of a scalar; the parser's span of a quoted one takes in the blanks behind it.
pub fn extent(chars: &[char], style: ScalarStyle, span: Span) -> Range<usize> {
    let (start, end) = (content_start(chars, span), span.end.index());
    let quote = match style {
        ScalarStyle::SingleQuoted => '\'',
        ScalarStyle::DoubleQuoted => '"',
        _ => return start..end,
    };
    let inside = chars.get(start..end).unwrap_or_default();
    let last = inside.iter().rposition(|c| *c == quote);
    start..last.map_or(end, |last| start + last + 1)
}

/// Refuse what the parser takes for unquoted text, or for a key, and Penguin's scanner does not.
pub fn check_scalar(
    chars: &[char],
    extent: &Range<usize>,
    style: ScalarStyle,
    place: Place,
) -> Result<(), &'static str> {
    let text = chars.get(extent.clone()).unwrap_or_default();
    if style == ScalarStyle::Plain {
        let starts_wrong = match text.first() {
            Some('|' | '>' | '@' | '`' | '%') => true,
            Some(':') => place.in_brackets,
            _ => false,
        };
        if starts_wrong || place.in_brackets && text.contains(&'?') {
            return Err(
                "unquoted text here must not start with one of |>@`%: nor, in brackets, contain \
                 '?'; put it in quotes",
            );
        }
        if place.is_key && text.is_empty() {
            return Err("a key is missing here; write \"\" for an empty one");
        }
    }
    if place.is_key && text.len() > MAX_KEY {
        return Err("a key is longer than 1024 characters");
    }
    if place.is_key && !is_explicit(chars, extent.start) && colon_is_below(chars, extent) {
        return Err("a key and the colon behind it must stand on one line");
    }
    Ok(())
}

/// Whether a question mark marks the key that starts here.
fn is_explicit(chars: &[char], start: usize) -> bool {
    let mut before = chars.get(..start).unwrap_or_default().iter().rev();
    before.find(|c| !matches!(c, ' ' | '\n')) == Some(&'?')
}

fn colon_is_below(chars: &[char], key: &Range<usize>) -> bool {
    let mut at = key.end;
    loop {
        at += length(chars, at, |c| matches!(c, ' ' | '\n'));
        if chars.get(at) != Some(&'#') {
            break;
        }
        at += length(chars, at, |c| c != '\n');
    }
    chars.get(at) == Some(&':')
        && chars
            .get(key.start..at)
            .is_some_and(|text| text.contains(&'\n'))
}

/// How many characters from here on are such.
fn length(chars: &[char], at: usize, such: impl Fn(char) -> bool) -> usize {
    let rest = chars.get(at..).unwrap_or_default();
    rest.iter().take_while(|c| such(**c)).count()
}
