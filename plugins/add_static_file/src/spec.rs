//! Static files as people and agents write them, made what Penguin reads.

use rookery_plugin::{Result, invalid};
use serde_json::{Map, Value};

/// Type, and the fields that it cannot do without.
const TYPES: &[(&str, &[&str])] = &[
    ("inline_file", &["contents"]),
    ("host_file", &["host_path"]),
    ("dir", &[]),
    ("symlink", &["target"]),
    ("dev", &["devtype", "major", "minor"]),
    ("delete", &[]),
    ("move", &["from"]),
    ("shim", &["target"]),
    ("binary_patch", &[]),
];

/// Numbers that are file modes if read as octal, and hardly ever meant in decimal.
const LOOKS_OCTAL: &[u64] = &[
    400, 440, 444, 500, 550, 555, 600, 640, 644, 660, 664, 666, 700, 711, 744, 750, 755, 770, 775,
    777,
];

/// An absolute path without `..`.
pub fn check_path(path: &str) -> Result<()> {
    if !path.starts_with('/') || path.trim_matches('/').is_empty() {
        return Err(invalid(
            "`path` must be absolute in the guest, such as /etc/board.",
        ));
    }
    if path.split('/').any(|part| part == "..") {
        return Err(invalid(
            "`path` must not contain `..`: write where the file is.",
        ));
    }
    Ok(())
}

/// The specification with a known type, its fields, and the mode as a number.
pub fn complete(mut spec: Map<String, Value>) -> Result<Map<String, Value>> {
    let known = || {
        TYPES
            .iter()
            .map(|(name, _)| *name)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let Some(name) = spec.get("type").and_then(Value::as_str) else {
        return Err(invalid(format!(
            "`spec` needs a `type`, one of: {}.",
            known()
        )));
    };
    let Some((name, needed)) = TYPES.iter().find(|(known, _)| *known == name) else {
        return Err(invalid(format!(
            "there is no static file type `{}`; there are: {}.",
            name.escape_default(),
            known()
        )));
    };
    if let Some(field) = needed.iter().find(|field| !spec.contains_key(**field)) {
        return Err(invalid(format!(
            "a static file of type `{name}` needs `{field}`."
        )));
    }
    // In a binary patch, `mode` is the instruction set.
    if *name != "binary_patch"
        && let Some(mode) = spec.get_mut("mode")
    {
        *mode = Value::from(self::mode(mode)?);
    }
    Ok(spec)
}

fn mode(written: &Value) -> Result<u64> {
    let wrong = || invalid("`mode` is octal text up to \"7777\", such as \"0644\" or \"0755\".");
    let bits = match written {
        Value::String(text) => {
            let digits = text.strip_prefix("0o").unwrap_or(text);
            u64::from_str_radix(digits, 8).map_err(|_| wrong())?
        }
        Value::Number(number) => {
            let number = number.as_u64().ok_or_else(wrong)?;
            if LOOKS_OCTAL.contains(&number) {
                return Err(invalid(format!(
                    "`mode` {number} is a decimal number, octal {number:o}: write \"0{number}\" in quotes."
                )));
            }
            number
        }
        _ => return Err(wrong()),
    };
    if bits > 0o7777 {
        Err(wrong())
    } else {
        Ok(bits)
    }
}
