//! Where tools come from.

use std::future::Future;

use rookery_runtime::{Failure, ProgressSink, Runtime, Success};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// A set of tools that does not change while the server runs.
///
/// [`Runtime`] is the one that matters; tests have their own, so that the protocol can be tried without components.
pub trait ToolSource: Send + Sync + 'static {
    /// Names and definitions (the MCP `Tool` object without `name`, plus `examples`: see `wit/types.wit`).
    fn tools(&self) -> Vec<(String, Value)>;

    /// All violations of the tool's input schema, in words; empty when `arguments` fit.
    fn check_arguments(&self, tool: &str, arguments: &Value) -> Vec<String>;

    /// Call a tool. `arguments` have passed [`Self::check_arguments`]; the future ends soon after `cancel`.
    fn call(
        &self,
        tool: &str,
        arguments: &Value,
        cancel: CancellationToken,
        progress: ProgressSink,
    ) -> impl Future<Output = Result<Success, Failure>> + Send;
}

impl ToolSource for Runtime {
    fn tools(&self) -> Vec<(String, Value)> {
        self.tools()
            .iter()
            .map(|(name, tool)| (name.clone(), tool.definition.clone()))
            .collect()
    }

    fn check_arguments(&self, tool: &str, arguments: &Value) -> Vec<String> {
        self.check_arguments(tool, arguments)
    }

    async fn call(
        &self,
        tool: &str,
        arguments: &Value,
        cancel: CancellationToken,
        progress: ProgressSink,
    ) -> Result<Success, Failure> {
        self.call(tool, arguments, cancel, progress).await
    }
}
