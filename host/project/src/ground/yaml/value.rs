//! The tree that configuration files are read into: ordered, with the key and number types that
//! YAML has and JSON lacks.

use compact_str::CompactString;
use indexmap::IndexMap;
use serde::{Serialize, Serializer};
use serde_json::{Map as JsonMap, Number, Value as Json};

/// An ordered mapping.
pub type Map = IndexMap<Key, Value>;

/// A key of a mapping. Ioctl commands and offsets are integers; everything else that Penguin reads
/// is a string.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Key {
    /// A string.
    Str(CompactString),
    /// An integer.
    Int(i128),
    /// A boolean, null or float, as its source text; no section of a configuration accepts one.
    Other(CompactString),
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing: legal where a field is optional, and then a layer below shows through.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i128),
    /// A floating-point number, infinite ones included.
    Float(f64),
    /// A string. Most are short, and trees are copied whole: a short one is copied without a heap.
    Str(CompactString),
    /// The content of a `!!binary` scalar.
    Bytes(Vec<u8>),
    /// A list.
    List(Vec<Value>),
    /// A mapping.
    Map(Map),
}

impl Key {
    /// The key as JSON and messages show it.
    pub fn text(&self) -> String {
        match self {
            Self::Str(text) | Self::Other(text) => text.to_string(),
            Self::Int(number) => number.to_string(),
        }
    }
}

/// The number of an ioctl command or an offset, written in decimal or hexadecimal digits.
pub fn command_number(text: &str) -> Option<i128> {
    let (digits, radix) = text
        .strip_prefix("0x")
        .or_else(|| text.strip_prefix("0X"))
        .map_or((text, 10), |digits| (digits, 16));
    // `from_str_radix` takes a sign.
    let plain = !digits.starts_with(['+', '-']);
    plain.then(|| i128::from_str_radix(digits, radix).ok())?
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Str(text) | Self::Other(text) => serializer.serialize_str(text),
            Self::Int(number) => serializer.collect_str(number),
        }
    }
}

/// As [`Value::to_json`] has it, without making one.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Str(text) => serializer.serialize_str(text),
            Self::List(items) => serializer.collect_seq(items),
            Self::Map(map) => serializer.collect_map(map),
            other => other.to_json().serialize(serializer),
        }
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Self::Str(text.into())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Str(text.into())
    }
}

impl Value {
    /// An empty mapping.
    pub fn empty() -> Self {
        Self::Map(Map::new())
    }

    /// The mapping, where it is one.
    pub fn as_map(&self) -> Option<&Map> {
        if let Self::Map(map) = self {
            Some(map)
        } else {
            None
        }
    }

    /// The mapping, where it is one.
    pub fn as_map_mut(&mut self) -> Option<&mut Map> {
        if let Self::Map(map) = self {
            Some(map)
        } else {
            None
        }
    }

    /// The string, where it is one.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::Str(text) = self {
            Some(text)
        } else {
            None
        }
    }

    /// The value at a string key, where this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.as_map()?.get(&Key::from(key))
    }

    /// What a reader calls this kind of value.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Int(_) => "an integer",
            Self::Float(_) => "a floating-point number",
            Self::Str(_) => "a string",
            Self::Bytes(_) => "binary data",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }

    /// Equality as Python has it, where `1`, `1.0` and `true` are one: it decides which of two
    /// equal scalars a merge keeps.
    pub fn equals_like_python(&self, other: &Self) -> bool {
        match (self.number(), other.number()) {
            _ if matches!((self, other), (Self::Int(_), Self::Int(_))) => self == other,
            (Some(a), Some(b)) => a.partial_cmp(&b) == Some(std::cmp::Ordering::Equal),
            _ => self == other,
        }
    }

    #[allow(
        clippy::cast_precision_loss,
        reason = "only used to compare with a float, as Python does"
    )]
    fn number(&self) -> Option<f64> {
        match self {
            Self::Bool(flag) => Some(f64::from(u8::from(*flag))),
            Self::Int(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            _ => None,
        }
    }

    /// The value as JSON: keys become strings, binary data and what JSON has no number for become
    /// text.
    pub fn to_json(&self) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Bool(flag) => Json::Bool(*flag),
            Self::Int(number) => Number::from_i128(*number)
                .map_or_else(|| Json::String(number.to_string()), Json::Number),
            Self::Float(number) => Number::from_f64(*number)
                .map_or_else(|| Json::String(number.to_string()), Json::Number),
            Self::Str(text) => Json::String(text.to_string()),
            Self::Bytes(bytes) => Json::String(String::from_utf8_lossy(bytes).into_owned()),
            Self::List(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            Self::Map(map) => Json::Object(
                map.iter()
                    .map(|(key, value)| (key.text(), value.to_json()))
                    .collect::<JsonMap<_, _>>(),
            ),
        }
    }

    /// The tree of a JSON value; all keys are strings.
    pub fn from_json(json: &Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(flag) => Self::Bool(*flag),
            Json::Number(number) => number.as_i128().map_or_else(
                || Self::Float(number.as_f64().unwrap_or(f64::NAN)),
                Self::Int,
            ),
            Json::String(text) => Self::Str(text.into()),
            Json::Array(items) => Self::List(items.iter().map(Self::from_json).collect()),
            Json::Object(map) => Self::Map(
                map.iter()
                    .map(|(key, value)| (Key::Str(key.into()), Self::from_json(value)))
                    .collect(),
            ),
        }
    }
}
