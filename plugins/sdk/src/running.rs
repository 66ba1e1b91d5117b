//! What all tools that wait for a run do alike.

use serde_json::json;

use crate::answer::Next;
use crate::error::{Error, Result, reason};
use crate::host::Emulation;
use crate::shapes::RunStatus;

/// Seconds that a tool waits unless told otherwise.
pub const USUAL_WAIT_S: u32 = 40;

/// Wait up to `seconds` for the run to end, and say what to call next.
pub fn wait(host: &impl Emulation, run_id: &str, seconds: u32) -> Result<RunStatus> {
    let status = match seconds {
        0 => host.status(run_id),
        seconds => host.wait(run_id, seconds.saturating_mul(1000)),
    };
    status.map(finish)
}

/// Like [`wait`], for a run that was just started: its id must not be lost if waiting fails.
pub fn wait_for_new(host: &impl Emulation, run_id: &str, seconds: u32) -> Result<RunStatus> {
    wait(host, run_id, seconds).map_err(|error| match error {
        Error::Cancelled => error,
        other => Error::Backend(format!(
            "the run {run_id} was started, but its state cannot be read: {}. Call run_wait \
             {{\"run_id\":\"{run_id}\"}}.",
            reason(&other)
        )),
    })
}

/// Add the next call: wait on, or see how it went.
pub fn finish(mut status: RunStatus) -> RunStatus {
    status.next = Some(match &status.results_dir {
        _ if status.is_running() => Next::call("run_wait", json!({ "run_id": status.run_id })),
        Some(results_dir) => Next::call("health", json!({ "results_dir": results_dir })),
        None => Next::call("health", json!({ "project_dir": status.project_dir })),
    });
    status
}
