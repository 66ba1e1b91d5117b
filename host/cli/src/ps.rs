//! `rookery ps`: which runs there are.

use std::process::ExitCode;

use clap::Args;
use rookery_contract::shapes::RunStatus;
use serde::Serialize;

use crate::places::StateDir;
use crate::policy::PolicyFile;
use crate::{show, summary};

/// Runs that have ended and are shown.
const ENDED: usize = 20;

/// List the runs that are under way
#[derive(Args)]
#[command(after_help = "\
Example:
  rookery ps
  rookery ps --all")]
pub struct Ps {
    /// Also runs that have ended, the newest ones
    #[arg(short, long)]
    all: bool,
    #[command(flatten)]
    policy: PolicyFile,
    #[command(flatten)]
    state: StateDir,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// What is printed with `--json`.
#[derive(Serialize)]
struct Listed {
    runs: Vec<RunStatus>,
    /// Runs that have ended and are not among `runs`.
    left_out: usize,
}

impl Ps {
    pub fn execute(&self) -> anyhow::Result<ExitCode> {
        let runs = self.state.all_runs(&self.policy.read()?)?.list();
        let running = runs.iter().filter(|run| run.is_running()).count();
        let shown = running + if self.all { ENDED } else { 0 };
        let listed = Listed {
            left_out: runs.len().saturating_sub(shown),
            runs: runs.into_iter().take(shown).collect(),
        };
        show::result(&listed, self.json, |listed| self.lines(listed));
        Ok(ExitCode::SUCCESS)
    }

    fn lines(&self, listed: &Listed) -> Vec<String> {
        let rows = listed.runs.iter().map(row);
        let head = ["RUN", "STATE", "TIME", "PROJECT", "SERVICES"].map(str::to_owned);
        let mut lines = match listed.runs.as_slice() {
            [] if self.all => vec!["there is no run".to_owned()],
            [] => vec!["no run is under way".to_owned()],
            _ => show::table(std::iter::once(head).chain(rows)),
        };
        if self.all && listed.left_out > 0 {
            lines.push(format!("and {} older ones", listed.left_out));
        }
        lines.push(match listed.runs.first().filter(|run| run.is_running()) {
            Some(run) => format!("next: rookery attach {}", run.run_id),
            None if !self.all && listed.left_out > 0 => {
                format!(
                    "next: rookery ps --all, which lists {} that ended",
                    listed.left_out
                )
            }
            None => "next: rookery run PROJECT".to_owned(),
        });
        lines
    }
}

fn row(run: &RunStatus) -> [String; 5] {
    let state = match &run.phase {
        Some(phase) if run.is_running() => phase.clone(),
        _ => run.status.to_string(),
    };
    [
        run.run_id.clone(),
        state,
        age(run),
        run.project_dir.clone().unwrap_or_default(),
        summary::services(run).join(", "),
    ]
}

/// How long the run goes on, or went on, with the time that it has.
fn age(run: &RunStatus) -> String {
    let elapsed = run.elapsed_s.unwrap_or(0.0);
    match run.timeout_s {
        Some(timeout) if run.is_running() => format!("{elapsed:.0} of {timeout} s"),
        _ => format!("{elapsed:.0} s"),
    }
}
