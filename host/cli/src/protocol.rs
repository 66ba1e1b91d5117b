//! MCP on stdin and stdout, for whichever command serves: how it is spoken, and what is told of
//! plugins.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use rookery_runtime::{LoadReport, Pending, Rejected, Runtime, RuntimeConfig};
use rookery_server::{LoadError, Loaded, ToolSource, visible};
use tokio::runtime;

use crate::tooling::report;
use crate::{log, signals};

/// Speak MCP on stdin and stdout until the client leaves, with the tools that `load` puts into a
/// runtime.
pub fn speak<S: ToolSource>(
    config: RuntimeConfig,
    load: impl FnOnce(Arc<Runtime>) -> Result<Loaded<S>, LoadError> + Send + 'static,
) -> anyhow::Result<ExitCode> {
    if !config.policy.serve().is_read_only() {
        config.roots.clear_away();
    }
    // One thread for the protocol: tools and runs have their own, and a second one would be woken
    // for every message.
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the protocol's loop")?;
    let served = runtime.block_on(rookery_server::serve_stdio(
        move || load(Arc::new(Runtime::new(config)?)),
        env!("CARGO_PKG_VERSION"),
        signals::end_asked(),
    ));
    // Whatever still runs was told to end; a read from a terminal never does.
    runtime.shutdown_timeout(Duration::from_millis(50));
    served?;
    Ok(ExitCode::SUCCESS)
}

/// Load what is not known yet, and say what is missing.
pub fn load_rest(tools: &Runtime, pending: Pending, changed: &(dyn Fn() + Sync)) {
    tools.load_new(pending, |loaded| {
        report(&loaded);
        changed();
    });
    for warning in tools.misspelt_tools() {
        tracing::warn!("{warning}");
    }
    if tools.tools().is_empty() {
        tracing::warn!("no plugin was loaded, so there are no tools: see `rookery plugins list`");
    }
}

/// Tell the operator what came of a file that has changed.
pub fn reloaded(tools: &Runtime, loaded: &LoadReport) {
    for plugin in &loaded.plugins {
        let (file, tools) = (plugin.file.display(), plugin.tools.join(", "));
        log::line(&visible(&format!("reloaded {file}: {tools}")));
    }
    for Rejected { file, reason, .. } in &loaded.rejected {
        let served = tools.tools();
        let is_kept = served.values().any(|tool| tool.plugin.file == *file);
        let file = file.display();
        if is_kept {
            tracing::warn!("kept what {file} was before, for the new one is refused: {reason}");
        } else {
            tracing::warn!("{file} is not served: {reason}");
        }
    }
}
