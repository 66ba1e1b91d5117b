//! `rookery serve`: MCP on stdin and stdout.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _};
use rookery_project::Roots;
use rookery_runtime::{Runtime, RuntimeConfig, Watch};
use rookery_server::{Loaded, Rest};

use crate::Cli;
use crate::paged::Paged;
use crate::places::{ROOTS, given_or};
use crate::protocol::{load_rest, reloaded, speak};
use crate::tooling::{Tooling, report};

/// How often the plugins' directories are looked at.
const LOOK: Duration = Duration::from_millis(250);
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
    /// Reload plugins whose files change, appear or go, also in directories that appear later. One
    /// that would not be admitted changes nothing, and the log says why
    #[arg(long, env = "ROOKERY_WATCH")]
    watch: bool,
    #[command(flatten)]
    tooling: Tooling,
}

impl Serve {
    pub fn execute(&self) -> anyhow::Result<ExitCode> {
        let (config, dirs) = self.config()?;
        let watched = self.watch;
        let roots = config.roots.clone();
        speak(config, move |tools| {
            // Before they are loaded: what changes meanwhile is seen.
            let watch = watched.then(|| Watch::new(&dirs));
            let (here, absent): (Vec<_>, _) = dirs.into_iter().partition(|dir| dir.is_dir());
            for dir in absent {
                tracing::info!("{} is not there yet; it is watched", dir.display());
            }
            let (known, pending) = tools.load_known(&here);
            report(&known);
            let rest: Rest = Box::new({
                let tools = Arc::clone(&tools);
                move |changed| load_rest(&tools, pending, changed)
            });
            let watch = watch.map(|watch| -> Rest {
                let tools = Arc::clone(&tools);
                Box::new(move |changed| follow(&tools, watch, changed))
            });
            Ok(Loaded {
                tools: Arc::new(Paged { tools, roots }),
                rest: Some(rest),
                watch,
            })
        })
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
        let roots = Roots::new(roots)?;
        if self.watch {
            self.tooling.watched_config(policy, roots)
        } else {
            self.tooling.config(policy, roots)
        }
    }
}

/// Exchange the plugins whose files change, until the program ends.
fn follow(tools: &Runtime, mut watch: Watch, changed: &(dyn Fn() + Sync)) {
    loop {
        std::thread::sleep(LOOK);
        let reports = watch.reload(tools);
        if reports.is_empty() {
            continue;
        }
        for loaded in &reports {
            reloaded(tools, loaded);
        }
        changed();
    }
}
