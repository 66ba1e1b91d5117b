//! Pseudofile models as people and agents write them, made what Penguin reads.

use rookery_plugin::{Result, invalid};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::binary;

/// For a schema: a model's name, or the model.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[allow(dead_code)]
pub enum NameOr<T> {
    Name(#[schemars(length(min = 1))] String),
    Object(T),
}

// For its schema: the fields of read models that matter. Plugins bring models with fields of their
// own.
#[derive(Deserialize, JsonSchema)]
#[allow(dead_code, clippy::doc_markdown)] // read by models, not by rustdoc
pub struct Read {
    /// Its name
    #[schemars(length(min = 1))]
    model: String,
    /// Text of const_buf
    val: Option<String>,
    /// sequence, const_map
    vals: Option<Values>,
    /// Of from_file
    #[schemars(length(min = 1))]
    filename: Option<String>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[allow(dead_code)]
enum Values {
    Each(Vec<Piece>),
    ByOffset(Map<String, Value>),
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[allow(dead_code)]
enum Piece {
    Text(String),
    Number(i64),
}

// For its schema: the same of write models.
#[derive(Deserialize, JsonSchema)]
#[allow(dead_code, clippy::doc_markdown)] // read by models, not by rustdoc
pub struct Write {
    /// Its name
    #[schemars(length(min = 1))]
    model: String,
    /// Of return_const
    r#const: Option<i64>,
    /// Of to_file
    #[schemars(length(min = 1))]
    filename: Option<String>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// A model, or its name alone.
#[derive(Deserialize)]
#[serde(untagged)]
pub enum Model {
    Name(String),
    Object(Map<String, Value>),
}

/// Models by command, or one for all.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Ioctl {
    Name(#[schemars(length(min = 1))] String),
    Commands(#[schemars(extend("minProperties" = 1))] Map<String, Value>),
}

impl Model {
    /// In full. Some clients send an object as its text.
    pub fn full(self) -> Value {
        match self {
            Self::Name(text) => object(&text).unwrap_or_else(|| json!({ "model": text })),
            Self::Object(model) => Value::Object(without_unused(model)),
        }
    }
}

/// Without empty fields that are of another model: clients in a strict mode send every field.
fn without_unused(mut model: Map<String, Value>) -> Map<String, Value> {
    let name = model
        .get("model")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let unused = |field: &str, value: &Value| match field {
        "val" => *value == "" && !matches!(name.as_str(), "const_buf" | "cycle"),
        "vals" => {
            [json!([]), json!({})].contains(value)
                && name != "sequence"
                && !name.starts_with("const_map")
        }
        "const" => *value == 0 && name != "return_const",
        _ => false,
    };
    model.retain(|field, value| !unused(field, value));
    model
}

fn object(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok().filter(Value::is_object)
}

/// Ioctl models by command, as decimal text or `*`.
///
/// Always by command: one model for the whole operation cannot be merged over the commands that a
/// generated project has.
pub fn ioctl_models(given: Ioctl) -> Result<Map<String, Value>> {
    let given = match given {
        Ioctl::Name(text) => object(&text).unwrap_or(Value::String(text)),
        Ioctl::Commands(commands) => Value::Object(commands),
    };
    let commands = match given {
        Value::Object(commands) if !commands.contains_key("model") => commands,
        one => Map::from_iter([("*".to_owned(), one)]),
    };
    let mut models = Map::new();
    for (written, answer) in commands {
        let command = command(&written)?;
        let answer = match answer {
            Value::String(name) => Model::Name(name).full(),
            Value::Object(object) => binary::as_text(Model::Object(object).full())?,
            Value::Number(value) if value.is_i64() => {
                json!({ "model": "return_const", "val": value })
            }
            _ => {
                return Err(invalid(
                    "an ioctl command is answered by a whole number, a model's name or a model: \
                     {\"*\": 0}.",
                ));
            }
        };
        if models.insert(command.clone(), answer).is_some() {
            return Err(invalid(format!(
                "ioctl command {command} is given twice, in hexadecimal and in decimal."
            )));
        }
    }
    Ok(models)
}

fn command(written: &str) -> Result<String> {
    if written == "*" {
        return Ok(written.to_owned());
    }
    let number = match written
        .strip_prefix("0x")
        .or_else(|| written.strip_prefix("0X"))
    {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => written.parse(),
    };
    match number.map(u32::try_from) {
        Ok(Ok(number)) => Ok(number.to_string()),
        Ok(Err(_)) => Err(invalid("an ioctl command has at most 32 bits.")),
        Err(_) => Err(invalid(format!(
            "`{}` is not an ioctl command: write \"0x5401\", a decimal number, or \"*\" for all \
             commands.",
            written.escape_default()
        ))),
    }
}
