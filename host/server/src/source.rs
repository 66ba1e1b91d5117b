//! Where tools come from.

use std::future::Future;
use std::sync::Arc;

use rookery_runtime::{Failure, ProgressSink, Runtime, Success};
use serde_json::Value;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

/// A set of tools. It may change while the server runs, as [`Loaded`] says.
///
/// [`Runtime`] is the one that matters; tests have their own, so that the protocol can be tried
/// without components.
pub trait ToolSource: Send + Sync + 'static {
    /// Names and definitions (the MCP `Tool` object without `name`, plus `examples`: see
    /// `wit/types.wit`).
    fn tools(&self) -> Vec<(String, Value)>;

    /// All violations of the tool's input schema, in words; empty when `arguments` fit.
    fn check_arguments(
        &self,
        tool: &str,
        arguments: &Arc<Value>,
    ) -> impl Future<Output = Vec<String>> + Send;

    /// Call a tool. `arguments` have passed [`Self::check_arguments`]; the future ends soon after
    /// `cancel`.
    fn call(
        &self,
        tool: &str,
        arguments: &Arc<Value>,
        cancel: CancellationToken,
        progress: ProgressSink,
    ) -> impl Future<Output = Result<Success, Failure>> + Send;

    /// A call of `tool`, which is not there: the failure to answer with, if it is a rule of the
    /// operator's that it is not.
    fn refused(&self, _tool: &str, _arguments: &Value) -> Option<Failure> {
        None
    }

    /// A call whose arguments did not pass [`Self::check_arguments`], which is not made.
    fn misunderstood(&self, _tool: &str, _arguments: &Value) {}

    /// Threads for work on what a tool gave that takes too long for the protocol's.
    fn threads(&self) -> Handle {
        Handle::current()
    }
}

/// Tools that are there, and those that are not yet.
pub struct Loaded<S> {
    /// The tools.
    pub tools: Arc<S>,
    /// Adds the others, on a thread where that may take long, and says each time that there are
    /// more.
    pub rest: Option<Rest>,
    /// Exchanges tools while the server runs, once all are there, and says each time that there
    /// are others. It may go on for as long as the server does.
    pub watch: Option<Rest>,
}

/// See [`Loaded::rest`] and [`Loaded::watch`].
pub type Rest = Box<dyn FnOnce(&(dyn Fn() + Sync)) + Send>;

impl<S> From<S> for Loaded<S> {
    fn from(tools: S) -> Self {
        Self {
            tools: Arc::new(tools),
            rest: None,
            watch: None,
        }
    }
}

impl ToolSource for Runtime {
    fn tools(&self) -> Vec<(String, Value)> {
        self.tools()
            .into_iter()
            .map(|(name, tool)| (name, tool.definition.clone()))
            .collect()
    }

    async fn check_arguments(&self, tool: &str, arguments: &Arc<Value>) -> Vec<String> {
        self.check_arguments(tool, arguments).await
    }

    async fn call(
        &self,
        tool: &str,
        arguments: &Arc<Value>,
        cancel: CancellationToken,
        progress: ProgressSink,
    ) -> Result<Success, Failure> {
        self.call(tool, arguments, cancel, progress).await
    }

    fn refused(&self, tool: &str, arguments: &Value) -> Option<Failure> {
        self.refused(tool, arguments)
    }

    fn misunderstood(&self, tool: &str, arguments: &Value) {
        self.misunderstood(tool, arguments);
    }

    fn threads(&self) -> Handle {
        self.threads().cloned().unwrap_or_else(Handle::current)
    }
}
