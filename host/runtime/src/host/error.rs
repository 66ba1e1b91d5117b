//! The error of the contract, as it crosses the component boundary.

use rookery_contract::{Error, Unavailable};

use crate::host::bindings::types;

impl From<Error> for types::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::InvalidArgument(text) => Self::InvalidArgument(text),
            Error::NotFound(text) => Self::NotFound(text),
            Error::Unavailable(missing) => Self::Unavailable(types::Unavailable {
                what: missing.what,
                why: missing.why,
                how_to_enable: missing.how_to_enable,
            }),
            Error::Conflict(text) => Self::Conflict(text),
            Error::Denied(text) => Self::Denied(text),
            Error::Limit(text) => Self::Limit(text),
            Error::Cancelled => Self::Cancelled,
            Error::Backend(text) => Self::Backend(text),
            Error::Internal(text) => Self::Internal(text),
            Error::Other(other) => Self::Other(other),
        }
    }
}

impl From<types::Error> for Error {
    fn from(error: types::Error) -> Self {
        match error {
            types::Error::InvalidArgument(text) => Self::InvalidArgument(text),
            types::Error::NotFound(text) => Self::NotFound(text),
            types::Error::Unavailable(missing) => Self::Unavailable(Unavailable {
                what: missing.what,
                why: missing.why,
                how_to_enable: missing.how_to_enable,
            }),
            types::Error::Conflict(text) => Self::Conflict(text),
            types::Error::Denied(text) => Self::Denied(text),
            types::Error::Limit(text) => Self::Limit(text),
            types::Error::Cancelled => Self::Cancelled,
            types::Error::Backend(text) => Self::Backend(text),
            types::Error::Internal(text) => Self::Internal(text),
            types::Error::Other(other) => Self::Other(other),
        }
    }
}
