//! `rookery plugins test`: call a component without a server, on projects made of files.

mod answers;
mod bench;
mod case;
mod database;
mod expect;
mod junit;
mod project;
mod report;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::Args;

use self::bench::Bench;
use self::report::Report;
use crate::places::PluginOptions;
use crate::show;

/// Where cases are that nobody names.
const CASES: &str = "cases";

/// Call a tool as a server would, on projects made of files, and compare its answers
#[derive(Args)]
#[command(after_help = "\
A case is a folder. `case.yaml` (or .json) has `tool`, `arguments`, and what is expected: \
`answer`, or `error` with its
`kind` and `message`. In a text, * is any text, and * alone any value; ... in a list or an object \
is whatever else there is.
Beside it lies what the project `fw` is made of: results/ (files of a run), plugins.sql and \
tables/*.csv (plugins.db),
rootfs/ or rootfs.tar.gz, config.yaml, patch_*.yaml. With answers.yaml, a list of `call`, `with` \
and `answer` or `error`,
no run is started or reached: the functions of `emulation` and `live` answer what stands there.
The tool's own examples are called too, on the first case's project. Exits with 1 if anything \
failed.

Example:
  rookery plugins test my_tool.wasm cases --junit report.xml")]
pub struct Test {
    /// The component
    file: PathBuf,
    /// Folders that are cases or hold some [default: `cases`, if it is there]
    cases: Vec<PathBuf>,
    /// Also write a `JUnit` report
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    #[command(flatten)]
    options: PluginOptions,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

impl Test {
    pub fn execute(&self) -> anyhow::Result<ExitCode> {
        let mut given = self.cases.clone();
        if given.is_empty() && Path::new(CASES).is_dir() {
            given.push(CASES.into());
        }
        let cases = case::folders(&given)?;
        let bench = Bench {
            file: &self.file,
            options: &self.options,
        };
        let mut results: Vec<_> = cases.iter().map(|folder| bench.case(folder)).collect();
        results.extend(bench.examples(cases.first().map(PathBuf::as_path))?);
        ensure!(
            !results.is_empty(),
            "nothing was tried: the tool has no examples, and there is no case; name a folder with \
             cases"
        );
        let report = Report::of(results);
        if let Some(file) = &self.junit {
            std::fs::write(file, junit::text(&self.file, &report))
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
        show::result(&report, self.json, Report::lines);
        Ok(if report.failed == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}
