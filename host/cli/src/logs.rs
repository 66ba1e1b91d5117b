//! `rookery logs` and `rookery attach`: the guest's console.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use rookery_contract::shapes::RunStatus;
use rookery_project::{Cancel, Roots};
use rookery_report::word;
use rookery_runs::Runs;

use crate::console::Console;
use crate::interrupt::Interrupt;
use crate::places::{StateDir, existing_parent};
use crate::policy::PolicyFile;
use crate::{log, show, summary, which};

/// How often the console is looked at.
const POLL: Duration = Duration::from_millis(150);
/// Lines that are shown of what was before somebody attached.
const BEFORE: usize = 20;

/// Print the guest's console
#[derive(Args)]
#[command(after_help = "\
Characters that steer a terminal are written out.

Example:
  rookery logs dlink-850l
  rookery logs dlink-850l --follow")]
pub struct Logs {
    #[command(flatten)]
    of: Of,
    /// Go on until the run ends or ctrl-c is pressed, which leaves the run alive
    #[arg(short, long)]
    follow: bool,
    /// Only the last lines
    #[arg(short = 'n', long, value_name = "N")]
    lines: Option<usize>,
}

/// Watch a run: its console and services, until it ends or ctrl-c is pressed
#[derive(Args)]
#[command(after_help = "\
Ctrl-c leaves the run alive; `rookery stop` ends it.

Example:
  rookery attach dlink-850l")]
pub struct Attach {
    #[command(flatten)]
    of: Of,
}

#[derive(Args)]
struct Of {
    /// The run, by its id, the beginning of that, or its project
    run: String,
    #[command(flatten)]
    policy: PolicyFile,
    #[command(flatten)]
    state: StateDir,
}

impl Logs {
    pub fn execute(&self) -> anyhow::Result<ExitCode> {
        let (runs, run) = self.of.find()?;
        let interrupt = Interrupt::watch(|| {})?;
        follow(&runs, run, &interrupt, self.lines, self.follow, |_| {})?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Attach {
    pub fn execute(&self) -> anyhow::Result<ExitCode> {
        let (runs, run) = self.of.find()?;
        let interrupt = Interrupt::watch(|| {})?;
        let mut told = Vec::new();
        let run = follow(&runs, run, &interrupt, Some(BEFORE), true, |run| {
            let services = summary::services(run);
            for new in services.iter().filter(|service| !told.contains(*service)) {
                log::line(&format!("service: {}", rookery_server::visible(new)));
            }
            told = services;
        })?;
        let project = word(run.project_dir.as_deref().unwrap_or("PROJECT"));
        let (how, next) = if run.is_running() {
            ("goes on".to_owned(), format!("rookery stop {}", run.run_id))
        } else {
            let reason = run.reason.as_deref().unwrap_or("-");
            (
                format!("{}: {reason}", run.status),
                format!("rookery report {project}"),
            )
        };
        show::notes(&[format!("{} {how}", run.run_id), format!("next: {next}")]);
        Ok(ExitCode::SUCCESS)
    }
}

impl Of {
    fn find(&self) -> anyhow::Result<(Runs, RunStatus)> {
        let runs = self.state.all_runs(&self.policy.read()?)?;
        let run = which::run(&runs, &self.run)?;
        Ok((runs, run))
    }
}

/// Print the console of a run, and give its status then.
fn follow(
    runs: &Runs,
    mut run: RunStatus,
    interrupt: &Interrupt,
    last: Option<usize>,
    on: bool,
    mut seen: impl FnMut(&RunStatus),
) -> anyhow::Result<RunStatus> {
    let mut console = None;
    loop {
        // Looked at before the console: what came before the end is printed.
        let goes_on = run.is_running() && on && !interrupt.pressed();
        if console.is_none()
            && let Some(dir) = &run.results_dir
        {
            let roots = Roots::new([existing_parent(dir.as_ref())])?;
            console = Console::of(&roots, &run);
            if let (Some(console), Some(last)) = (&mut console, last) {
                console.skip_to_last(last);
            }
        }
        if let Some(console) = &mut console {
            console.new_lines(!goes_on, show::lines);
        }
        seen(&run);
        if !goes_on {
            return Ok(run);
        }
        run = runs.wait(&run.run_id, POLL, &Cancel::default())?;
    }
}
