//! `rookery call`: one tool, called from the shell.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use clap::Args;
use rookery_contract::Next;
use rookery_project::Roots;
use rookery_report::command;
use rookery_runtime::{Runtime, Tool};
use rookery_server::Usage;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::interrupt::Interrupt;
use crate::places::{ROOTS, given_or};
use crate::show::{self, Activity};
use crate::toolbox::Toolbox;
use crate::tooling::{Tooling, report};
use crate::{advice, arguments, page};

/// Call a tool, or list the tools
#[derive(Args)]
#[command(after_help = "\
Arguments are one JSON object, or words such as key=value, before which the project or the run \
may stand alone; `-` reads
the object from stdin. Without arguments that a tool needs, it says which it takes.
Tools reach what lies below the roots, and the project that the arguments name.

Example:
  rookery call                                  # lists the tools
  rookery call health dlink-850l
  rookery call set_env '{\"project_dir\": \"dlink-850l\", \"key\": \"id\", \"value\": \"7\"}'")]
pub struct Call {
    /// The tool [default: list all]
    tool: Option<String>,
    /// Its arguments
    arguments: Vec<String>,
    /// A directory below which projects lie; can be given several times [default: the policy's
    /// `roots`, else the current directory] [env: `ROOKERY_ROOT`, separated by `:`]
    #[arg(long = "root", value_name = "DIR")]
    roots: Vec<PathBuf>,
    #[command(flatten)]
    tooling: Tooling,
    /// Print the answer as one JSON object
    #[arg(long)]
    pub json: bool,
}

impl Call {
    pub fn execute(&self) -> anyhow::Result<ExitCode> {
        let policy = self.tooling.policy()?;
        let arguments = arguments::given(&self.arguments)?;
        let mut roots = given_or(&self.roots, ROOTS);
        if roots.is_empty() {
            roots.clone_from(&policy.serve().roots);
        }
        if roots.is_empty() {
            roots = arguments::reach(&arguments, self.tooling.plugins.state())?;
        }
        let roots = Roots::new(roots)?;
        let (config, dirs) = self.tooling.config(policy, roots.clone())?;
        let runtime = Runtime::new(config)?;
        let activity = Activity::new(None, self.json);
        activity.wait_for("loading the tools");
        let loaded = runtime.load(&dirs);
        activity.end();
        report(&loaded);
        let tools = runtime.tools();
        let Some(name) = &self.tool else {
            show::result(&names(&tools), self.json, list);
            return Ok(ExitCode::SUCCESS);
        };
        let toolbox = Toolbox::of(runtime)?;
        let arguments = Arc::new(Value::Object(arguments));
        let violations = toolbox.violations(name, &arguments);
        if let Some(tool) = tools.get(name).filter(|_| !violations.is_empty()) {
            let usage = Usage::new(&tool.definition);
            bail!("{}{}", usage.violated(name, &violations), example(tool));
        }
        let mut answer = self.answer(&toolbox, name, &arguments)?;
        page::add(&toolbox, &roots, name, &mut answer);
        if !self.json {
            advice::value(&mut answer);
        }
        show::result(&answer, self.json, lines);
        Ok(ExitCode::SUCCESS)
    }

    /// Call the tool. Ctrl-c ends the call.
    fn answer(
        &self,
        toolbox: &Toolbox,
        name: &str,
        arguments: &Arc<Value>,
    ) -> anyhow::Result<Value> {
        let cancel = CancellationToken::new();
        let _interrupt = Interrupt::watch({
            let cancel = cancel.clone();
            move || cancel.cancel()
        })?;
        let activity = Activity::new(None, self.json);
        activity.wait_for(name);
        let progress = activity.notes();
        let answer = toolbox.call(name, arguments, cancel, Some(Arc::new(progress)));
        activity.end();
        answer
    }
}

/// Each tool with the first sentence of its description.
fn names(tools: &BTreeMap<String, Arc<Tool>>) -> Map<String, Value> {
    let about = |tool: &Tool| {
        let all = tool.definition["description"].as_str().unwrap_or_default();
        let first = all.split_once(". ").map_or(all, |(first, _)| first);
        Value::from(first.trim_end_matches('.'))
    };
    tools
        .iter()
        .map(|(name, tool)| (name.clone(), about(tool)))
        .collect()
}

fn list(tools: &Map<String, Value>) -> Vec<String> {
    let width = tools.keys().map(String::len).max().unwrap_or(0);
    let line = |(name, about): (&String, &Value)| {
        format!("{name:width$}  {}", about.as_str().unwrap_or_default())
    };
    let mut lines: Vec<String> = tools.iter().map(line).collect();
    lines.push(if lines.is_empty() {
        "no tool is there: `rookery plugins list` says why".to_owned()
    } else {
        "next: rookery call TOOL, which says what the tool takes".to_owned()
    });
    lines
}

/// A call that is right, as a command.
fn example(tool: &Tool) -> String {
    let example = tool.definition.pointer("/examples/0");
    example.map_or_else(String::new, |arguments| {
        let call = Next::call(&tool.name, arguments.clone());
        format!("\nExample: {}", command(&call))
    })
}

/// An answer as YAML, which a person reads more easily than JSON; what to do next at its end.
pub fn lines(answer: &Value) -> Vec<String> {
    let mut answer = answer.clone();
    let next = answer
        .as_object_mut()
        .and_then(|all| all.shift_remove("next"));
    let text = serde_yaml::to_string(&answer).unwrap_or_default();
    let mut lines: Vec<String> = text.trim_end().lines().map(str::to_owned).collect();
    lines.extend(next.and_then(|next| Some(format!("next: {}", next.as_str()?))));
    lines
}
