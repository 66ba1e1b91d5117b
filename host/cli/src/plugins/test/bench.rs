//! Calls of the component, each in a runtime of its own: the roots are a runtime's.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rookery_project::Roots;
use rookery_runtime::{Failure, FailureKind, StandIn, Success, Usage};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::answers::Answers;
use super::case::{Case, Expected};
use super::expect::{Difference, differences};
use super::project;
use super::report::{Outcome, Tried};
use crate::places::PluginOptions;
use crate::plugins::one::One;

/// What the calls have in common.
pub(super) struct Bench<'a> {
    pub(super) file: &'a Path,
    pub(super) options: &'a PluginOptions,
}

impl Bench<'_> {
    /// Try the case in `folder`.
    pub(super) fn case(&self, folder: &Path) -> Tried {
        let name = folder.file_name().unwrap_or(folder.as_os_str());
        let name = name.to_string_lossy().into_owned();
        self.try_case(folder)
            .unwrap_or_else(|error| Outcome::unable(&error))
            .named(name)
    }

    fn try_case(&self, folder: &Path) -> anyhow::Result<Outcome> {
        let case = Case::read(folder)?;
        let root = tempfile::tempdir()?;
        project::make(Some(folder), &root.path().join(project::NAME))?;
        let answers = Answers::read(folder)?.map(Arc::new);
        let one = self.admit(&root, answers.clone())?;
        let tool = one.tool(case.tool.as_deref())?;
        let expected = case.expected();
        let answer = call(&one, &tool, Value::Object(case.arguments))?;
        let complaints = answers.map_or_else(Vec::new, |answers| answers.complaints());
        Ok(judged(&expected, answer).but(complaints))
    }

    /// Try the examples of every tool, on the project of the case in `folder`.
    pub(super) fn examples(&self, folder: Option<&Path>) -> anyhow::Result<Vec<Tried>> {
        let root = tempfile::tempdir()?;
        let one = self.admit(&root, None)?;
        let mut tried = Vec::new();
        for tool in &one.tools {
            let definition = one.definition(tool);
            let examples = definition
                .as_ref()
                .and_then(|all| all["examples"].as_array());
            for (index, example) in examples.into_iter().flatten().enumerate() {
                let root = tempfile::tempdir()?;
                let outcome = self
                    .try_example(tool, example, folder, &root)
                    .unwrap_or_else(|error| Outcome::unable(&error));
                tried.push(outcome.named(format!("example {} of {tool}", index + 1)));
            }
        }
        Ok(tried)
    }

    fn try_example(
        &self,
        tool: &str,
        example: &Value,
        folder: Option<&Path>,
        root: &TempDir,
    ) -> anyhow::Result<Outcome> {
        for project in projects(example) {
            project::make(folder, &root.path().join(project))?;
        }
        let answers = folder.map(Answers::read).transpose()?.flatten();
        let one = self.admit(root, answers.map(Arc::new))?;
        let answer = call(&one, tool, example.clone())?;
        Ok(match answer {
            // What the project does not have is no defect of the tool.
            Err(failure) if is_defect(failure.kind) => {
                Outcome::failed(failure.message, Vec::new(), failure.usage)
            }
            Err(failure) => Outcome::passed(Some(failure.message), failure.usage),
            Ok(success) => Outcome::passed(None, success.usage),
        })
    }

    /// The component, for projects below `root`.
    fn admit(&self, root: &TempDir, answers: Option<Arc<Answers>>) -> anyhow::Result<One> {
        let roots = Roots::new([root.path().to_owned()])?;
        let stand_in = answers.map(|answers| -> Arc<dyn StandIn> { answers });
        One::admit(self.file, self.options, roots, stand_in)
    }
}

/// The projects that an example names. It is not followed out of the root.
fn projects(example: &Value) -> Vec<PathBuf> {
    let named = example["project_dir"].as_str().map(PathBuf::from);
    let is_below = |path: &PathBuf| {
        let mut parts = path.components();
        parts.all(|part| matches!(part, Component::Normal(_)))
    };
    named.into_iter().filter(is_below).collect()
}

/// A failure that is the tool's own fault, when it is called as its own example says.
fn is_defect(kind: FailureKind) -> bool {
    !matches!(
        kind,
        FailureKind::NotFound
            | FailureKind::Unavailable
            | FailureKind::Conflict
            | FailureKind::Denied
            | FailureKind::Limit
            | FailureKind::Backend
            | FailureKind::Other
    )
}

fn call(one: &One, tool: &str, arguments: Value) -> anyhow::Result<Result<Success, Failure>> {
    one.call(tool, arguments, CancellationToken::new(), None)
}

fn judged(expected: &Expected, answer: Result<Success, Failure>) -> Outcome {
    match (expected, answer) {
        (Expected::Answer(expected), Ok(Success { output, usage })) => {
            compared(&differences(expected, &output), "the answer differs", usage)
        }
        (Expected::Error(expected), Err(failure)) => {
            let mut expected = expected.clone();
            // Either may be left out.
            if let Some(members) = expected.as_object_mut() {
                members.insert("...".to_owned(), Value::Bool(true));
            }
            let got = json!({"kind": failure.kind, "message": failure.message});
            compared(
                &differences(&expected, &got),
                "the error differs",
                failure.usage,
            )
        }
        (Expected::Answer(_), Err(failure)) => {
            let why = format!("it failed ({}): {}", failure.kind, failure.message);
            Outcome::failed(why, Vec::new(), failure.usage)
        }
        (Expected::Error(_), Ok(Success { output, usage })) => {
            let why = format!("it answered, and an error was expected: {output}");
            Outcome::failed(why, Vec::new(), usage)
        }
    }
}

fn compared(found: &[Difference], why: &str, usage: Usage) -> Outcome {
    if found.is_empty() {
        return Outcome::passed(None, usage);
    }
    let lines = found.iter().map(ToString::to_string).collect();
    Outcome::failed(why.to_owned(), lines, usage)
}
