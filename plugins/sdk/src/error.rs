//! Why a tool did not do what was asked.

pub use rookery_contract::{Error, Result, Unavailable};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// [`Error::InvalidArgument`]: say what was wrong, what is allowed, and one correct call.
pub fn invalid(message: impl Into<String>) -> Error {
    Error::InvalidArgument(message.into())
}

/// What an error says, to put into another sentence.
pub fn reason(error: &Error) -> String {
    error.to_string()
}

/// `None` where a thing is not there, the error where something else is wrong.
///
/// For the parts of an answer that may be missing without spoiling it.
pub fn optional<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Error::Unavailable(_) | Error::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// JSON text of `value`.
pub(crate) fn to_json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|error| Error::Internal(format!("a value has no JSON form: {error}")))
}

/// What the host answered, as a typed value.
pub(crate) fn from_host<T: DeserializeOwned>(function: &str, json: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|error| not_of_the_contract(function, &error))
}

/// What the host answered to `function` is not what the contract says.
pub(crate) fn not_of_the_contract(function: &str, error: &serde_json::Error) -> Error {
    Error::Internal(format!(
        "the host's answer to `{function}` does not have the shape that the contract gives it: \
         {error}"
    ))
}
