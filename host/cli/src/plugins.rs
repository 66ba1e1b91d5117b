//! `rookery plugins`: what is loaded, and whether a file would be.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use rookery_project::Roots;
use rookery_runtime::{LoadReport, Plugin};
use serde_json::{Value, json};

use crate::places::PluginOptions;
use crate::show;

/// What each interface lets a component do.
const ABILITIES: &[(&str, &str)] = &[
    ("config", "reads the configuration of projects"),
    (
        "config-mutation",
        "changes the configuration of projects, in their patch file",
    ),
    ("creation", "makes new projects"),
    ("results", "reads the results of runs"),
    ("firmware", "reads the firmware's files"),
    ("emulation", "starts, watches and stops runs"),
    (
        "live",
        "runs commands in a running guest and talks to its ports",
    ),
    ("log", "writes to the log and reports progress"),
];

/// List plugins, or check files before they are used
#[derive(Subcommand)]
#[command(after_help = "Example:\n  rookery plugins check my_tool.wasm")]
pub enum Plugins {
    List(List),
    Check(Check),
}

/// Show the plugins that `serve` would load, and those it would skip
#[derive(Args)]
#[command(after_help = "Example:\n  rookery plugins list --plugins ./dist/plugins")]
pub struct List {
    #[command(flatten)]
    options: PluginOptions,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Admit files as `serve` would, and say what they can do or why they are refused
#[derive(Args)]
#[command(after_help = "\
Exits with 1 if a file is refused.

Example:
  rookery plugins check my_tool.wasm --policy policy.toml")]
pub struct Check {
    /// Component files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    options: PluginOptions,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Plugins {
    /// Whether scripts read the output.
    pub fn json(&self) -> bool {
        match self {
            Self::List(list) => list.json,
            Self::Check(check) => check.json,
        }
    }

    pub fn execute(&self) -> anyhow::Result<ExitCode> {
        match self {
            Self::List(list) => list.execute(),
            Self::Check(check) => check.execute(),
        }
    }
}

impl List {
    fn execute(&self) -> anyhow::Result<ExitCode> {
        let dirs = self.options.dirs()?;
        let (_, report) = self.options.load(no_roots()?)?;
        show::result(&json!(report), self.json, |_| {
            let mut lines = describe(&report);
            if report.plugins.is_empty() {
                let searched: Vec<_> = dirs.iter().map(|dir| dir.display().to_string()).collect();
                lines.push(format!(
                    "no plugins; searched: {}",
                    if searched.is_empty() {
                        "nowhere (use --plugins DIR)".to_owned()
                    } else {
                        searched.join(", ")
                    }
                ));
            }
            lines
        });
        Ok(ExitCode::SUCCESS)
    }
}

impl Check {
    fn execute(&self) -> anyhow::Result<ExitCode> {
        let mut report = LoadReport::default();
        for file in &self.files {
            match rookery_runtime::check(self.options.config(no_roots()?)?, file) {
                Ok(plugin) => report.plugins.push(plugin),
                Err(rejected) => report.rejected.push(rejected),
            }
        }
        show::result(&json!(report), self.json, |_| describe(&report));
        Ok(if report.rejected.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

/// Checking reaches no project.
fn no_roots() -> anyhow::Result<Roots> {
    Ok(Roots::new(std::env::current_dir())?)
}

fn describe(report: &LoadReport) -> Vec<String> {
    let admitted = report.plugins.iter().flat_map(describe_plugin);
    let refused = report.rejected.iter().flat_map(|rejected| {
        [
            format!("REFUSED {}", rejected.file.display()),
            format!("  {}", rejected.reason),
        ]
    });
    admitted.chain(refused).collect()
}

fn describe_plugin(plugin: &Plugin) -> Vec<String> {
    let mut lines = vec![
        format!("ok {}", plugin.file.display()),
        format!("  tools   {}", plugin.tools.join(", ")),
        format!("  size    {}", size(&plugin.file)),
        format!("  sha256  {}", plugin.digest),
    ];
    let abilities: Vec<String> = plugin
        .imports
        .iter()
        .filter_map(|import| ability(import))
        .collect();
    let nothing = ["computes only: it reaches no project, run or file".to_owned()];
    let abilities = if abilities.is_empty() {
        nothing.as_slice()
    } else {
        &abilities
    };
    lines.extend(
        abilities.iter().enumerate().map(|(i, ability)| {
            format!("  {}  {ability}", if i == 0 { "can   " } else { "      " })
        }),
    );
    lines
}

/// `None` for what gives no ability: shared types.
fn ability(import: &str) -> Option<String> {
    let name = import.rsplit('/').next().unwrap_or(import);
    let name = name.split('@').next().unwrap_or(name);
    match ABILITIES.iter().find(|(known, _)| *known == name) {
        _ if name == "types" => None,
        Some((_, ability)) => Some((*ability).to_owned()),
        None => Some(format!("uses {import}")),
    }
}

fn size(file: &Path) -> String {
    std::fs::metadata(file).map_or_else(
        |_| "-".to_owned(),
        |metadata| format!("{} KiB", metadata.len().div_ceil(1024)),
    )
}

/// For `doctor`: what was loaded from where.
pub fn overview(options: &PluginOptions) -> anyhow::Result<Value> {
    let dirs = options.dirs()?;
    let dirs: Vec<_> = dirs.iter().map(|dir| dir.to_string_lossy()).collect();
    let (runtime, report) = options.load(no_roots()?)?;
    Ok(
        json!({"dirs": dirs, "plugins": report.plugins.len(), "tools": runtime.tools().len(), "rejected": report.rejected}),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_are_told_as_sentences() {
        assert_eq!(
            ability("rookery:plugin/results@0.1.0").as_deref(),
            Some("reads the results of runs")
        );
        assert_eq!(
            ability("live").as_deref(),
            Some("runs commands in a running guest and talks to its ports")
        );
        assert_eq!(ability("types"), None);
        assert_eq!(ability("new-one").as_deref(), Some("uses new-one"));
    }
}
