//! What comes of a call.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

/// Takes progress of one call: a fraction from 0 to 1, and what is being done. A tool may report
/// very often, so it must be quick.
pub type ProgressSink = Arc<dyn Fn(f64, String) + Send + Sync>;

/// What a call used of its budgets.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Usage {
    /// CPU milliseconds in the instance.
    pub cpu_ms: u64,
    /// Wall-clock milliseconds, waits for runs left out.
    pub wall_ms: u64,
    /// Peak bytes of instance memory.
    pub memory_bytes: u64,
    /// Host functions called.
    pub host_calls: u64,
    /// Bytes of the result.
    pub output_bytes: u64,
}

/// The result of a call that succeeded.
#[derive(Debug)]
pub struct Success {
    /// The tool's JSON object, already checked against its output schema, as the tool wrote it.
    pub output: Value,
    /// What the call used.
    pub usage: Usage,
}

/// The result of a call that did not.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// A word for programs: the case of `wit/types.wit`'s `error`, or `trap`, `cpu-budget`,
    /// `wall-budget`, `memory-budget`, `output-budget`, `host-call-budget`, `resource-budget`,
    /// `malformed-output`, `unknown-tool`, `busy`.
    pub kind: String,
    /// For the agent: which tool, what happened, whether to retry, what to do next.
    pub message: String,
    /// What the call used.
    pub usage: Usage,
}
