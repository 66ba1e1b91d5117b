//! Parameters of a query, from JSON.

use data_encoding::BASE64;
use rusqlite::Statement;
use rusqlite::types::{ToSqlOutput, Value as SqlValue};
use serde_json::Value;

use super::failure::Failure;
use crate::Error;

/// Bind positional (array) or named (object) parameters; all of them, and no more.
pub(super) fn bind(statement: &mut Statement<'_>, params: &Value) -> Result<(), Failure> {
    let wrong = |message: String| Failure::Error(Error::InvalidArgument(message));
    let needed = statement.parameter_count();
    match params {
        Value::Null if needed == 0 => Ok(()),
        Value::Array(values) => {
            if values.len() != needed {
                return Err(unbound(needed, values.len()));
            }
            for (index, value) in values.iter().enumerate() {
                statement.raw_bind_parameter(index + 1, parameter(value).map_err(wrong)?)?;
            }
            Ok(())
        }
        Value::Object(values) => {
            let mut bound = 0;
            for (name, value) in values {
                let candidates = [
                    name.clone(),
                    format!(":{name}"),
                    format!("@{name}"),
                    format!("${name}"),
                ];
                let mut index = None;
                for candidate in &candidates {
                    index = index.or(statement.parameter_index(candidate)?);
                }
                let index =
                    index.ok_or_else(|| wrong(format!("the query has no parameter :{name}")))?;
                statement.raw_bind_parameter(index, parameter(value).map_err(wrong)?)?;
                bound += 1;
            }
            if bound == needed {
                Ok(())
            } else {
                Err(unbound(needed, bound))
            }
        }
        Value::Null => Err(unbound(needed, 0)),
        _ => Err(wrong(
            "`params` must be an array (for `?`) or an object (for `:name`)".into(),
        )),
    }
}

/// Worded for those, too, who can give no values.
fn unbound(needed: usize, given: usize) -> Failure {
    Failure::Error(Error::InvalidArgument(format!(
        "the query has {needed} parameters (`?` or `:name`) and {given} values for them: write \
         the values into the SQL, such as SELECT id FROM event WHERE procname = 'httpd', or give \
         one for each"
    )))
}

fn parameter(value: &Value) -> Result<ToSqlOutput<'static>, String> {
    let blob = |value: &Value| -> Option<Vec<u8>> {
        BASE64
            .decode(value.get("base64")?.as_str()?.as_bytes())
            .ok()
    };
    let value = match value {
        Value::Null => SqlValue::Null,
        Value::Bool(b) => SqlValue::Integer((*b).into()),
        Value::Number(n) => match (n.as_i64(), n.as_f64()) {
            (Some(integer), _) => SqlValue::Integer(integer),
            (None, Some(real)) => SqlValue::Real(real),
            (None, None) => return Err(format!("the number {n} is out of range")),
        },
        Value::String(s) => SqlValue::Text(s.clone()),
        other => SqlValue::Blob(blob(other).ok_or(
            "a parameter must be null, a boolean, a number, a string, or {\"base64\": \"…\"}",
        )?),
    };
    Ok(ToSqlOutput::Owned(value))
}
