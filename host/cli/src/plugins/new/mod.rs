//! `rookery plugins new`: a project that builds, with a test that passes, from this program alone.

mod asking;
pub mod bindings;
mod files;
mod language;
mod needs;
mod sdk;
mod tree;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use clap::Args;
use rookery_runtime::check_name;
use serde::Serialize;

use self::language::Language;
use self::needs::Need;
use self::tree::Files;
use crate::places::{absolute, built_in};
use crate::show;

/// Make a folder with a new tool: it builds, answers, and has a test
#[derive(Args)]
#[command(after_help = "\
All that the tool is built against is written into the folder: the contract, for Rust the SDK, for \
C and Go the bindings.
Compilers and generators come from where their language has them; what this machine lacks is named.

Example:
  rookery plugins new flash_report --lang rust && cd flash_report && make test")]
pub struct New {
    /// The tool's name, which the folder has too: small letters, digits and `_`
    name: Option<String>,
    /// Its language
    #[arg(long, value_enum)]
    lang: Option<Language>,
    /// TypeScript in place of JavaScript
    #[arg(long)]
    typescript: bool,
    /// The folder, which must not exist or be empty [default: the name]
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Serialize)]
struct Made {
    tool: String,
    dir: String,
    files: Vec<String>,
    missing: Vec<Need>,
}

impl New {
    pub fn execute(&self) -> anyhow::Result<ExitCode> {
        let name = self.name.clone().map_or_else(asking::name, Ok)?;
        let language = self.lang.map_or_else(asking::language, Ok)?;
        check_name(&name, built_in().as_deref()).map_err(anyhow::Error::msg)?;
        language.check_name(&name)?;
        let language = match (language, self.typescript) {
            (Language::Javascript, true) => Language::Typescript,
            (_, true) if language != Language::Typescript => {
                bail!("--typescript goes with --lang javascript")
            }
            _ => language,
        };
        let output = self.output.clone().unwrap_or_else(|| name.clone().into());
        let dir = absolute(&output)?;
        let files = files::of(&name, language)?;
        write(&dir, &files)?;
        let made = Made {
            tool: name,
            dir: dir.to_string_lossy().into_owned(),
            files: files.into_keys().collect(),
            missing: needs::missing(language),
        };
        show::result(&made, self.json, |made| {
            let (tool, dir) = (&made.tool, &made.dir);
            let mut lines = vec![format!("made the tool {tool} in {dir}")];
            for need in &made.missing {
                lines.push(format!("missing: {}; get it: {}", need.what, need.how));
            }
            lines.push(format!("next: cd {} && make test", output.display()));
            lines
        });
        Ok(ExitCode::SUCCESS)
    }
}

/// What is there is not touched.
fn write(dir: &Path, files: &Files) -> anyhow::Result<()> {
    let shown = dir.display();
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {shown}"))?;
    let is_empty = std::fs::read_dir(dir)?.next().is_none();
    ensure!(
        is_empty,
        "{shown} is not empty; name another folder with --output"
    );
    for (path, bytes) in files {
        let file = dir.join(path);
        let folder = file.parent().unwrap_or(dir);
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&file, bytes))
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}
