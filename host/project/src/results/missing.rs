//! Why a result file is missing, and how to get it.

use rookery_contract::Next;
use rookery_contract::shapes::{ResultsState, ResultsStatus};
use serde_json::{Value, json};

use super::directory::Results;
use super::status;
use crate::penguin::plugins::{DIAGNOSTICS, LOGGERS};
use crate::penguin::result_files::{DATABASE, PLUGINS, Source, When, source};
use crate::{Error, Unavailable};

/// What the run's state says of a file that it did not leave.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    NeverRan,
    Running,
    Died,
    /// It died, or it is still running without output.
    Quiet,
    /// It ended as it should, or its state is not known.
    Other,
}

impl State {
    fn of(status: Option<&ResultsStatus>) -> Self {
        match status {
            Some(status) if status.perhaps_running => Self::Quiet,
            Some(status) => match status.state {
                ResultsState::NeverRan => Self::NeverRan,
                ResultsState::Running => Self::Running,
                ResultsState::Died => Self::Died,
                ResultsState::Completed | ResultsState::Other(_) => Self::Other,
            },
            None => Self::Other,
        }
    }
}

/// The error for a file that is not there.
pub(super) fn missing(results: &Results, file: &str) -> Error {
    let status = status::status(results).ok();
    let state = State::of(status.as_ref());
    let calls = Calls {
        results,
        run_id: status.and_then(|status| status.run_id),
    };
    let (why, how_to_enable) = match source(file) {
        Some(_) if state == State::NeverRan => (
            "the run left no result files at all".into(),
            format!("Call {}, and read why it does not start", calls.run()),
        ),
        Some(source) => reason(file, &source, state, &plugins(results), &calls),
        None => (
            format!("{} holds no such file", results.dir.display()),
            format!(
                "Call {} for how the run went, or {}",
                calls.of_results("health"),
                calls.run()
            ),
        ),
    };
    Error::Unavailable(Unavailable {
        what: file.to_owned(),
        why,
        how_to_enable,
    })
}

/// The calls that lead on, with the arguments that are known.
struct Calls<'a> {
    results: &'a Results,
    run_id: Option<String>,
}

impl Calls<'_> {
    fn of_project(&self, tool: &str, mut arguments: Value) -> Next {
        if let Some(project) = &self.results.project {
            arguments["project_dir"] = project.to_string_lossy().into();
        }
        Next::call(tool, arguments)
    }

    fn run(&self) -> Next {
        self.of_project("run", json!({}))
    }

    fn of_results(&self, tool: &str) -> Next {
        let dir = self.results.dir.to_string_lossy();
        Next::call(tool, json!({ "results_dir": dir }))
    }

    fn wait(&self) -> String {
        match &self.run_id {
            Some(run_id) => {
                let call = |tool| Next::call(tool, json!({ "run_id": run_id }));
                format!("Call {}, or {}", call("run_wait"), call("run_stop"))
            }
            None => format!(
                "Wait for the end of the run; until then, call {}",
                self.of_results("health")
            ),
        }
    }

    /// Switch plugins on.
    fn enable(&self, plugins: &[&str]) -> String {
        let mut calls = if plugins.iter().all(|name| DIAGNOSTICS.contains(name)) {
            vec![self.of_project("set_config", json!({ "preset": "diagnostics" }))]
        } else {
            let on = |name| {
                let path = format!("plugins.{name}.enabled");
                self.of_project("set_config", json!({ "path": path, "value": true }))
            };
            plugins.iter().map(on).collect()
        };
        calls.push(self.run());
        let calls: Vec<_> = calls.iter().map(ToString::to_string).collect();
        format!("Call {}", calls.join(", then "))
    }
}

/// What `core_plugins.yaml` says: each plugin of the run with its arguments. Null where nothing is
/// known.
fn plugins(results: &Results) -> Value {
    let plugins = results.find_yaml(PLUGINS).ok().flatten();
    plugins
        .filter(|plugins| plugins.as_object().is_some_and(|map| !map.is_empty()))
        .unwrap_or_default()
}

fn is_on(plugins: &Value, plugin: &str) -> bool {
    plugins
        .get(plugin)
        .is_some_and(|arguments| arguments.get("enabled") != Some(&Value::Bool(false)))
}

/// Why a file that runs write is not there, and the way to get it.
fn reason(
    file: &str,
    source: &Source,
    state: State,
    plugins: &Value,
    calls: &Calls<'_>,
) -> (String, String) {
    let known = !plugins.is_null();
    let off = |plugin: &&&str| known && !is_on(plugins, plugin);
    if let Some(plugin) = source.plugins.iter().find(off) {
        return (
            format!("the plugin {plugin} was off in this run"),
            calls.enable(&[plugin]),
        );
    }
    if file == DATABASE && known && LOGGERS.iter().all(|logger| !is_on(plugins, logger)) {
        return (
            "no plugin that logs events was on in this run".into(),
            calls.enable(&["exec_logger", "syscalls_logger"]),
        );
    }
    // Older runs did not say which plugins were on.
    let maybe = match source.plugins.first() {
        Some(plugin) if !known => format!(", or its plugin {plugin} was off"),
        _ => String::new(),
    };
    let why = match (source.when, state) {
        (When::Event(event), _) => event,
        (When::Start, State::Running) => "the run has not ended, and has not written it yet",
        (When::End, State::Running) => "it is written when the run ends, and the run has not ended",
        (When::Start, State::Died) => "the run ended before it was written",
        (When::End, State::Died) => "it is written when a run ends, and this one died",
        (When::End, State::Quiet) => {
            "it is written when a run ends, and this one died or is still running"
        }
        _ => "the run did not write it, or it was removed afterwards",
    };
    let how = match (source.plugins.first(), source.when, state) {
        (Some(plugin), ..) if !known => calls.enable(&[plugin]),
        (_, When::Event(_), _) => format!(
            "It appears once that happens in a run: call {}, or {} for longer",
            calls.of_results("health"),
            calls.run()
        ),
        (_, _, State::Running) => calls.wait(),
        (_, _, State::Died | State::Quiet) => format!(
            "Call {}: the end of console.log tells the cause. Fix it, and run again; a run that \
             reaches its timeout ends properly",
            calls.of_results("console")
        ),
        _ => format!("Call {}", calls.run()),
    };
    (format!("{why}{maybe}"), how)
}
