//! `rookery report`: one run as a page of HTML.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use rookery_project::results::REPORT;
use rookery_project::{Results, Roots, regular};
use rookery_report::{Page, Sources, page, word};
use rookery_runtime::Runtime;
use serde::Serialize;
use serde_json::{Value, json};

use crate::places::{PluginOptions, existing_parent, project, project_of, resolve, utf8};
use crate::show::{self, Activity};
use crate::toolbox::{Toolbox, files};
use crate::which;

/// The tools that judge a run.
const TOOLS: [&str; 2] = ["health", "missing_files"];
/// Files that are listed in the page.
const MISSING_FILES: u32 = 40;

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
        let text = made(&self.options, &roots, &results, self.json)?.html;
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
        written(&file, &text)?;
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

/// The page of a run that has just ended, in its result directory.
pub struct PageOfRun {
    pub file: PathBuf,
    /// The command that makes most sense now.
    pub next: Option<String>,
}

/// Write the page of a run that has just ended. The run is no worse without it.
pub fn of_run(
    options: &PluginOptions,
    roots: &Roots,
    results_dir: &str,
    json: bool,
) -> Option<PageOfRun> {
    let write = || {
        let results = roots.results(None, Some(results_dir))?;
        let page = made(options, roots, &results, json)?;
        let file = results.dir().join(REPORT);
        written(&file, &page.html)?;
        let next = page.next;
        anyhow::Ok(PageOfRun { file, next })
    };
    write()
        .inspect_err(|error| tracing::warn!("there is no page about the run: {error:#}"))
        .ok()
}

/// The page of a run. Without the tools it says what the files say.
fn made(
    options: &PluginOptions,
    roots: &Roots,
    results: &Results,
    json: bool,
) -> anyhow::Result<Page> {
    // Tools that nobody has used before are compiled first.
    let activity = Activity::new(None, json);
    activity.wait_for("writing the page");
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
    let tools = Toolbox::of(runtime)?;
    let run = json!({ "results_dir": results.dir().to_string_lossy() });
    let with = |name: &str, value: Value| {
        let mut arguments = run.clone();
        arguments[name] = value;
        arguments
    };
    let health = if has_one_before(results.dir()) {
        let compared = tools.ask("health", with("with", "previous".into()));
        compared.or_else(|_| tools.ask("health", run.clone()))
    } else {
        tools.ask("health", run.clone())
    };
    let missing = tools.ask("missing_files", with("limit", MISSING_FILES.into()));
    let answer = |tool: &str, answer: anyhow::Result<Value>| {
        answer.unwrap_or_else(|error| {
            tracing::debug!("the page lacks what `{tool}` says: {error:#}");
            Value::Null
        })
    };
    let project = project_of(results.dir()).and_then(Path::to_str);
    let project = project.and_then(|dir| roots.project(dir).ok());
    let page = page(Sources {
        results,
        project: project.as_ref(),
        health: answer("health", health),
        missing_files: answer("missing_files", missing),
    });
    activity.end();
    Ok(page?)
}

/// Whether the run of a result directory has one before it, to be compared with.
fn has_one_before(results_dir: &Path) -> bool {
    let number = results_dir.file_name().and_then(|name| name.to_str());
    let before = number.and_then(|number| number.parse::<u64>().ok()?.checked_sub(1));
    before.is_some_and(|before| results_dir.with_file_name(before.to_string()).is_dir())
}

fn written(file: &Path, text: &str) -> anyhow::Result<()> {
    regular::replace(file, text.as_bytes(), false)
        .with_context(|| format!("cannot write {}", file.display()))
}
