//! `rookery run`: run a project to its end, and say what came of it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use rookery_contract::options::StartOptions;
use rookery_contract::shapes::{RunState, RunStatus};
use rookery_project::{Cancel, Roots};
use rookery_report::word;
use rookery_runs::Runs;
use serde::Serialize;

use crate::console::Console;
use crate::interrupt::Interrupt;
use crate::places::{PluginOptions, PortOptions, existing_parent, project, utf8};
use crate::report;
use crate::show::{self, Activity};
use crate::summary::{self, Findings};

/// How often the state of the run is looked at.
const POLL: Duration = Duration::from_millis(250);

/// Run a project until its timeout, and print a summary
#[derive(Args)]
#[command(after_help = "\
On a terminal the guest's console is shown while it boots. At the end the run is summed up, and a \
page about it written into its
result directory.

Ctrl-c stops the run and keeps its results; a second ctrl-c leaves at once, with 130. However else \
this program ends (SIGTERM, a closed
terminal), the run goes on until its timeout.

Example:
  rookery run dlink-850l --timeout 60 --ports 80=8080")]
pub struct Run {
    /// The project directory
    project: PathBuf,
    /// Seconds after which the run is ended [default: the project's own]
    #[arg(long, value_name = "S", value_parser = seconds)]
    timeout: Option<u64>,
    /// Emulation backend
    #[arg(
        long,
        value_parser = ["auto", "user", "penguin"],
        default_value = "auto",
        env = "ROOKERY_BACKEND"
    )]
    backend: String,
    /// Print one JSON object at the end: the run's status and findings
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    ports: PortOptions,
    #[command(flatten)]
    options: PluginOptions,
}

/// What is printed with `--json`.
#[derive(Serialize)]
struct Ended {
    run: RunStatus,
    findings: Findings,
    /// The page about the run, where one could be made.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<PathBuf>,
    next: String,
}

/// How long a run may last.
fn seconds(text: &str) -> Result<u64, String> {
    let most = u64::from(StartOptions::MAX_TIMEOUT_S);
    let seconds = text.parse().ok();
    let seconds = seconds.filter(|seconds| (1..=most).contains(seconds));
    seconds.ok_or_else(|| format!("it is a number of seconds, from 1 to {most}"))
}

impl Run {
    pub fn execute(&self) -> anyhow::Result<ExitCode> {
        let dir = project(&self.project)?;
        let roots = Roots::new([existing_parent(&dir)])?;
        let opened = roots.project(utf8(&dir)?)?;
        let policy = self.options.policy().read()?;
        let runs = self.options.state().runs(roots.clone(), &policy)?;
        let runs = runs.with_ports(self.ports.ports(&policy));
        let options = StartOptions {
            timeout_s: self
                .timeout
                .map(|seconds| u32::try_from(seconds).unwrap_or(u32::MAX)),
            backend: self.backend.clone(),
            ..StartOptions::default()
        };
        let interrupt = Interrupt::watch(|| {})?;
        let run = runs.start(&opened, &options, |_| {}, &Cancel::default())?;
        let status = self.follow(&roots, &runs, &run, &interrupt)?;
        let failed = status.status == RunState::Failed;
        let page = status.results_dir.as_deref();
        let page = page.and_then(|dir| report::of_run(&self.options, &roots, dir, self.json));
        let (page, next) = page.map_or((None, None), |page| (Some(page.file), page.next));
        let ended = Ended {
            findings: summary::findings(&roots, &status),
            page,
            next: next
                .unwrap_or_else(|| format!("rookery report {}", word(&dir.to_string_lossy()))),
            run: status,
        };
        show::result(&ended, self.json, describe);
        Ok(if failed {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    }

    /// Wait for the end of the run, showing how it goes on; stop it at ctrl-c.
    fn follow(
        &self,
        roots: &Roots,
        runs: &Runs,
        run: &str,
        interrupt: &Interrupt,
    ) -> anyhow::Result<RunStatus> {
        let mut status = runs.status(run)?;
        let mut console = None;
        let mut activity = Activity::new(Some(status.timeout_s.unwrap_or(0)), self.json);
        let mut stopping = false;
        while status.is_running() {
            if interrupt.pressed() && !stopping {
                stopping = true;
                activity.phase("stopping");
                status = runs.stop(run)?;
                continue;
            }
            activity.phase(&phase(&status));
            if activity.is_watched() {
                console = console.or_else(|| Console::of(roots, &status));
                if let Some(console) = &mut console {
                    console.new_lines(false, |lines| activity.above(lines));
                }
            }
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "seconds of a run, for a bar"
            )]
            activity.at(status.elapsed_s.unwrap_or(0.0) as u64);
            status = runs.wait(run, POLL, &Cancel::default())?;
        }
        if let Some(console) = &mut console {
            console.new_lines(true, |lines| activity.above(lines));
        }
        activity.end();
        Ok(status)
    }
}

fn describe(ended: &Ended) -> Vec<String> {
    let mut lines = summary::describe(&ended.run, &ended.findings);
    let page = ended.page.iter();
    lines.extend(page.map(|page| format!("page at {}", page.display())));
    lines.push(format!("next: {}", ended.next));
    lines
}

fn phase(status: &RunStatus) -> String {
    let phase = status.phase.as_deref().unwrap_or("-");
    // What a run waits for that has no guest yet.
    if let Some(reason) = status.reason.as_ref().filter(|_| status.is_running()) {
        return format!("{phase}: {reason}");
    }
    let services = summary::services(status);
    match services.as_slice() {
        [] => phase.to_owned(),
        services => format!("{phase}: {}", services.join(", ")),
    }
}
