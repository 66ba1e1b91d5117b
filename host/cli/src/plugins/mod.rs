//! `rookery plugins`: what is loaded, and whether a file would be.

mod call;
mod compile;
mod componentize;
mod dev;
mod lock;
mod new;
mod one;
mod record;
mod test;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use rookery_project::Roots;
use rookery_report::word;
use rookery_runtime::{Interface, LoadReport, Plugin, Rejected, Runtime};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::places::PluginOptions;
use crate::policy::Served;
use crate::show;

/// Make, test and check tools of your own, and list those that are there
#[derive(Subcommand)]
#[command(after_help = "Example:\n  rookery plugins check my_tool.wasm")]
pub enum Plugins {
    New(new::New),
    Test(test::Test),
    Call(call::Call),
    Dev(dev::Dev),
    Record(record::Record),
    List(List),
    Check(Check),
    Lock(lock::Lock),
    Compile(compile::Compile),
    Componentize(componentize::Componentize),
}

/// Show the plugins that `serve` would load, and those it would skip
#[derive(Args)]
#[command(after_help = "\
A plugin that is new is compiled and asked for its tools now, so that a server lists it at once.

Example:
  rookery plugins list --plugins ./dist/plugins")]
pub struct List {
    #[command(flatten)]
    options: PluginOptions,
    #[command(flatten)]
    served: Served,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Check files as `serve` would, together with the plugins that it loads, and say what each can do
/// or why it is refused
#[derive(Args)]
#[command(after_help = "\
Exits with 1 if a file is refused. What comes of it is kept, so that a server lists an admitted \
plugin at once; a file that was refused
before is tried again.

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
            Self::Lock(lock) => lock.json,
            Self::Compile(compile) => compile.json,
            Self::Componentize(componentize) => componentize.json,
            Self::New(new) => new.json,
            Self::Test(test) => test.json,
            Self::Call(call) => call.json,
            Self::Dev(_) => false,
            Self::Record(record) => record.json,
        }
    }

    pub fn execute(&self) -> anyhow::Result<ExitCode> {
        match self {
            Self::List(list) => list.execute(),
            Self::Check(check) => check.execute(),
            Self::Lock(lock) => lock.execute(),
            Self::Compile(compile) => compile.execute(),
            Self::Componentize(componentize) => componentize.execute(),
            Self::New(new) => new.execute(),
            Self::Test(test) => test.execute(),
            Self::Call(call) => call.execute(),
            Self::Dev(dev) => dev.execute(),
            Self::Record(record) => record.execute(),
        }
    }
}

impl List {
    fn execute(&self) -> anyhow::Result<ExitCode> {
        let policy = self.options.policy().read()?;
        let dirs = self.options.dirs(&policy)?;
        let mut config = self.options.config(a_root()?, policy)?;
        self.served.apply(&mut config)?;
        let report = Runtime::new(config)?.load(&dirs);
        show::result(&report, self.json, |report| {
            let mut lines = describe(report);
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
            lines.push("next: rookery call, which lists the tools".to_owned());
            lines
        });
        Ok(ExitCode::SUCCESS)
    }
}

/// What is printed with `--json`: the report, and each tool as agents read it.
#[derive(Serialize)]
struct Checked<'a> {
    #[serde(flatten)]
    report: &'a LoadReport,
    read_by_agents: Map<String, Value>,
}

impl Check {
    fn execute(&self) -> anyhow::Result<ExitCode> {
        let policy = self.options.policy().read()?;
        let dirs = self.options.dirs(&policy)?;
        let runtime = Runtime::new(self.options.config(a_root()?, policy)?)?;
        let report = runtime.check(&dirs, &self.files);
        let shown: Map<String, Value> = report
            .plugins
            .iter()
            .flat_map(Plugin::served)
            .map(|tool| Ok((tool.clone(), read_by_agents(&runtime, tool)?)))
            .collect::<anyhow::Result<_>>()?;
        let checked = Checked {
            report: &report,
            read_by_agents: shown,
        };
        show::result(&checked, self.json, |checked| {
            let mut lines = describe(checked.report);
            for (tool, definition) in &checked.read_by_agents {
                lines.push(format!("what an agent reads of {tool}:"));
                leaves(definition, "", &mut lines);
            }
            let file = self.files.first().map(|file| word(&file.to_string_lossy()));
            let file = file.unwrap_or_default();
            lines.push(if checked.report.rejected.is_empty() {
                format!("next: rookery plugins test {file}")
            } else {
                format!("next: rookery plugins check {file}, once that is mended")
            });
            lines
        });
        Ok(if report.rejected.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

/// A tool as tools/list gives it, and its examples, which stand in the answer to wrong arguments.
fn read_by_agents(runtime: &Runtime, tool: &str) -> anyhow::Result<Value> {
    let tools = runtime.tools();
    let definition = &tools
        .get(tool)
        .with_context(|| format!("the tool {tool} is not there"))?
        .definition;
    let mut listed = rookery_server::listed(tool, definition)?;
    if let Some(examples) = definition.get("examples") {
        listed["examples"] = examples.clone();
    }
    Ok(listed)
}

/// Every value by its JSON pointer, one a line: a text cannot pass for another line.
fn leaves(value: &Value, at: &str, lines: &mut Vec<String>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, member) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                leaves(member, &format!("{at}/{name}"), lines);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (n, item) in items.iter().enumerate() {
                leaves(item, &format!("{at}/{n}"), lines);
            }
        }
        leaf => lines.push(format!("  {at}  {leaf}")),
    }
}

/// Loading reaches no project, but a runtime has a root.
fn a_root() -> anyhow::Result<Roots> {
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
    let warnings = report
        .warnings
        .iter()
        .map(|warning| format!("warning: {warning}"));
    admitted.chain(refused).chain(warnings).collect()
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
    for withheld in &plugin.withheld {
        lines.push(format!(
            "  not served: {}: {}",
            withheld.tool, withheld.reason
        ));
    }
    lines.extend(
        abilities.iter().enumerate().map(|(i, ability)| {
            format!("  {}  {ability}", if i == 0 { "can   " } else { "      " })
        }),
    );
    lines
}

/// `None` for what gives no ability: shared types.
fn ability(import: &str) -> Option<String> {
    match Interface::from_name(import) {
        Some(Interface::Types) => None,
        Some(interface) => Some(interface.ability().to_owned()),
        None => Some(format!("use {import}")),
    }
}

fn size(file: &Path) -> String {
    std::fs::metadata(file).map_or_else(
        |_| "-".to_owned(),
        |metadata| format!("{} KiB", metadata.len().div_ceil(1024)),
    )
}

/// For `doctor`: what was loaded from where.
#[derive(Serialize)]
pub struct Overview {
    dirs: Vec<String>,
    pub plugins: usize,
    pub tools: usize,
    pub rejected: Vec<Rejected>,
    pub warnings: Vec<String>,
}

pub fn overview(options: &PluginOptions) -> anyhow::Result<Overview> {
    let dirs = options.dirs(&options.policy().read()?)?;
    let dirs = dirs.iter().map(|dir| dir.to_string_lossy().into_owned());
    let dirs = dirs.collect();
    let (runtime, report) = options.load(a_root()?)?;
    Ok(Overview {
        dirs,
        plugins: report.plugins.len(),
        tools: runtime.tools().len(),
        rejected: report.rejected,
        warnings: report.warnings,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_are_told_as_abilities() {
        assert_eq!(
            ability("results").as_deref(),
            Some("read what runs left behind")
        );
        assert_eq!(ability("types"), None);
        assert_eq!(ability("new-one").as_deref(), Some("use new-one"));
    }
}
