//! `rookery stop`: end runs, and keep their results.

use std::process::ExitCode;

use clap::Args;
use rookery_contract::shapes::RunStatus;
use rookery_report::word;
use serde::Serialize;

use crate::places::StateDir;
use crate::policy::PolicyFile;
use crate::{show, which};

/// Stop runs; their results are kept
#[derive(Args)]
#[command(after_help = "\
Example:
  rookery stop dlink-850l
  rookery stop --all")]
pub struct Stop {
    /// The runs, each by its id, the beginning of that, or its project
    #[arg(required_unless_present = "all", value_name = "RUN")]
    runs: Vec<String>,
    /// Stop every run of this user
    #[arg(long, conflicts_with = "runs")]
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
struct Stopped {
    runs: Vec<RunStatus>,
}

impl Stop {
    pub fn execute(&self) -> anyhow::Result<ExitCode> {
        let runs = self.state.all_runs(&self.policy.read()?)?;
        let meant = if self.all {
            let all = runs.list().into_iter();
            all.filter(RunStatus::is_running).collect()
        } else {
            let named = self.runs.iter().map(|name| which::run(&runs, name));
            named.collect::<anyhow::Result<Vec<_>>>()?
        };
        let stop = |run: &RunStatus| runs.stop(&run.run_id);
        let stopped = Stopped {
            runs: meant.iter().map(stop).collect::<Result<_, _>>()?,
        };
        show::result(&stopped, self.json, lines);
        Ok(ExitCode::SUCCESS)
    }
}

fn lines(stopped: &Stopped) -> Vec<String> {
    let line = |run: &RunStatus| {
        let why = run.reason.as_deref().unwrap_or("it takes a moment more");
        format!("{} {}: {why}", run.run_id, run.status)
    };
    let mut lines: Vec<String> = stopped.runs.iter().map(line).collect();
    match stopped
        .runs
        .first()
        .and_then(|run| run.project_dir.as_deref())
    {
        Some(project) => lines.push(format!("next: rookery report {}", word(project))),
        None => lines.push("no run is under way".to_owned()),
    }
    lines
}
