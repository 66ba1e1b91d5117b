//! What the result files say about a run before anything has happened in it.

use std::path::PathBuf;

/// The run that is recorded.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The run's id.
    pub run_id: String,
    /// The backend's name.
    pub backend: &'static str,
    /// The project directory.
    pub project_dir: PathBuf,
    /// Where the result files go; exists.
    pub results_dir: PathBuf,
    /// The guest's architecture, by Penguin's name.
    pub arch: String,
    /// The guest's init, an absolute path in the guest.
    pub init: String,
    /// Wall-clock seconds from the start of the run to its end.
    pub timeout_s: u64,
    /// How many signals the configuration blocks.
    pub blocked_signals: usize,
    /// Record every open, exec and bind in `plugins.db`.
    pub record_events: bool,
    /// Record missing boot arguments and environment.
    pub record_env: bool,
}
