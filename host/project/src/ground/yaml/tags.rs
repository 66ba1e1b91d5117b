//! What a tag makes of a scalar.

use saphyr_parser::{ScalarStyle, Tag};

use super::scalar::resolve_core;
use super::value::Value;

/// A tagged scalar.
pub enum Typed {
    /// The value that the tag makes of it.
    As(Value),
    /// What it would be without the tag.
    Untagged,
    /// The tag is none of YAML's own.
    Foreign,
    /// It is not what the tag promises.
    Not(String),
}

pub fn typed(tag: &Tag, text: &str, style: ScalarStyle) -> Typed {
    let lone =
        tag.handle == "!" && tag.suffix.is_empty() || tag.handle.is_empty() && tag.suffix == "!";
    if lone && text.is_empty() && style == ScalarStyle::Plain {
        return Typed::Not("a lone '!'; write \"\" for empty text".to_owned());
    } else if lone {
        return Typed::Untagged;
    } else if !tag.is_yaml_core_schema() {
        return Typed::Foreign;
    }
    let value = match tag.suffix.as_str() {
        "str" => Some(Value::from(text)),
        "binary" => base64(text).map(Value::Bytes),
        wanted @ ("int" | "float" | "bool" | "null") => match (resolve_core(text), wanted) {
            (Value::Int(number), "float") => {
                Some(text.parse().map_or(Value::Int(number), Value::Float))
            }
            (value @ Value::Int(_), "int")
            | (value @ Value::Float(_), "float")
            | (value @ Value::Bool(_), "bool")
            | (value @ Value::Null, "null") => Some(value),
            _ => None,
        },
        _ => return Typed::Foreign,
    };
    value.map_or_else(
        || Typed::Not(format!("{text:?} is not what its tag {tag} promises")),
        Typed::As,
    )
}

fn base64(text: &str) -> Option<Vec<u8>> {
    let compact: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    data_encoding::BASE64.decode(&compact).ok()
}
