//! What keeps a file from being opened as a regular one.

use std::{fmt, io};

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
    /// The error of an attempt to open it. Its kind is that of what must not be done, so that
    /// [`Error::io`](crate::Error::io) makes `Denied` of it.
    pub(crate) fn refuse(what: &'static str) -> io::Error {
        io::Error::new(io::ErrorKind::PermissionDenied, Self(what))
    }

    /// Whether an error of `regular` says that the thing is not a regular file.
    pub fn is(error: &io::Error) -> bool {
        error
            .get_ref()
            .is_some_and(<dyn std::error::Error + Send + Sync>::is::<Self>)
    }
}
