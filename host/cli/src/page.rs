//! The page of a run, made of its files and of what tools say of it, and told where a run ends.

use std::path::{Path, PathBuf};

use anyhow::Context;
use rookery_project::results::REPORT;
use rookery_project::{Results, Roots, regular};
use rookery_report::{Page, Sources, page};
use rookery_runtime::Runtime;
use serde_json::{Value, json};

use crate::places::project_of;
use crate::toolbox::Toolbox;

/// Files that are listed in the page.
const MISSING_FILES: u32 = 40;
/// What a tool imports that runs firmware.
const RUNNING: &str = "emulation";

/// The page of a run that has just ended, in its result directory.
pub struct PageOfRun {
    pub file: PathBuf,
    /// The command that makes most sense now.
    pub next: Option<String>,
}

/// The page of a run. It lacks what no tool says.
pub fn made(tools: &Toolbox, roots: &Roots, results: &Results) -> anyhow::Result<Page> {
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
    Ok(page(Sources {
        results,
        project: project.as_ref(),
        health: answer("health", health),
        missing_files: answer("missing_files", missing),
    })?)
}

/// Write a page, over one that is there.
pub fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    regular::replace(file, text.as_bytes(), false)
        .with_context(|| format!("cannot write {}", file.display()))
}

/// Write the page of a run that has just ended. The run is no worse without it.
pub fn of_run(tools: &Toolbox, roots: &Roots, results_dir: &str) -> Option<PageOfRun> {
    let make = || {
        let results = roots.results(None, Some(results_dir))?;
        let page = made(tools, roots, &results)?;
        let file = results.dir().join(REPORT);
        write(&file, &page.html)?;
        let next = page.next;
        anyhow::Ok(PageOfRun { file, next })
    };
    make()
        .inspect_err(|error| tracing::warn!("there is no page about the run: {error:#}"))
        .ok()
}

/// Write the page of the run that an answer tells the end of, and name it there: `page`.
pub fn add(tools: &Toolbox, roots: &Roots, tool: &str, answer: &mut Value) {
    let results_dir = ended(tools.runtime(), tool, answer);
    if let Some(page) = results_dir.and_then(|dir| of_run(tools, roots, &dir)) {
        answer["page"] = json!(page.file);
    }
}

/// The result directory of the run that an answer tells the end of, if its tool is one that runs
/// firmware.
pub fn ended(tools: &Runtime, tool: &str, answer: &Value) -> Option<String> {
    let results_dir = told_as_ended(answer)?;
    let tools = tools.tools();
    let imports = &tools.get(tool)?.plugin.imports;
    let runs = imports.iter().any(|import| import == RUNNING);
    runs.then(|| results_dir.to_owned())
}

/// By a run status (`wit/emulation.wit`), or by an answer of `rehost`.
fn told_as_ended(answer: &Value) -> Option<&str> {
    let (status, state) = (answer["status"].as_str(), answer["state"].as_str());
    let has_ended = match status.or(state)? {
        "finished" | "stopped" | "failed" => status.is_some(),
        "reached" | "stuck" | "spent" => status.is_none(),
        _ => false,
    };
    has_ended.then(|| answer["results_dir"].as_str()).flatten()
}

/// Whether the run of a result directory has one before it, to be compared with.
fn has_one_before(results_dir: &Path) -> bool {
    let number = results_dir.file_name().and_then(|name| name.to_str());
    let before = number.and_then(|number| number.parse::<u64>().ok()?.checked_sub(1));
    before.is_some_and(|before| results_dir.with_file_name(before.to_string()).is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_a_run_has_a_page() {
        let dir = "/p/results/0";
        let told = |key: &str, value: &str| json!({ key: value, "results_dir": dir });
        for (answer, expected) in [
            (told("status", "running"), None),
            (told("status", "finished"), Some(dir)),
            (told("status", "stopped"), Some(dir)),
            (told("status", "failed"), Some(dir)),
            // It failed before it had a place for results.
            (json!({"status": "failed"}), None),
            (told("state", "working"), None),
            (told("state", "reached"), Some(dir)),
            (told("state", "stuck"), Some(dir)),
            (told("state", "spent"), Some(dir)),
            (told("verdict", "finished"), None),
            (json!([]), None),
        ] {
            assert_eq!(told_as_ended(&answer), expected, "{answer}");
        }
    }
}
