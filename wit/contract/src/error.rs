//! Why something was not done: `error` of `wit/types.wit`.

use std::fmt;
use std::io;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The result of a host function or a tool.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a host function or a tool did not do what was asked, worded for the agent or person who
/// meets it.
///
/// Where a value crosses the component boundary, it is the variant of `wit/types.wit`; between the
/// host's own processes it is `{"kind": "not-found", "text": …}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", content = "text", rename_all = "kebab-case")]
pub enum Error {
    /// The arguments are wrong; the same call will fail again.
    InvalidArgument(String),
    /// The thing named does not exist.
    NotFound(String),
    /// The thing exists in principle, but not here and now.
    Unavailable(Unavailable),
    /// Another change or run is in the way; trying again later can succeed.
    Conflict(String),
    /// The operator's policy or the confinement to the project roots forbids it.
    Denied(String),
    /// A budget is exhausted: rows, bytes, time.
    Limit(String),
    /// The request was cancelled by its caller.
    Cancelled,
    /// The emulation backend failed.
    Backend(String),
    /// A defect of the host or of the tool, or an unexpected failure of the machine.
    Internal(String),
    /// Anything else: a short machine-readable code, and the message.
    Other((String, String)),
}

impl Error {
    /// [`Error::Unavailable`], from what is missing, why, and what to do about it.
    pub fn unavailable(
        what: impl Into<String>,
        why: impl Into<String>,
        how_to_enable: impl Into<String>,
    ) -> Self {
        Self::Unavailable(Unavailable {
            what: what.into(),
            why: why.into(),
            how_to_enable: how_to_enable.into(),
        })
    }

    /// An I/O failure, with what was being done to which path. `path` is the one that people know,
    /// not that of a descriptor or of a temporary file through which it was done.
    pub fn io(doing: &str, path: &Path, error: &io::Error) -> Self {
        let message = format!("cannot {doing} {}: {error}", path.display());
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound(message),
            io::ErrorKind::PermissionDenied => Self::Denied(message),
            io::ErrorKind::FileTooLarge => Self::Limit(message),
            _ => Self::Internal(message),
        }
    }

    /// The case's name, as `wit/types.wit` has it.
    pub fn case(&self) -> &'static str {
        match self {
            Self::InvalidArgument(_) => "invalid-argument",
            Self::NotFound(_) => "not-found",
            Self::Unavailable(_) => "unavailable",
            Self::Conflict(_) => "conflict",
            Self::Denied(_) => "denied",
            Self::Limit(_) => "limit",
            Self::Cancelled => "cancelled",
            Self::Backend(_) => "backend",
            Self::Internal(_) => "internal",
            Self::Other(_) => "other",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidArgument(message)
            | Self::NotFound(message)
            | Self::Conflict(message)
            | Self::Denied(message)
            | Self::Limit(message)
            | Self::Backend(message)
            | Self::Internal(message)
            | Self::Other((_, message)) => f.write_str(message),
            Self::Unavailable(missing) => missing.fmt(f),
            Self::Cancelled => f.write_str("cancelled"),
        }
    }
}

impl std::error::Error for Error {}

/// Something that is not there, said so that the reader knows how to get it.
///
/// The record of `wit/types.wit` is frozen, so it has no field that tells a damaged file from a
/// missing one. The first word of `why` does: [`Unavailable::damaged`] writes it, and
/// [`Unavailable::is_damaged`] reads it, and nobody else does either.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unavailable {
    /// What is missing, for example `plugins.db`.
    pub what: String,
    /// Why it is missing, for example `the run had no database logger`.
    pub why: String,
    /// What to do about it: a configuration change, a command, another backend.
    pub how_to_enable: String,
}

/// How `why` begins where a file is there and cannot be used.
const DAMAGED: &str = "damaged";

impl Unavailable {
    /// A file that is there and cannot be used: `how` it is damaged, and what to do about it.
    pub fn damaged(
        what: impl Into<String>,
        how: impl fmt::Display,
        how_to_enable: impl Into<String>,
    ) -> Self {
        Self {
            what: what.into(),
            why: format!("{DAMAGED}: {how}"),
            how_to_enable: how_to_enable.into(),
        }
    }

    /// Whether it is a file that is there and cannot be used, and not one that is missing.
    pub fn is_damaged(&self) -> bool {
        self.why.starts_with(DAMAGED)
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, why) = (&self.what, &self.why);
        write!(f, "{what} is not available: {why}. {}", self.how_to_enable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_file_is_told_from_a_missing_one() {
        let damaged = Unavailable::damaged("summary.json", "it was cut off", "Run it again");
        assert!(damaged.is_damaged());
        assert_eq!(damaged.why, "damaged: it was cut off");
        let Error::Unavailable(missing) = Error::unavailable("summary.json", "never ran", "Run it")
        else {
            panic!("another case")
        };
        assert!(!missing.is_damaged());
    }

    #[test]
    fn the_name_of_a_case_is_the_one_between_processes() {
        for error in [
            Error::InvalidArgument("a".into()),
            Error::unavailable("a", "b", "c"),
            Error::Cancelled,
            Error::Other(("a".into(), "b".into())),
        ] {
            let json = serde_json::to_value(&error).unwrap();
            assert_eq!(json["kind"], error.case());
            assert_eq!(serde_json::from_value::<Error>(json).unwrap(), error);
        }
    }
}
