//! Options that come as JSON.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Error, Result};

/// Read options from JSON; `null` is all defaults.
pub(crate) fn parse_options<T: DeserializeOwned + Default>(options: &Value) -> Result<T> {
    match options {
        Value::Null => Ok(T::default()),
        Value::Object(_) => T::deserialize(options)
            .map_err(|error| Error::InvalidArgument(format!("bad options: {error}"))),
        _ => Err(Error::InvalidArgument(
            "bad options: a JSON object is needed".into(),
        )),
    }
}
