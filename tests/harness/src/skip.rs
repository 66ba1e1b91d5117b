//! A test that cannot be made here says so: it is listed as ignored, with its reason.

use std::fmt;

/// Why a test was not made. A test returns it as its error, and the harness lists the test as
/// ignored.
#[derive(Debug)]
pub struct Skip {
    reason: String,
    /// Whether a machine of CI has what is missing.
    in_ci: bool,
}

impl Skip {
    /// Something is missing that every machine of CI has: a failure with `ROOKERY_NO_SKIPS`.
    pub fn missing(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            in_ci: true,
        }
    }

    /// Something is missing that a machine of CI need not have.
    pub fn elsewhere(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            in_ci: false,
        }
    }

    /// Whether the test may be left out, where `no_skips` is whether `ROOKERY_NO_SKIPS` is set.
    pub fn is_allowed(&self, no_skips: bool) -> bool {
        !(self.in_ci && no_skips)
    }
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Skip {}
