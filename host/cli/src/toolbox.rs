//! Tools for one command of the shell, called through the same runtime as those that are served.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use rookery_runtime::{ProgressSink, Runtime};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// A runtime, and what it needs to be waited for.
pub struct Toolbox {
    tools: Arc<Runtime>,
    waiting: tokio::runtime::Runtime,
}

impl Toolbox {
    /// The tools that `runtime` has loaded.
    pub fn of(runtime: impl Into<Arc<Runtime>>) -> anyhow::Result<Self> {
        let waiting = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the tools")?;
        Ok(Self {
            tools: runtime.into(),
            waiting,
        })
    }

    /// The runtime.
    pub fn runtime(&self) -> &Runtime {
        &self.tools
    }

    /// In which way `arguments` do not fit, in words; empty where they do.
    pub fn violations(&self, tool: &str, arguments: &Arc<Value>) -> Vec<String> {
        self.waiting
            .block_on(self.tools.check_arguments(tool, arguments))
    }

    /// Call a tool whose arguments fit, and give its answer.
    pub fn call(
        &self,
        tool: &str,
        arguments: &Arc<Value>,
        cancel: CancellationToken,
        progress: ProgressSink,
    ) -> anyhow::Result<Value> {
        let call = self.tools.call(tool, arguments, cancel, progress);
        let answer = self.waiting.block_on(call);
        answer
            .map(|success| success.output)
            .map_err(|failure| anyhow!(failure.message))
    }

    /// The same where nobody waits to see it, and nobody chose the arguments.
    pub fn ask(&self, tool: &str, arguments: Value) -> anyhow::Result<Value> {
        let arguments = Arc::new(arguments);
        if let Some(violation) = self.violations(tool, &arguments).first() {
            return Err(anyhow!("{tool}: {violation}"));
        }
        self.call(tool, &arguments, CancellationToken::new(), None)
    }
}

/// The files of these built-in tools in the plugins' directories: the first of each name.
pub fn files(dirs: &[PathBuf], tools: &[&str]) -> Vec<PathBuf> {
    let file = |tool: &&str| {
        let name = format!("{tool}.wasm");
        let mut files = dirs.iter().map(|dir| dir.join(&name));
        files.find(|file| file.is_file())
    };
    tools.iter().filter_map(file).collect()
}
