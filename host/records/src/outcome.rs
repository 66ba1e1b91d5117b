//! How a run ended.

use serde::Serialize;

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// The guest's init ended.
    GuestEnded {
        /// What ended it, for example `init exited with status 0`.
        how: String,
    },
    /// The guest asked once too often for a reboot, a halt or the end of power.
    Rebooted {
        /// Who asked, and who began that.
        how: String,
        /// The program that asked, by its path in the guest.
        program: String,
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
