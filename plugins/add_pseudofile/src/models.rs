//! Pseudofile models as people and agents write them, made what Penguin reads.

use rookery_plugin::{Result, invalid};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// A model, or its name alone.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Model {
    Name(String),
    Object(Map<String, Value>),
}

/// Models by command, or one for all.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Ioctl {
    Name(String),
    Commands(Map<String, Value>),
}

/// Operation, model, and the fields that the model cannot do without.
const MODELS: &[(&str, &str, &[&str])] = &[
    ("read", "zero", &[]),
    ("read", "one", &[]),
    ("read", "empty", &[]),
    ("read", "const_buf", &["val"]),
    ("read", "const_map", &["vals"]),
    ("read", "const_map_file", &["filename", "vals"]),
    ("read", "cycle", &["val"]),
    ("read", "from_file", &["filename"]),
    ("read", "stateful", &[]),
    ("read", "sequence", &["vals"]),
    ("read", "from_plugin", &["plugin"]),
    ("read", "custom", &["model_name"]),
    ("read", "default", &[]),
    ("write", "discard", &[]),
    ("write", "to_file", &["filename"]),
    ("write", "return_const", &["const"]),
    ("write", "unhandled", &[]),
    ("write", "from_plugin", &["plugin"]),
    ("write", "custom", &["model_name"]),
    ("write", "default", &[]),
    ("ioctl", "return_const", &[]),
    ("ioctl", "zero", &[]),
    ("ioctl", "unhandled", &[]),
    ("ioctl", "write_data", &["data"]),
    ("ioctl", "from_plugin", &["plugin"]),
    ("ioctl", "custom", &["model_name"]),
];

/// A path that a pseudofile can have.
pub fn path(path: &str) -> Result<&str> {
    if !["/dev/", "/proc/", "/sys/"]
        .iter()
        .any(|below| path.len() > below.len() && path.starts_with(below))
    {
        return Err(invalid(
            "`path` must lie below /dev, /proc or /sys; for other files use add_static_file.",
        ));
    }
    if path.split('/').any(|part| part == ".." || part == ".") {
        return Err(invalid(
            "`path` must not contain `.` or `..` parts: write where the file is.",
        ));
    }
    if path == "/proc/PID" || path.starts_with("/proc/PID/") {
        return Err(invalid(
            "/proc/PID stands for any process in pseudofile_failures; such a path cannot be modelled.",
        ));
    }
    Ok(path)
}

/// The dotted path of a part of a pseudofile.
pub fn replaceable_path(path: &str, part: &str) -> String {
    format!("pseudofiles.{path}.{part}")
}

/// A model in full, with the fields that it needs.
pub fn model(operation: &str, given: Model) -> Result<Value> {
    let model = match given {
        Model::Name(name) => Map::from_iter([("model".to_owned(), Value::String(name))]),
        Model::Object(model) => model,
    };
    let known = || {
        MODELS
            .iter()
            .filter(|(of, ..)| *of == operation)
            .map(|(_, name, _)| *name)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let Some(name) = model.get("model").and_then(Value::as_str) else {
        return Err(invalid(format!(
            "`{operation}` needs a `model`, one of: {}.",
            known()
        )));
    };
    let Some((_, name, needed)) = MODELS
        .iter()
        .find(|(of, known, _)| *of == operation && *known == name)
    else {
        return Err(invalid(format!(
            "`{operation}` has no model `{}`; there are: {}.",
            name.escape_default(),
            known()
        )));
    };
    match needed.iter().find(|field| !model.contains_key(**field)) {
        Some(field) => Err(invalid(format!(
            "the {operation} model `{name}` needs `{field}`: {{\"model\": \"{name}\", \"{field}\": …}}."
        ))),
        None => Ok(Value::Object(model)),
    }
}

/// Ioctl models by command, as decimal text or `*`.
///
/// Always by command: one model for the whole operation cannot be merged over the commands that a generated project has.
pub fn ioctl_models(given: Ioctl) -> Result<Map<String, Value>> {
    let commands = match given {
        Ioctl::Name(name) => Map::from_iter([("*".to_owned(), Value::String(name))]),
        Ioctl::Commands(object) if object.contains_key("model") => {
            Map::from_iter([("*".to_owned(), Value::Object(object))])
        }
        Ioctl::Commands(commands) => commands,
    };
    let mut models = Map::new();
    for (written, answer) in commands {
        let command = command(&written)?;
        let answer = match answer {
            Value::String(name) => model("ioctl", Model::Name(name))?,
            Value::Object(object) => model("ioctl", Model::Object(object))?,
            Value::Number(value) if value.is_i64() => {
                json!({ "model": "return_const", "val": value })
            }
            _ => {
                return Err(invalid(
                    "an ioctl command is answered by a whole number, a model's name or a model: {\"*\": 0}.",
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
            "`{}` is no ioctl command: write \"0x5401\", a decimal number, or \"*\" for all commands.",
            written.escape_default()
        ))),
    }
}
