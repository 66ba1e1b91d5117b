//! `rookery plugins record`: a case for `plugins test`, of a real project's run.

mod database;
mod private;
mod texts;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use rookery_project::penguin::result_files;
use rookery_project::{Results, Roots};
use serde::Serialize;

use self::private::Private;
use self::texts::{Bounds, Kept};
use crate::places::{absolute, existing_parent, project, utf8};
use crate::{show, which};

/// What a case is made of beside the files of its run.
const CASE: &str = "\
# Recorded by `rookery plugins record`. Say which `tool` is called, if the component has several,
# and put the answer that you expect in the place of \"*\".
arguments: {project_dir: fw}
answer: \"*\"
";

/// Make a case for `plugins test` of a real run, with what is private left out
#[derive(Args)]
#[command(after_help = "\
Left out: the firmware, the project's other files (`static`, `base`), every file of the run that \
Rookery does not know (packets,
snapshots, pages), what programs have read and written, and values whose name is a secret's \
(password, token, psk, …), wherever
they stand. Paths of this machine are replaced. The console and other files are cut. What was done \
is printed: look the
case over before you give it to others, because no program knows every secret.

Example:
  rookery plugins record dlink-850l --run 3 --out cases/dlink
  rookery plugins test my_tool.wasm cases/dlink")]
pub struct Record {
    /// The project directory
    project: PathBuf,
    /// The run: its number, or its id [default: the newest that is complete]
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
    /// The case's folder, which must not exist or be empty
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Lines of a console or a table that are kept: as many from the start as from the end
    #[arg(long, value_name = "N", default_value_t = 1000,
          value_parser = clap::value_parser!(u32).range(2..=100_000))]
    lines: u32,
    /// Events of the database that are kept, the oldest
    #[arg(long, value_name = "N", default_value_t = 2000,
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    events: u32,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// What was made, and what was not.
#[derive(Serialize)]
struct Recorded {
    case: String,
    results_dir: String,
    files: Vec<Kept>,
    left_out: Vec<LeftOut>,
    /// Values whose names are secrets'.
    secrets_left_out: usize,
    /// Paths of this machine.
    paths_replaced: usize,
}

#[derive(Serialize)]
struct LeftOut {
    what: String,
    why: &'static str,
}

impl Record {
    pub fn execute(&self) -> anyhow::Result<ExitCode> {
        let dir = project(&self.project)?;
        let roots = Roots::new([existing_parent(&dir)])?;
        let results = which::results(&roots, utf8(&dir)?, self.run.as_deref())?;
        let case = absolute(&self.out)?;
        texts::make_empty(&case)?;
        let recorded = self.record(&dir, &results, &case)?;
        show::result(&recorded, self.json, Recorded::lines);
        Ok(ExitCode::SUCCESS)
    }

    fn record(&self, dir: &Path, results: &Results, case: &Path) -> anyhow::Result<Recorded> {
        let mut private = Private::of(dir);
        let configuration = texts::configuration(dir);
        for file in &configuration {
            texts::learn(file, &mut private);
        }
        let run = results.dir();
        texts::learn(&run.join("core_config.yaml"), &mut private);
        texts::learn_nvram(&run.join("nvram.csv"), &mut private);
        let bounds = Bounds {
            lines: self.lines as usize,
        };
        let (mut files, mut left_out) = (Vec::new(), Vec::new());
        let mut keep = |from: &Path, name: &str| -> anyhow::Result<()> {
            match texts::keep(from, case, name, bounds, &mut private)? {
                Ok(kept) => files.push(kept),
                Err(why) => left_out.push(LeftOut {
                    what: name.to_owned(),
                    why,
                }),
            }
            Ok(())
        };
        for file in &configuration {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            keep(file, &name)?;
        }
        let mut unknown = Vec::new();
        for name in texts::names(run)? {
            match result_files::all().any(|(known, _)| known == name) {
                _ if name.starts_with(result_files::DATABASE) => {}
                true => keep(&run.join(&name), &format!("results/{name}"))?,
                false => unknown.push(name),
            }
        }
        left_out.extend(unknown.into_iter().map(|what| LeftOut {
            what: format!("results/{what}"),
            why: "it is not a result file that Rookery knows",
        }));
        for what in ["base", "static"] {
            if dir.join(what).exists() {
                left_out.push(LeftOut {
                    what: what.to_owned(),
                    why: "the firmware is its owner's",
                });
            }
        }
        if let Some(made) = database::statements(results, self.events, &mut private)? {
            let cut = (made.kept < made.events)
                .then(|| format!("{} of {} events", made.kept, made.events));
            files.push(texts::write(case, "plugins.sql", &made.sql, cut)?);
        }
        files.push(texts::write(case, "case.yaml", CASE, None)?);
        Ok(Recorded {
            case: case.to_string_lossy().into_owned(),
            results_dir: run.to_string_lossy().into_owned(),
            files,
            left_out,
            secrets_left_out: private.secrets_left_out,
            paths_replaced: private.paths_replaced,
        })
    }
}

impl Recorded {
    fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("recorded {} as {}", self.results_dir, self.case)];
        for Kept { file, bytes, cut } in &self.files {
            let cut = cut
                .as_ref()
                .map_or_else(String::new, |cut| format!(", {cut}"));
            lines.push(format!("  {file}  ({bytes} bytes{cut})"));
        }
        for LeftOut { what, why } in &self.left_out {
            lines.push(format!("left out: {what}, because {why}"));
        }
        lines.push(format!(
            "left out: {} values of secrets; replaced: {} paths of this machine",
            self.secrets_left_out, self.paths_replaced
        ));
        lines.push("left out: what programs have read and written (`buffer`)".to_owned());
        lines.push(format!(
            "next: look it over, and then: rookery plugins test my_tool.wasm {}",
            self.case
        ));
        lines
    }
}
