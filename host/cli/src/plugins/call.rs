//! `rookery plugins call`: one component, called on a project.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use rookery_project::Roots;
use rookery_runtime::{Failure, FailureKind, ProgressSink, Success, Usage};
use serde::Serialize;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::one::{One, used};
use crate::interrupt::Interrupt;
use crate::places::{PluginOptions, project, utf8};
use crate::show::{self, Activity};
use crate::{advice, arguments};

/// Call a tool of a component that is not installed, and say what the call used
#[derive(Args)]
#[command(after_help = "\
The component is admitted and called as a server would, by the policy and within the budgets. \
Arguments are typed as for `rookery call`.

Example:
  rookery plugins call my_tool.wasm '{\"limit\": 5}' --project dlink-850l")]
pub struct Call {
    /// The component
    file: PathBuf,
    /// The tool's arguments
    arguments: Vec<String>,
    #[command(flatten)]
    subject: Subject,
    #[command(flatten)]
    options: PluginOptions,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Which tool of a component, and of what.
#[derive(Args, Clone)]
pub(super) struct Subject {
    /// Which tool of the component, where it has several
    #[arg(long)]
    tool: Option<String>,
    /// The project that the tool works on: its argument `project_dir`
    #[arg(long, value_name = "DIR")]
    project: Option<PathBuf>,
}

/// What came of a call.
#[derive(Serialize)]
pub(super) struct Called {
    tool: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Told>,
    usage: Usage,
}

#[derive(Serialize)]
struct Told {
    kind: FailureKind,
    message: String,
}

impl Call {
    pub fn execute(&self) -> anyhow::Result<ExitCode> {
        let arguments = arguments::given(&self.arguments)?;
        let cancel = CancellationToken::new();
        let _interrupt = Interrupt::watch({
            let cancel = cancel.clone();
            move || cancel.cancel()
        })?;
        let activity = Activity::new(None, self.json);
        activity.wait_for("calling the tool");
        let progress = Arc::new(activity.notes());
        let called =
            self.subject
                .call(&self.file, arguments, &self.options, cancel, Some(progress));
        activity.end();
        let called = called?;
        show::result(&called, self.json, Called::lines);
        Ok(called.code())
    }
}

impl Subject {
    /// Admit the component in `file`, and call its tool.
    pub(super) fn call(
        &self,
        file: &Path,
        mut arguments: Map<String, Value>,
        options: &PluginOptions,
        cancel: CancellationToken,
        progress: ProgressSink,
    ) -> anyhow::Result<Called> {
        let project = self.project.as_deref().map(project).transpose()?;
        if let Some(project) = &project {
            arguments.insert("project_dir".to_owned(), utf8(project)?.into());
        }
        let roots = Roots::new(arguments::reach(&arguments, options.state())?)?;
        let one = One::admit(file, options, roots, None)?;
        let tool = one.tool(self.tool.as_deref())?;
        let answer = one.call(&tool, Value::Object(arguments), cancel, progress)?;
        Ok(Called::of(tool, answer))
    }
}

impl Called {
    fn of(tool: String, answer: Result<Success, Failure>) -> Self {
        match answer {
            Ok(Success { output, usage }) => Self {
                tool,
                answer: Some(output),
                error: None,
                usage,
            },
            Err(Failure {
                kind,
                message,
                usage,
            }) => Self {
                tool,
                answer: None,
                error: Some(Told { kind, message }),
                usage,
            },
        }
    }

    /// Of the command that made the call.
    fn code(&self) -> ExitCode {
        if self.error.is_none() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }

    /// For people: the answer, or why there is none, and what it took.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = match (&self.answer, &self.error) {
            (Some(answer), _) => {
                let mut answer = answer.clone();
                advice::value(&mut answer);
                crate::call::lines(&answer)
            }
            (None, Some(Told { kind, message })) => vec![format!("error: {kind}: {message}")],
            (None, None) => Vec::new(),
        };
        lines.push(format!("used: {}", used(&self.usage)));
        lines
    }
}
