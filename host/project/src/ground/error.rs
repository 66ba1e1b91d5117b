//! Why an operation on a project was not carried out.

use std::{fmt, io};

/// The result of an operation on a project.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error, worded for the agent or person who meets it. The cases are those of `wit/types.wit`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The arguments are wrong; the same call will fail again.
    #[error("{0}")]
    InvalidArgument(String),
    /// The thing named does not exist.
    #[error("{0}")]
    NotFound(String),
    /// The thing exists in principle, but not here and now.
    #[error("{what} is not available: {why}. {how_to_enable}")]
    Unavailable {
        /// What is missing.
        what: String,
        /// Why it is missing.
        why: String,
        /// What to do about it.
        how_to_enable: String,
    },
    /// Another change or run is in the way.
    #[error("{0}")]
    Conflict(String),
    /// The confinement to the roots, or a policy, forbids it.
    #[error("{0}")]
    Denied(String),
    /// A budget is exhausted.
    #[error("{0}")]
    Limit(String),
    /// The caller cancelled.
    #[error("cancelled")]
    Cancelled,
    /// The emulation backend failed.
    #[error("{0}")]
    Backend(String),
    /// A defect or an unexpected failure of the machine.
    #[error("{0}")]
    Internal(String),
}

impl Error {
    /// An I/O failure, with what was being done to which path. `path` is the one that people know,
    /// not that of a descriptor or of a temporary file through which it was done.
    pub fn io(doing: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        let message = format!("cannot {doing} {}: {error}", path.display());
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::NotFound(message),
            std::io::ErrorKind::PermissionDenied => Self::Denied(message),
            std::io::ErrorKind::FileTooLarge => Self::Limit(message),
            _ if NotRegular::is(error) => Self::Denied(message),
            _ => Self::Internal(message),
        }
    }
}

/// What is in a regular file's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotRegular(&'static str);

impl fmt::Display for NotRegular {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it is {}, not a regular file; move it away", self.0)
    }
}

impl std::error::Error for NotRegular {}

impl NotRegular {
    pub(crate) fn new(what: &'static str) -> Self {
        Self(what)
    }

    /// Whether an error of `regular` says that the thing is no regular file.
    pub fn is(error: &io::Error) -> bool {
        error
            .get_ref()
            .is_some_and(<dyn std::error::Error + Send + Sync>::is::<Self>)
    }
}
