//! Text that must reach the guest as it is, though it looks like a template.

use crate::ground::yaml::value::{Key, Value};

const OPENERS: [&str; 3] = ["{{", "{%", "{#"];
/// What else is printed by an expression: a carriage return, which would be made a line feed once
/// the string is a template, and with it a brace that would become part of that expression.
const RETURNS: [(&str, &str); 2] = [("{\r", "{{ '{\\r' }}"), ("\r", "{{ '\\r' }}")];

/// Whether Penguin would render this string.
pub fn is_template(text: &str) -> bool {
    // Most strings have no brace, and this is asked of each one of them many times.
    memchr::memchr(b'{', text.as_bytes()).is_some()
        && OPENERS.iter().any(|opener| text.contains(opener))
}

/// Whether any string of a tree is a template, keys included.
pub fn holds_template(value: &Value) -> bool {
    match value {
        Value::Str(text) => is_template(text),
        Value::List(items) => items.iter().any(holds_template),
        Value::Map(map) => map.iter().any(|(key, value)| {
            matches!(key, Key::Str(text) if is_template(text)) || holds_template(value)
        }),
        _ => false,
    }
}

/// Whether a key is the one that a person means by `name`: [`restore`] gives it.
pub fn is_called(key: &Key, name: &str) -> bool {
    match key {
        Key::Str(text) | Key::Other(text) if !is_template(text) => text == name,
        Key::Str(text) | Key::Other(text) => restore(text) == name,
        Key::Int(number) => number.to_string() == name,
    }
}

/// The string that Penguin renders to `text`: openers become expressions that print them.
pub fn neutralise(text: &str) -> String {
    if !is_template(text) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(opener) = OPENERS.iter().find(|opener| rest.starts_with(**opener)) {
            out.extend(["{{ '", opener, "' }}"]);
            rest = rest.get(opener.len()..).unwrap_or_default();
        } else if let Some((text, printed)) =
            RETURNS.iter().find(|(text, _)| rest.starts_with(text))
        {
            out += printed;
            rest = rest.get(text.len()..).unwrap_or_default();
        } else {
            out.push(c);
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        }
    }
    out
}

/// What [`neutralise`] was given, or the string itself where it holds a template that a person
/// wrote.
pub fn restore(text: &str) -> String {
    if !is_template(text) {
        return text.to_owned();
    }
    let mut plain = text.to_owned();
    for (text, printed) in RETURNS {
        plain = plain.replace(printed, text);
    }
    for opener in OPENERS {
        plain = plain.replace(&format!("{{{{ '{opener}' }}}}"), opener);
    }
    if neutralise(&plain) == text {
        plain
    } else {
        text.to_owned()
    }
}

/// Apply a change of strings to a whole tree, keys included.
pub fn map_strings(value: Value, change: fn(&str) -> String) -> Value {
    match value {
        Value::Str(text) => Value::Str(change(&text).into()),
        Value::List(items) => Value::List(
            items
                .into_iter()
                .map(|value| map_strings(value, change))
                .collect(),
        ),
        Value::Map(map) => Value::Map(
            map.into_iter()
                .map(|(key, value)| {
                    let key = if let Key::Str(text) = &key {
                        Key::Str(change(text).into())
                    } else {
                        key
                    };
                    (key, map_strings(value, change))
                })
                .collect(),
        ),
        other => other,
    }
}
