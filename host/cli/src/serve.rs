//! `rookery serve`: MCP on stdin and stdout.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use rookery_project::Roots;
use rookery_runtime::{Audit, LoadReport, Runtime};
use rookery_server::{Loaded, Rest};
use tokio::runtime;

use crate::places::{PluginOptions, PortOptions, given_or};
use crate::signals;

const ROOTS: &str = "ROOKERY_ROOT";

/// Serve the tools over MCP on stdin and stdout
#[derive(Args)]
#[command(after_help = "\
Tools reach projects, root filesystems and results below the roots, and nothing else. What they \
may do there is the policy's to say:
see docs/policy.md.

Example, in an MCP client's configuration:
  {\"mcpServers\": {\"rookery\": {\"command\": \"rookery\", \
  \"args\": [\"serve\", \"--root\", \"/home/me/firmware\"]}}}

With ports of this machine that stay the same: rookery serve \
--root firmware --ports 80=8080,443=8443,9000-9100")]
pub struct Serve {
    /// A directory below which projects lie; can be given several times, and relative paths start
    /// at the first [env: `ROOKERY_ROOT`, separated by `:`]
    #[arg(long = "root", value_name = "DIR", required = given_or(&[], ROOTS).is_empty())]
    roots: Vec<PathBuf>,
    /// Append a line of JSON to this file for each call: the tool, the digests of its plugin and of
    /// its arguments, the outcome and what it used
    #[arg(long, value_name = "FILE")]
    audit: Option<PathBuf>,
    #[command(flatten)]
    ports: PortOptions,
    #[command(flatten)]
    plugins: PluginOptions,
}

impl Serve {
    pub fn execute(&self) -> anyhow::Result<ExitCode> {
        let roots = Roots::new(given_or(&self.roots, ROOTS))?;
        roots.clear_away();
        let mut config = self.plugins.config(roots)?;
        config.runs = config.runs.with_ports(self.ports.ports());
        if let Some(file) = &self.audit {
            let audit = Audit::open(file)
                .with_context(|| format!("cannot write the audit to {}", file.display()))?;
            config.audit = Some(audit);
        }
        let dirs = self.plugins.dirs()?;
        let load = move || {
            let tools = Arc::new(Runtime::new(config)?);
            let (known, pending) = tools.load_known(&dirs);
            report(&known);
            let rest: Rest = Box::new({
                let tools = Arc::clone(&tools);
                move |changed| {
                    tools.load_new(pending, |loaded| {
                        report(&loaded);
                        changed();
                    });
                    if tools.tools().is_empty() {
                        tracing::warn!(
                            "no plugin was loaded, so there are no tools: see \
                             `rookery plugins list`"
                        );
                    }
                }
            });
            Ok(Loaded {
                tools,
                rest: Some(rest),
            })
        };
        // One thread for the protocol: tools and runs have their own, and a second one would be
        // woken for every message.
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the protocol's loop")?;
        let served = runtime.block_on(rookery_server::serve_stdio(
            load,
            env!("CARGO_PKG_VERSION"),
            signals::end_asked(),
        ));
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
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
}
