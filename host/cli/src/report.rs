//! `rookery report`: one run as a page of HTML.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use rookery_project::results::REPORT;
use rookery_project::{Results, Roots};
use rookery_report::word;
use rookery_runtime::Runtime;
use serde::Serialize;

use crate::page::{self, PageOfRun};
use crate::places::{PluginOptions, existing_parent, project, project_of, resolve, utf8};
use crate::show::{self, Activity};
use crate::toolbox::{Toolbox, files};
use crate::which;

/// The tools that judge a run.
const TOOLS: [&str; 2] = ["health", "missing_files"];

/// Write one run as a page of HTML, which needs no network, no script and no other file
#[derive(Args)]
#[command(after_help = "\
The page says how the run went, what is in the firmware's way with the commands that mend it, \
which services answered, what
ran when, and what changed since the run before. It can be sent to anybody: words of the firmware \
in it are shown, never obeyed.

Example:
  rookery report dlink-850l
  rookery report dlink-850l --run 3 --output before.html")]
pub struct Report {
    /// The project directory, or the result directory of one run
    project: PathBuf,
    /// The run: its number, or its id [default: the newest that is complete]
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
    /// Where to write the page; `-` is stdout [default: report.html in the result directory]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    options: PluginOptions,
    /// Print one JSON object: the page's path
    #[arg(long)]
    pub json: bool,
}

/// What is printed with `--json`.
#[derive(Serialize)]
struct Written {
    page: String,
    results_dir: String,
}

impl Report {
    pub fn execute(&self) -> anyhow::Result<ExitCode> {
        let dir = project(&self.project)?;
        let roots = Roots::new([existing_parent(project_of(&dir).unwrap_or(&dir))])?;
        let results = self.results(&roots, &dir)?;
        let activity = Activity::new(None, self.json);
        activity.wait_for("writing the page");
        let page = page::made(&judges(&self.options, &roots)?, &roots, &results);
        activity.end();
        let text = page?.html;
        if self.output.as_deref() == Some(Path::new("-")) {
            std::io::stdout()
                .write_all(text.as_bytes())
                .context("cannot write to stdout")?;
            return Ok(ExitCode::SUCCESS);
        }
        let file = match &self.output {
            Some(file) => resolve(file)?,
            None => results.dir().join(REPORT),
        };
        page::write(&file, &text)?;
        let written = Written {
            page: file.to_string_lossy().into_owned(),
            results_dir: results.dir().to_string_lossy().into_owned(),
        };
        show::result(&written, self.json, |written| vec![written.page.clone()]);
        if !self.json {
            show::notes(&[format!("next: xdg-open {}", word(&written.page))]);
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The run that is meant.
    fn results(&self, roots: &Roots, dir: &Path) -> anyhow::Result<Results> {
        let is_project = dir.join("config.yaml").is_file() || dir.join("results").is_dir();
        if !is_project {
            if self.run.is_some() {
                bail!(
                    "{} is not a project, so it has no run to choose: leave --run out, or name \
                     the project",
                    dir.display()
                );
            }
            return Ok(roots.results(None, Some(utf8(dir)?))?);
        }
        which::results(roots, utf8(dir)?, self.run.as_deref())
    }
}

/// Write the page of a run that has just ended. The run is no worse without it.
pub fn of_run(
    options: &PluginOptions,
    roots: &Roots,
    results_dir: &str,
    json: bool,
) -> Option<PageOfRun> {
    let activity = Activity::new(None, json);
    activity.wait_for("writing the page");
    let tools = judges(options, roots)
        .inspect_err(|error| tracing::warn!("there is no page about the run: {error:#}"));
    let page = page::of_run(&tools.ok()?, roots, results_dir);
    activity.end();
    page
}

/// The tools that judge a run, where they are. Without them a page says what the files say.
fn judges(options: &PluginOptions, roots: &Roots) -> anyhow::Result<Toolbox> {
    let policy = options.policy().read()?;
    let dirs = options.dirs(&policy)?;
    let runtime = Runtime::new(options.config(roots.clone(), policy)?)?;
    let loaded = runtime.check(&[], &files(&dirs, &TOOLS));
    for rejected in &loaded.rejected {
        tracing::warn!("left out of the page: {}", rejected.reason);
    }
    if loaded.plugins.is_empty() {
        tracing::warn!("the page lacks what is in the way: no plugin is there to say so");
    }
    Toolbox::of(runtime)
}
