//! Tools whose calls are told on stderr, each with what it used.

use std::sync::Arc;

use rookery_runtime::{Failure, ProgressSink, Runtime, Success};
use rookery_server::ToolSource;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::said::say;
use crate::plugins::one::used;

/// Most of what is shown of arguments or a failure.
const MAX_CHARS: usize = 300;

/// The tools of a runtime.
pub(super) struct Shown(Arc<Runtime>);

impl Shown {
    pub(super) fn new(tools: Arc<Runtime>) -> Self {
        Self(tools)
    }
}

impl ToolSource for Shown {
    fn tools(&self) -> Vec<(String, Value)> {
        ToolSource::tools(&*self.0)
    }

    async fn check_arguments(&self, tool: &str, arguments: &Arc<Value>) -> Vec<String> {
        self.0.check_arguments(tool, arguments).await
    }

    async fn call(
        &self,
        tool: &str,
        arguments: &Arc<Value>,
        cancel: CancellationToken,
        progress: ProgressSink,
    ) -> Result<Success, Failure> {
        let answer = self.0.call(tool, arguments, cancel, progress).await;
        let call = format!("{tool} {}", cut(&arguments.to_string()));
        match &answer {
            Ok(success) => say(&format!("{call}  ({})", used(&success.usage))),
            Err(failure) => say(&format!(
                "{call} failed, {}: {}  ({})",
                failure.kind,
                cut(&failure.message),
                used(&failure.usage)
            )),
        }
        answer
    }

    fn refused(&self, tool: &str, arguments: &Value) -> Option<Failure> {
        self.0.refused(tool, arguments)
    }

    fn misunderstood(&self, tool: &str, arguments: &Value) {
        say(&format!(
            "{tool} {}: the arguments do not fit",
            cut(&arguments.to_string())
        ));
        self.0.misunderstood(tool, arguments);
    }

    fn threads(&self) -> Handle {
        ToolSource::threads(&*self.0)
    }
}

fn cut(text: &str) -> String {
    let mut cut: String = text.chars().take(MAX_CHARS).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    cut
}
