//! What a tool that calls another gives it, and who makes the call.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::tool_log::ToolLog;
use crate::limits::Limits;
use crate::meter::Meter;
use crate::outcome::ProgressSink;
use crate::seats::Chair;

/// Calls tools for an instance, as far as its own call allows.
pub(crate) trait Toolbox: Send + Sync {
    /// Call a tool; its answer as JSON text. Dropping the future ends the call.
    fn call<'a>(
        &'a self,
        left: Left,
        name: &'a str,
        arguments: &'a str,
    ) -> Pin<Box<dyn Future<Output = rookery_contract::Result<String>> + Send + 'a>>;
}

/// What a call has left for those that it makes.
pub(crate) struct Left {
    pub(crate) limits: Limits,
    /// What is used counts here too.
    pub(crate) meter: Arc<Meter>,
    /// Bytes of the caller's own memories.
    pub(crate) memory_held: u64,
    /// Whether memory counts against what calls share.
    pub(crate) shares_memory: bool,
    pub(crate) chair: Arc<Chair>,
    pub(crate) log: ToolLog,
    pub(crate) progress: ProgressSink,
}
