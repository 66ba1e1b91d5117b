//! How a run ended.

use serde::Serialize;

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// The guest's init ended, or the guest asked to power off or reboot.
    GuestEnded {
        /// What ended it, for example `init exited with status 0` or `the guest called reboot`.
        how: String,
    },
    /// The deadline passed: the usual end of a healthy run.
    Deadline,
    /// Somebody asked to stop.
    Stopped,
    /// The guest took more of the host than it may.
    Exceeded {
        /// What, and how much it may have.
        what: String,
    },
}
