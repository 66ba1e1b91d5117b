//! Rust source without what is not code.

/// The text with the insides of comments, strings and characters blank, line for line.
pub fn code(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out: Vec<char> = Vec::with_capacity(chars.len());
    let mut at = 0;
    while at < chars.len() {
        let end = match chars[at] {
            '/' if chars.get(at + 1) == Some(&'/') => line_end(&chars, at),
            '/' if chars.get(at + 1) == Some(&'*') => comment_end(&chars, at),
            '"' => string_end(&chars, at),
            'r' if starts_word(&out) => raw_string_end(&chars, at),
            '\'' => character_end(&chars, at),
            _ => at,
        };
        if end == at {
            out.push(chars[at]);
            at += 1;
        }
        while at < end {
            out.push(if chars[at] == '\n' { '\n' } else { ' ' });
            at += 1;
        }
    }
    out.into_iter().collect()
}

/// Code without items of `#[cfg(test)]`.
pub fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut rest = code;
    let mut out = String::new();
    while let Some(at) = rest.find(MARK) {
        out.push_str(&rest[..at]);
        let end = at + item_end(&rest[at..]);
        out.extend(rest[at..end].chars().filter(|c| *c == '\n'));
        rest = &rest[end..];
    }
    out + rest
}

/// Where the item ends that the text begins with: at its semicolon or its closing brace.
fn item_end(text: &str) -> usize {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => depth -= 1,
            _ => {}
        }
        if depth == 0 && matches!(c, ';' | '}') {
            return at + 1;
        }
    }
    text.len()
}

/// Identifiers, `::`, and everything else by the character.
pub fn tokens(code: &str) -> Vec<&str> {
    let is_word = |c: char| c == '_' || c.is_alphanumeric();
    let mut tokens = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if is_word(first) {
            rest.find(|c| !is_word(c)).unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        tokens.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    tokens
}

fn line_end(chars: &[char], at: usize) -> usize {
    let rest = &chars[at..];
    rest.iter()
        .position(|c| *c == '\n')
        .map_or(chars.len(), |length| at + length)
}

fn comment_end(chars: &[char], mut at: usize) -> usize {
    let mut depth = 0;
    while at + 1 < chars.len() {
        match (chars[at], chars[at + 1]) {
            ('/', '*') => (depth, at) = (depth + 1, at + 2),
            ('*', '/') => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    chars.len()
}

fn string_end(chars: &[char], mut at: usize) -> usize {
    at += 1;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

/// `at` itself where no raw string begins.
fn raw_string_end(chars: &[char], at: usize) -> usize {
    let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
    let begin = at + 1 + hashes;
    if chars.get(begin) != Some(&'"') {
        return at;
    }
    let mut end = vec!['"'];
    end.resize(hashes + 1, '#');
    let inside = &chars[begin + 1..];
    inside
        .windows(end.len())
        .position(|window| window == end)
        .map_or(chars.len(), |length| begin + 1 + length + end.len())
}

/// `at` itself where a lifetime or a label begins.
fn character_end(chars: &[char], at: usize) -> usize {
    match (chars.get(at + 1), chars.get(at + 2)) {
        (Some('\\'), _) => {
            let close = chars[(at + 3).min(chars.len())..]
                .iter()
                .position(|c| *c == '\'');
            close.map_or(chars.len(), |length| at + 3 + length + 1)
        }
        (Some(_), Some('\'')) => at + 3,
        _ => at,
    }
}

fn starts_word(out: &[char]) -> bool {
    // The b of br"…" belongs to the string.
    let before = out.strip_suffix(&['b']).unwrap_or(out).last();
    before.is_none_or(|c| *c != '_' && !c.is_alphanumeric())
}

#[test]
fn comments_strings_and_tests_are_no_code() {
    let text = r##"a /* x /* y */ */ 'c' "st\"r" r#"ra"w"# br"w" b'\'' &'life // z
#[cfg(test)]
mod tests { fn f() { {} } }
#[cfg(test)] mod more;
b"##;
    let code = code(text);
    assert_eq!(
        tokens(&without_tests(&code)),
        ["a", "b", "b", "&", "'", "life", "b"]
    );
    assert_eq!(code.lines().count(), text.lines().count());
}
