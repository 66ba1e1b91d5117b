//! `rookery rehost`: let the tool of that name play the loop, and watch.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use rookery_contract::Next;
use rookery_project::Roots;
use rookery_report::{command, word};
use rookery_runtime::Runtime;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use crate::interrupt::Interrupt;
use crate::page;
use crate::places::{existing_parent, project, utf8};
use crate::show::{self, Activity};
use crate::toolbox::Toolbox;
use crate::tooling::{Tooling, report};

const TOOL: &str = "rehost";
/// Seconds of one call: what it found is shown after each.
const CALL_S: u32 = 10;

/// Run a project, try what may mend it, keep what helps, until a service answers
#[derive(Args)]
#[command(after_help = "\
What helped is in the project's patch; what did not is in no file. Ctrl-c ends the run under way \
and keeps what was found out:
the same command goes on.

Example:
  rookery rehost dlink-850l --port 80")]
pub struct Rehost {
    /// The project directory
    project: PathBuf,
    /// The guest's port that is to answer [default: any]
    #[arg(long)]
    port: Option<u16>,
    /// Changes less certain than this are not tried
    #[arg(long, value_parser = ["high", "medium", "low"], default_value = "medium")]
    sure: String,
    /// Runs at most, also those of earlier commands
    #[arg(long, value_name = "N", default_value_t = 20)]
    runs: u32,
    /// Seconds of runs at most, also those of earlier commands
    #[arg(long, value_name = "S", default_value_t = 1800)]
    seconds: u32,
    /// Emulation backend
    #[arg(long, value_parser = ["auto", "user", "penguin"], default_value = "auto")]
    backend: String,
    /// Forget what was tried
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    tooling: Tooling,
    /// Print one JSON object at the end: the tool's last answer
    #[arg(long)]
    pub json: bool,
}

impl Rehost {
    pub fn execute(&self) -> anyhow::Result<ExitCode> {
        let dir = project(&self.project)?;
        let roots = Roots::new([existing_parent(&dir)])?;
        let policy = self.tooling.policy()?;
        let (config, dirs) = self.tooling.config(policy, roots.clone())?;
        let runs = config.runs.clone();
        let runtime = Runtime::new(config)?;
        report(&runtime.load(&dirs));
        let opened = roots.project(utf8(&dir)?)?;
        // The tool may have begun another run than the one that it told of last.
        let stop = || {
            runs.running(&opened)
                .and_then(|run| runs.stop(&run))
                .map(drop)
        };
        let tools = Toolbox::of(runtime)?;
        let mut told = self.play(&tools, &dir, stop)?;
        page::add(&tools, &roots, TOOL, &mut told);
        let reached = told["state"] == "reached";
        show::result(&told, self.json, |told| summed_up(told, &dir));
        Ok(if reached {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }

    /// Call the tool until it is at its end, and tell what each call found; `stop` the run at
    /// ctrl-c.
    fn play(
        &self,
        toolbox: &Toolbox,
        dir: &Path,
        stop: impl Fn() -> rookery_project::Result<()>,
    ) -> anyhow::Result<Value> {
        let cancel = CancellationToken::new();
        let interrupt = Interrupt::watch({
            let cancel = cancel.clone();
            move || cancel.cancel()
        })?;
        let mut arguments = self.arguments(dir);
        let mut activity = Activity::new(None, self.json);
        let (mut kept, mut tried) = (0, 0);
        loop {
            let progress = Arc::new(activity.notes());
            let call = Arc::new(Value::Object(arguments.clone()));
            let answer = toolbox.call(TOOL, &call, cancel.clone(), Some(progress));
            if interrupt.pressed() {
                activity.end();
                // Between two runs there is none.
                let _ = stop();
                anyhow::bail!("interrupted; the same command goes on");
            }
            let told = answer?;
            arguments.remove("again");
            activity.phase(told["said"].as_str().unwrap_or_default());
            let mut lines = changes(&told["kept"], &mut kept, "kept");
            lines.extend(changes(&told["tried"], &mut tried, "dropped"));
            if !lines.is_empty() && !self.json {
                activity.above(&lines);
            }
            if told["state"] != "working" {
                activity.end();
                return Ok(told);
            }
        }
    }

    fn arguments(&self, dir: &Path) -> Map<String, Value> {
        let goal = self.port.map_or(json!({}), |port| json!({ "port": port }));
        let arguments = json!({
            "project_dir": dir.to_string_lossy(),
            "goal": goal,
            "budget": { "runs": self.runs, "seconds": self.seconds },
            "sure": self.sure,
            "backend": self.backend,
            "wait_s": CALL_S,
            "again": self.again,
        });
        arguments.as_object().cloned().unwrap_or_default()
    }
}

/// Those that were not told yet, each with its effect and the command that makes it by hand.
fn changes(all: &Value, told: &mut usize, what: &str) -> Vec<String> {
    let all = all.as_array().map(Vec::as_slice).unwrap_or_default();
    let new = all.iter().skip(*told);
    let lines = new.flat_map(|change| {
        let mut lines = vec![format!(
            "{what:<8} {} ({}, {} s)",
            show::text(change, "why"),
            show::text(change, "effect"),
            change["seconds"]
        )];
        if what == "kept" {
            lines.extend(by_hand(&change["call"]));
        }
        lines
    });
    let lines = lines.collect();
    *told = (*told).max(all.len());
    lines
}

fn by_hand(call: &Value) -> Option<String> {
    let call: Next = serde_json::from_value(call.clone()).ok()?;
    Some(format!("         {}", command(&call)))
}

fn summed_up(told: &Value, dir: &Path) -> Vec<String> {
    let mut lines = vec![format!(
        "{}: {} {} runs, {} s.",
        show::text(told, "state"),
        show::text(told, "said"),
        told["runs"],
        told["seconds"]
    )];
    let mut seen = 0;
    lines.extend(changes(&told["kept"], &mut seen, "kept"));
    for left in told["in_the_way"].as_array().into_iter().flatten() {
        lines.push(format!(
            "left     {}: {}",
            show::text(left, "what"),
            show::text(left, "not_tried")
        ));
        let fixes = left["fix"].as_array().into_iter().flatten();
        lines.extend(fixes.filter_map(by_hand));
    }
    let page = told["page"].as_str();
    lines.extend(page.map(|page| format!("page at {page}")));
    let dir = word(&dir.to_string_lossy());
    lines.push(match told["state"].as_str() {
        Some("reached") => format!("next: rookery run {dir}"),
        _ => format!("next: rookery report {dir}"),
    });
    lines
}
