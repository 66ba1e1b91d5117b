//! `rookery serve`: MCP on stdin and stdout.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _};
use rookery_project::Roots;
use rookery_runtime::{Runtime, RuntimeConfig};
use rookery_server::{Loaded, Rest};
use tokio::runtime;

use crate::places::{ROOTS, given_or};
use crate::tooling::{Tooling, report};
use crate::{Cli, signals};

const NO_ROOT: &str = "there is no root: name a directory that holds projects with `--root DIR`, \
                       or put into the policy, under [serve]: roots = [\"DIR\"]";

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
--root firmware --ports 80=8080,443=8443,9000-9100
Where nothing may be changed or run: rookery serve --root firmware --read-only --locked")]
pub struct Serve {
    /// A directory below which projects lie; can be given several times, and relative paths start
    /// at the first [default: the policy's `roots`] [env: `ROOKERY_ROOT`, separated by `:`]
    #[arg(long = "root", value_name = "DIR")]
    roots: Vec<PathBuf>,
    #[command(flatten)]
    tooling: Tooling,
}

impl Serve {
    pub fn execute(&self) -> anyhow::Result<ExitCode> {
        let (config, dirs) = self.config()?;
        if !config.policy.serve().is_read_only() {
            config.roots.clear_away();
        }
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
                    for warning in tools.misspelt_tools() {
                        tracing::warn!("{warning}");
                    }
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

    /// What is served, and the plugins' directories: as the policy says, and the command line.
    fn config(&self) -> anyhow::Result<(RuntimeConfig, Vec<PathBuf>)> {
        let policy = self.tooling.policy()?;
        let mut roots = given_or(&self.roots, ROOTS);
        if roots.is_empty() {
            roots.clone_from(&policy.serve().roots);
        }
        if roots.is_empty() {
            Cli::command()
                .error(ErrorKind::MissingRequiredArgument, NO_ROOT)
                .exit();
        }
        self.tooling.config(policy, Roots::new(roots)?)
    }
}
