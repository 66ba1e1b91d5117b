//! A large result file as JSON text, one entry of its mapping at a time: the tree of all entries
//! takes fifty times what the text does.

use std::collections::HashSet;

use serde_json::Value as Json;

use super::read::parse_result;

/// The JSON text of a file has at most so many bytes, also where aliases multiply them.
const MAX_JSON: usize = 32 << 20;

/// What became of a file that was to be read in parts.
#[derive(Debug, PartialEq)]
pub enum InParts {
    /// Its JSON text.
    Json(String),
    /// It would have more of that than is read.
    TooLarge,
    /// It must be read whole: then [`super::parse_result`] says what it is.
    Not,
}

/// Read a file that is one mapping in block style, as Penguin's Python writes it.
///
/// No more than one entry is a tree at any time, so what a document may weigh is asked of each.
pub fn result_in_parts(text: &str) -> InParts {
    match json_of_parts(text) {
        None => InParts::Not,
        Some(json) if json.len() > MAX_JSON => InParts::TooLarge,
        Some(json) => InParts::Json(json),
    }
}

fn json_of_parts(text: &str) -> Option<String> {
    let mut json = String::with_capacity(text.len().min(MAX_JSON));
    let mut known = HashSet::new();
    for part in parts(text)? {
        if json.len() > MAX_JSON {
            break;
        }
        let Json::Object(entry) = parse_result(part).ok()? else {
            return None;
        };
        let mut entry = entry.into_iter();
        let (Some((key, value)), None) = (entry.next(), entry.next()) else {
            return None;
        };
        json.push(if known.is_empty() { '{' } else { ',' });
        json.push_str(&serde_json::to_string(&key).ok()?);
        json.push(':');
        json.push_str(&serde_json::to_string(&value).ok()?);
        // Of keys given twice the last counts, which only the whole file tells.
        if !known.insert(key) {
            return None;
        }
    }
    json.push('}');
    (!known.is_empty()).then_some(json)
}

/// The text cut before each line that begins a key of the outermost mapping. A part that has no
/// meaning alone, because a value goes on behind such a line, is an error when it is read.
fn parts(text: &str) -> Option<impl Iterator<Item = &str>> {
    let mut cuts = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        match line.bytes().next() {
            Some(b'/' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z') => cuts.push(at),
            // A list may stand as far left as the key that it belongs to.
            Some(b' ' | b'\n') => {}
            Some(b'-') if line.starts_with("- ") => {}
            _ => return None,
        }
        at += line.len();
    }
    if cuts.first() != Some(&0) {
        return None;
    }
    let ends: Vec<usize> = cuts.iter().skip(1).copied().chain([text.len()]).collect();
    let range = cuts.into_iter().zip(ends);
    Some(range.filter_map(|(begin, end)| text.get(begin..end)))
}

#[cfg(test)]
mod tests {
    use super::super::parse_result;
    use super::*;

    fn whole(text: &str) -> Option<Json> {
        parse_result(text).ok()
    }

    fn in_parts(text: &str) -> Option<Json> {
        match result_in_parts(text) {
            InParts::Json(json) => Some(serde_json::from_str(&json).unwrap()),
            InParts::TooLarge | InParts::Not => None,
        }
    }

    #[test]
    fn what_python_dumps_is_the_same_in_parts() {
        let text = "/dev/a:\n  open:\n    count: 3\n  callers:\n  - httpd\n  - 'on'\n/dev/b: {}\n\
                    07:\n- 1\n- text: |\n    two\n\n    lines\nyes: 'it''s\n\n  long'\n";
        assert_eq!(in_parts(text), whole(text));
        assert!(in_parts(text).is_some());
    }

    #[test]
    fn what_must_be_read_whole_is_left_to_who_does() {
        for text in [
            "",
            "{a: 1}\n",
            "- a\n- b\n",
            "a: 1\na: 2\n",
            "1: x\n'1': y\n",
            "a: &x 1\nb: *x\n",
            "a: \"begun\nb: ended\"\n",
            "a: {b: 1,\nc: 2}\n",
            "a: 1\n# a comment\nb: 2\n",
            "---\na: 1\n",
            "a: 1\nb\n",
            "a: b: c\n",
        ] {
            assert_eq!(in_parts(text), None, "{text:?}");
        }
        // What many aliases would grow to is bounded over all parts.
        let bomb = |n: usize| {
            let text = "x".repeat(1 << 20);
            format!("k{n}:\n- &a {text}\n- [*a, *a, *a]\n")
        };
        let text: String = (0..9).map(bomb).collect();
        assert!(in_parts(&bomb(0)).is_some());
        assert_eq!(result_in_parts(&text), InParts::TooLarge);
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_read_in_parts_is_the_same_when_it_is_read_whole(
            text in "([a1/][a:]{0,2}|[ -]{1,3}[a1'\"|&*x{}]{0,3}|[\"'#]?a: ?[a'\"|>\\[{&*]{0,2}|)\
                     (\n[ ]{0,2}-? ?[ab1]{0,2}:? ?['\"a|]{0,3}){0,6}\n?"
        ) {
            if let Some(read) = in_parts(&text) {
                proptest::prop_assert_eq!(Some(read), whole(&text), "{:?}", text);
            }
        }
    }
}
