//! Whether an answer is the one that was expected, and where it is not.
//!
//! An expected value may leave parts open. In a text, `*` stands for any text, and `\*` for a star;
//! the text `*` alone is any value. A list that ends with `...` may go on, and so may an object
//! with a member `...`.

use serde::Serialize;
use serde_json::Value;

/// Any value, or any text.
const ANY: &str = "*";
/// Whatever else there is.
const MORE: &str = "...";

/// A place where an answer is not as expected.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Difference {
    /// Its JSON pointer.
    pub(super) at: String,
    /// `None` where nothing was.
    pub(super) expected: Option<Value>,
    /// `None` where nothing came.
    pub(super) got: Option<Value>,
}

/// All of them, in the order of the expected value.
pub(super) fn differences(expected: &Value, got: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare(expected, got, "", &mut found);
    found
}

fn compare(expected: &Value, got: &Value, at: &str, found: &mut Vec<Difference>) {
    match (expected, got) {
        (Value::String(pattern), _) if pattern == ANY => {}
        (Value::String(pattern), Value::String(text)) if matches(pattern, text) => {}
        (Value::Object(members), Value::Object(others)) => {
            for (name, member) in members.iter().filter(|(name, _)| *name != MORE) {
                let at = format!("{at}/{}", escaped(name));
                match others.get(name) {
                    Some(other) => compare(member, other, &at, found),
                    None => found.push(Difference {
                        at,
                        expected: Some(member.clone()),
                        got: None,
                    }),
                }
            }
            let unknown = others
                .iter()
                .filter(|(name, _)| !members.contains_key(*name));
            for (name, other) in unknown.filter(|_| !members.contains_key(MORE)) {
                found.push(Difference {
                    at: format!("{at}/{}", escaped(name)),
                    expected: None,
                    got: Some(other.clone()),
                });
            }
        }
        (Value::Array(items), Value::Array(others)) => lists(items, others, at, found),
        // 2 and 2.0 are one number to JSON.
        (Value::Number(one), Value::Number(other)) if one.as_f64() == other.as_f64() => {}
        _ if expected == got => {}
        _ => found.push(Difference {
            at: at.to_owned(),
            expected: Some(expected.clone()),
            got: Some(got.clone()),
        }),
    }
}

fn lists(items: &[Value], others: &[Value], at: &str, found: &mut Vec<Difference>) {
    let (items, is_open) = match items.split_last() {
        Some((last, before)) if last == MORE => (before, true),
        _ => (items, false),
    };
    for index in 0..items.len().max(others.len()) {
        let at = format!("{at}/{index}");
        match (items.get(index), others.get(index)) {
            (Some(item), Some(other)) => compare(item, other, &at, found),
            (None, Some(_)) if is_open => {}
            (item, other) => found.push(Difference {
                at,
                expected: item.cloned(),
                got: other.cloned(),
            }),
        }
    }
}

/// A member's name in a JSON pointer.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The pattern's parts between its stars, in order, from the start to the end of the text.
fn matches(pattern: &str, text: &str) -> bool {
    let parts = parts(pattern);
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else {
        return false;
    };
    if parts.len() == 1 {
        return first == text;
    }
    let Some(mut rest) = text.strip_prefix(first.as_str()) else {
        return false;
    };
    for part in &parts[1..parts.len() - 1] {
        let Some(at) = rest.find(part.as_str()) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last.as_str())
}

fn parts(pattern: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut characters = pattern.chars().peekable();
    while let Some(character) = characters.next() {
        let is_escape = character == '\\' && characters.peek() == Some(&'*');
        match (character, parts.last_mut()) {
            ('*', _) => parts.push(String::new()),
            (_, Some(part)) => part.push(if is_escape { '*' } else { character }),
            (_, None) => {}
        }
        if is_escape {
            characters.next();
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn places(expected: &Value, got: &Value) -> Vec<String> {
        let found = differences(expected, got);
        found.into_iter().map(|one| one.at).collect()
    }

    #[test]
    fn what_is_left_open_fits_and_all_else_is_a_difference() {
        let got = json!({"total": 2, "lines": ["a: not found", "b"], "next": {"tool": "console"}});
        for fitting in [
            json!({"total": 2, "lines": ["*not found", "b"], "next": {"tool": "console"}}),
            json!({"total": "*", "lines": ["..."], "next": {"...": true}}),
            json!({"total": 2.0, "...": true}),
            json!("*"),
            json!({"total": 2, "lines": ["a*n*found", "..."], "next": "*"}),
        ] {
            assert_eq!(places(&fitting, &got), Vec::<String>::new(), "{fitting}");
        }
        for (expected, at) in [
            (json!({"total": 3, "...": true}), &["/total"][..]),
            (json!({"total": 2}), &["/lines", "/next"]),
            (json!({"lines": ["b", "..."], "...": true}), &["/lines/0"]),
            (json!({"lines": ["a*"], "...": true}), &["/lines/1"]),
            (
                json!({"lines": ["*", "*", "c", "..."], "...": true}),
                &["/lines/2"],
            ),
            (json!({"missing": "*", "...": true}), &["/missing"]),
            (json!([]), &[""]),
        ] {
            assert_eq!(places(&expected, &got), at, "{expected}");
        }
    }

    #[test]
    fn a_star_is_any_text_and_an_escaped_one_is_a_star() {
        for (pattern, text) in [
            ("a*", "a"),
            ("*a*b*", "xaybz"),
            (r"2 \* 3", "2 * 3"),
            ("**", ""),
            (r"C:\dir", r"C:\dir"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [(r"\*", "a"), ("a*a", "a"), ("*a*b", "ba"), ("a", "ab")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn places_are_json_pointers() {
        assert_eq!(
            places(&json!({"a/b": {"~": 1}}), &json!({"a/b": {"~": 2}})),
            ["/a~1b/~0"]
        );
    }
}
