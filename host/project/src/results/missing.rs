//! Why a result file is missing, and how to get it.

use rookery_contract::shapes::{ResultsState, ResultsStatus};
use serde_json::Value;

use super::directory::Results;
use super::status;
use crate::penguin::plugins::LOGGERS;
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
    let (why, how_to_enable) = match source(file) {
        Some(_) if state == State::NeverRan => (
            "the run left no result files at all".into(),
            "Run the project, and read why it does not start".into(),
        ),
        Some(source) => reason(file, &source, state, &plugins(results)),
        None => (
            format!("{} holds no such file", results.dir.display()),
            "Look with `health` at how the run went, or run the project again".into(),
        ),
    };
    Error::Unavailable(Unavailable {
        what: file.to_owned(),
        why,
        how_to_enable,
    })
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
fn reason(file: &str, source: &Source, state: State, plugins: &Value) -> (String, String) {
    let known = !plugins.is_null();
    let off = |plugin: &&&str| known && !is_on(plugins, plugin);
    if let Some(plugin) = source.plugins.iter().find(off) {
        return (
            format!("the plugin {plugin} was off in this run"),
            enable(&needed(file, plugin), plugins),
        );
    }
    if file == DATABASE && known && LOGGERS.iter().all(|logger| !is_on(plugins, logger)) {
        return (
            "no plugin that logs events was on in this run".into(),
            enable(&["exec_logger", "syscalls_logger"], plugins),
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
        (Some(plugin), ..) if !known => enable(&needed(file, plugin), plugins),
        (_, When::Event(_), _) => "It appears once that happens in a run".to_owned(),
        (_, _, State::Running) => "Wait for the end of the run, or stop it".to_owned(),
        (_, _, State::Died | State::Quiet) => {
            "Look with `console` at the end of console.log for the cause, fix it, and run again; a \
             run that reaches its timeout ends properly"
                .to_owned()
        }
        _ => "Run the project again".to_owned(),
    };
    (format!("{why}{maybe}"), how)
}

/// What to switch on for a file that needs `plugin`.
fn needed<'a>(file: &str, plugin: &'a str) -> Vec<&'a str> {
    if file == DATABASE {
        vec![plugin, "exec_logger", "syscalls_logger"]
    } else {
        vec![plugin]
    }
}

fn enable(names: &[&str], plugins: &Value) -> String {
    let settings: Vec<String> = names
        .iter()
        .filter(|name| !is_on(plugins, name))
        .map(|name| match plugins.get(name) {
            // Switched off by name: an empty setting would leave it so.
            Some(_) => format!("{name}: {{enabled: true}}"),
            None => format!("{name}: {{}}"),
        })
        .collect();
    format!(
        "Enable it with `plugins: {{{}}}` in a patch file of the project (patch_*.yaml), then run \
         again",
        settings.join(", ")
    )
}
