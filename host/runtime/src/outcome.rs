//! What comes of a call.

use std::fmt;
use std::sync::Arc;

use rookery_contract::Error;
use serde::Serialize;
use serde_json::Value;

/// Takes progress of one call: a fraction from 0 to 1, and what is being done. A tool may report
/// very often, so it must be quick.
pub type ProgressSink = Option<Arc<dyn Fn(f64, String) + Send + Sync>>;

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

/// What kind of failure a call met: a case of `wit/types.wit`'s `error`, or what the runtime found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum FailureKind {
    InvalidArgument,
    NotFound,
    Unavailable,
    Conflict,
    Denied,
    Limit,
    Cancelled,
    Backend,
    Internal,
    Other,
    Trap,
    CpuBudget,
    WallBudget,
    MemoryBudget,
    OutputBudget,
    HostCallBudget,
    ResourceBudget,
    MalformedOutput,
    UnknownTool,
    Busy,
}

impl From<&Error> for FailureKind {
    fn from(error: &Error) -> Self {
        match error {
            Error::InvalidArgument(_) => Self::InvalidArgument,
            Error::NotFound(_) => Self::NotFound,
            Error::Unavailable(_) => Self::Unavailable,
            Error::Conflict(_) => Self::Conflict,
            Error::Denied(_) => Self::Denied,
            Error::Limit(_) => Self::Limit,
            Error::Cancelled => Self::Cancelled,
            Error::Backend(_) => Self::Backend,
            Error::Internal(_) => Self::Internal,
            Error::Other(_) => Self::Other,
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// The result of a call that did not.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// For programs.
    pub kind: FailureKind,
    /// For the agent: which tool, what happened, whether to retry, what to do next.
    pub message: String,
    /// What the call used.
    pub usage: Usage,
}
