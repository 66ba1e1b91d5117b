//! The tools as they are served: whoever is told that a run has ended is told of its page.

use std::path::PathBuf;
use std::sync::Arc;

use rookery_project::Roots;
use rookery_runtime::{Failure, ProgressSink, Runtime, Success};
use rookery_server::ToolSource;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::page;
use crate::toolbox::Toolbox;

/// The tools of a runtime.
pub struct Paged {
    pub tools: Arc<Runtime>,
    pub roots: Roots,
}

impl Paged {
    /// Write the page of a run, on a thread that may wait for tools.
    async fn page(&self, results_dir: String) -> Option<PathBuf> {
        let (tools, roots) = (Arc::clone(&self.tools), self.roots.clone());
        let write = move || page::of_run(&Toolbox::of(tools).ok()?, &roots, &results_dir);
        let written = ToolSource::threads(self).spawn_blocking(write).await;
        Some(written.ok().flatten()?.file)
    }
}

impl ToolSource for Paged {
    fn tools(&self) -> Vec<(String, Value)> {
        ToolSource::tools(&*self.tools)
    }

    async fn check_arguments(&self, tool: &str, arguments: &Arc<Value>) -> Vec<String> {
        self.tools.check_arguments(tool, arguments).await
    }

    async fn call(
        &self,
        tool: &str,
        arguments: &Arc<Value>,
        cancel: CancellationToken,
        progress: ProgressSink,
    ) -> Result<Success, Failure> {
        let mut success = self.tools.call(tool, arguments, cancel, progress).await?;
        if let Some(results_dir) = page::ended(&self.tools, tool, &success.output)
            && let Some(page) = self.page(results_dir).await
        {
            success.output["page"] = json!(page);
        }
        Ok(success)
    }

    fn refused(&self, tool: &str, arguments: &Value) -> Option<Failure> {
        self.tools.refused(tool, arguments)
    }

    fn misunderstood(&self, tool: &str, arguments: &Value) {
        self.tools.misunderstood(tool, arguments);
    }

    fn threads(&self) -> Handle {
        ToolSource::threads(&*self.tools)
    }
}
