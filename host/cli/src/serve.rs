//! `rookery serve`: MCP on stdin and stdout.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use rookery_project::Roots;
use rookery_runtime::{LoadReport, Runtime};
use tokio::runtime;

use crate::places::PluginOptions;

/// Serve the tools over MCP on stdin and stdout
#[derive(Args)]
#[command(after_help = "\
Tools reach projects, root filesystems and results below the roots, and nothing else.

Example, in an MCP client's configuration:
  {\"mcpServers\": {\"rookery\": {\"command\": \"rookery\", \"args\": [\"serve\", \"--root\", \"/home/me/firmware\"]}}}")]
pub struct Serve {
    /// Directories below which all projects lie; relative paths start at the first
    #[arg(
        long = "root",
        value_name = "DIR",
        required = true,
        env = "ROOKERY_ROOT",
        value_delimiter = ':'
    )]
    roots: Vec<PathBuf>,
    #[command(flatten)]
    plugins: PluginOptions,
}

impl Serve {
    pub fn execute(&self) -> anyhow::Result<ExitCode> {
        let roots = Roots::new(self.roots.iter().cloned())?;
        let config = self.plugins.config(roots)?;
        let dirs = self.plugins.dirs()?;
        let load = move || {
            let mut tools = Runtime::new(config)?;
            report(&tools.load(&dirs));
            Ok(tools)
        };
        // One thread for the protocol: tools and runs have their own, and a second one would be woken for every message.
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the protocol's loop")?;
        let served = runtime.block_on(rookery_server::serve_stdio(load, env!("CARGO_PKG_VERSION")));
        // Whatever still runs was told to end; a read from a terminal never does.
        runtime.shutdown_timeout(Duration::from_millis(50));
        served?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Tell the operator what is missing. It goes to stderr: clients show that, or keep it.
fn report(loaded: &LoadReport) {
    for rejected in &loaded.rejected {
        tracing::warn!("skipped {}: {}", rejected.file.display(), rejected.reason);
    }
    if loaded.plugins.is_empty() {
        tracing::warn!("no plugin was loaded, so there are no tools: see `rookery plugins list`");
    }
}
