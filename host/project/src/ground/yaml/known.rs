//! Texts that were parsed a moment ago: a change of a configuration reads the same files several
//! times, and the next change reads what this one wrote.

use std::sync::{Arc, Mutex, PoisonError};

use super::error::YamlError;
use super::read::parse;
use super::value::Value;

/// How many texts are kept.
const KEPT: usize = 16;
/// A shorter text is parsed as fast as it is found, and a longer one is not kept.
const SHORT: usize = 512;
const LONG: usize = 1 << 20;

static KNOWN: Mutex<Vec<(String, Arc<Value>)>> = Mutex::new(Vec::new());

/// [`parse`], where a text that was parsed before is not parsed again.
pub fn parse_known(text: &str) -> Result<Value, YamlError> {
    if !(SHORT..=LONG).contains(&text.len()) {
        return parse(text);
    }
    let lock = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let find = || {
        let mut known = lock();
        let at = known.iter().position(|(known, _)| known == text)?;
        // What was used last is dropped last.
        known[..=at].rotate_right(1);
        known.first().map(|(_, value)| Arc::clone(value))
    };
    if let Some(value) = find() {
        return Ok(Value::clone(&value));
    }
    let value = parse(text)?;
    remember(text, &value);
    Ok(value)
}

/// [`parse`] gives this value for this text, as the caller knows: it is not parsed when it is read
/// next.
pub fn remember(text: &str, value: &Value) {
    if !(SHORT..=LONG).contains(&text.len()) {
        return;
    }
    let new = (text.to_owned(), Arc::new(value.clone()));
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.retain(|(known, _)| *known != new.0);
    known.insert(0, new);
    known.truncate(KEPT);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_what_the_text_says() {
        let text = |n: usize| format!("key: {n}\nlong: {}\n", "x".repeat(SHORT));
        // More of them than are kept, and each again.
        for n in (0..3 * KEPT).chain(0..3 * KEPT).chain([1, 1, 0]) {
            let text = text(n);
            assert_eq!(parse_known(&text), parse(&text), "{n}");
        }
        let broken = text(0) + "key: 2\n";
        for _ in 0..2 {
            assert_eq!(parse_known(&broken), parse(&broken));
        }
        assert!(KNOWN.lock().unwrap().len() <= KEPT);
    }
}
