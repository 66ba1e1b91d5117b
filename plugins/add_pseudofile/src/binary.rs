//! Bytes that are no text, given as digits.

use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use rookery_plugin::{Result, invalid};
use serde_json::{Value, json};

/// A read model `hex` or `base64` as what Penguin has for bytes: a map with one value.
pub fn as_map(model: Value) -> Result<Value> {
    let text = model["val"].as_str().unwrap_or_default();
    let bytes = match model["model"].as_str() {
        Some("hex") => of_hex(text)?,
        Some("base64") => BASE64.decode(text.trim().as_bytes()).map_err(|_| {
            invalid("val of the model base64 must be base64 with its padding, such as \"gP8K\".")
        })?,
        _ => return Ok(model),
    };
    if bytes.is_empty() {
        return Ok(json!({ "model": "empty" }));
    }
    Ok(json!({ "model": "const_map", "size": bytes.len(), "vals": { "0": bytes } }))
}

/// An ioctl model whose data is given as `hex`. Penguin has only text for it.
pub fn as_text(mut model: Value) -> Result<Value> {
    let Some(digits) = model.get("hex").and_then(Value::as_str) else {
        return Ok(model);
    };
    let text = String::from_utf8(of_hex(digits)?);
    let text = text.ok().filter(|text| text.is_ascii()).ok_or_else(|| {
        invalid(
            "hex of an ioctl model has a byte above 7f, which Penguin's write_data cannot hold.",
        )
    })?;
    if let Some(model) = model.as_object_mut() {
        model.shift_remove("hex");
        model.insert("data".to_owned(), text.into());
    }
    Ok(model)
}

fn of_hex(digits: &str) -> Result<Vec<u8>> {
    let digits: String = digits.split_whitespace().collect();
    HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).map_err(|_| {
        invalid("hexadecimal data has two hexadecimal digits a byte, such as \"80 ff 0a\".")
    })
}
