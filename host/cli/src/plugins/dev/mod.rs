//! `rookery plugins dev`: build a tool whenever its sources are saved, and serve or call it.

mod project;
mod said;
mod shown;
mod sources;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use rookery_project::Roots;
use rookery_runtime::Runtime;
use rookery_server::{Loaded, Rest};
use tokio_util::sync::CancellationToken;

use self::project::Project;
use self::shown::Shown;
use super::call::{Called, Subject};
use crate::interrupt::Interrupt;
use crate::places::{ROOTS, given_or};
use crate::protocol::{load_rest, reloaded, speak};
use crate::tooling::{Tooling, report};
use crate::{arguments, show};

/// How often the sources are looked at.
const LOOK: Duration = Duration::from_millis(250);

/// Build a tool on every save, and serve it over MCP, or call it with --call
#[derive(Args)]
#[command(after_help = "\
The folder is one that `rookery plugins new` has made: its Makefile builds the component. Without \
--call this is a server on
stdin and stdout, with the installed tools too; what happens is told on stderr: each build, and \
each call with what it used.
A client is told that the tools have changed. Some ignore that, and show the new description only \
after a restart; a call
reaches the new component all the same.

Example:
  rookery plugins dev flash_report --call '{\"limit\": 5}' --project dlink-850l")]
pub struct Dev {
    /// The folder of the tool
    dir: PathBuf,
    /// Serve nothing, but call the tool with these arguments after each build
    #[arg(long, value_name = "ARGUMENTS", num_args = 0.., allow_hyphen_values = true)]
    call: Option<Vec<String>>,
    #[command(flatten)]
    subject: Subject,
    /// A directory below which projects lie; can be given several times [default: the policy's
    /// `roots`, else the current directory] [env: `ROOKERY_ROOT`, separated by `:`]
    #[arg(long = "root", value_name = "DIR")]
    roots: Vec<PathBuf>,
    #[command(flatten)]
    tooling: Tooling,
}

impl Dev {
    pub fn execute(&self) -> anyhow::Result<ExitCode> {
        let project = Project::open(&self.dir)?;
        match &self.call {
            Some(words) => self.call(project, words),
            None => self.serve(project),
        }
    }

    /// Call the tool after each build, until ctrl-c.
    fn call(&self, mut project: Project, words: &[String]) -> anyhow::Result<ExitCode> {
        let arguments = arguments::given(words)?;
        let cancel = CancellationToken::new();
        let interrupt = Interrupt::watch({
            let cancel = cancel.clone();
            move || cancel.cancel()
        })?;
        while !interrupt.pressed() {
            if project.build() {
                let options = &self.tooling.plugins;
                let called = self.subject.call(
                    project.component(),
                    arguments.clone(),
                    options,
                    cancel.clone(),
                    None,
                );
                match called {
                    Ok(called) => show::result(&called, false, Called::lines),
                    Err(error) => show::error(&error, false),
                }
            }
            while !interrupt.pressed() && !project.has_changed() {
                std::thread::sleep(LOOK);
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Serve the tool among the installed ones, until the client leaves.
    fn serve(&self, mut project: Project) -> anyhow::Result<ExitCode> {
        let policy = self.tooling.policy()?;
        let mut roots = given_or(&self.roots, ROOTS);
        if roots.is_empty() {
            roots.clone_from(&policy.serve().roots);
        }
        if roots.is_empty() {
            roots.push(std::env::current_dir().context("there is no current directory")?);
        }
        let (config, dirs) = self.tooling.config(policy, Roots::new(roots)?)?;
        speak(config, move |tools| {
            let (known, pending) = tools.load_known(&dirs);
            report(&known);
            let rest: Rest = Box::new({
                let tools = Arc::clone(&tools);
                move |changed| load_rest(&tools, pending, changed)
            });
            let watch: Rest = Box::new({
                let tools = Arc::clone(&tools);
                move |changed| follow(&tools, &mut project, changed)
            });
            Ok(Loaded {
                tools: Arc::new(Shown::new(tools)),
                rest: Some(rest),
                watch: Some(watch),
            })
        })
    }
}

/// Build and exchange the component, now and whenever its sources change.
fn follow(tools: &Runtime, project: &mut Project, changed: &(dyn Fn() + Sync)) {
    loop {
        if project.build() {
            reloaded(tools, &tools.reload_instead(project.component()));
            changed();
        }
        while !project.has_changed() {
            std::thread::sleep(LOOK);
        }
    }
}
