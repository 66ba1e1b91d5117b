//! What the result files say, each of which may be missing.

use rookery_plugin::args::RunSelector;
use rookery_plugin::shapes::{InitCandidate, ResultsStatus};
use rookery_plugin::{
    Firmware, Result, Results, RootFilesystem, RunResults, SearchOptions, optional,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::panic::Panic;

/// Lines of the console's end that are shown.
const TAIL: u32 = 5;
/// Notes that are shown.
const NOTES: usize = 10;
/// Init candidates that are shown.
const CANDIDATES: usize = 5;

/// Everything that findings are drawn from.
pub struct Evidence {
    pub project_dir: Option<String>,
    pub status: ResultsStatus,
    pub record: Record,
    pub summary: Summary,
    pub counters: Map<String, Value>,
    pub crashes: Option<Vec<Crash>>,
    pub panic: Option<Panic>,
    pub console_tail: Vec<String>,
    /// Paths in `pseudofiles_failures.yaml`, with how many crash their callers.
    pub failures: Option<(usize, usize)>,
    /// Names in `env_missing.yaml`.
    pub missing_env: Option<usize>,
    /// Looked for only where init is in question.
    pub init_candidates: Vec<InitCandidate>,
}

/// `rookery_run.json`, which Rookery's own backends leave.
#[derive(Default)]
pub struct Record {
    pub run_id: Option<String>,
    pub backend: Option<String>,
    pub init: Option<String>,
    pub outcome: Option<String>,
    /// The guest ended by itself, before the deadline.
    pub guest_ended: bool,
    pub notes: Vec<String>,
}

/// `summary.json`, which is there only if the run completed.
#[derive(Default, Deserialize)]
pub struct Summary {
    #[serde(default)]
    pub score: Option<f64>,
    #[serde(default)]
    pub panic: bool,
    #[serde(default)]
    pub binds: Option<Vec<Bind>>,
}

#[derive(Deserialize)]
pub struct Bind {
    #[serde(default)]
    pub state: Option<String>,
}

/// One record of `crashes.yaml`.
#[derive(Deserialize)]
pub struct Crash {
    #[serde(default)]
    pub proc: String,
    #[serde(default)]
    pub signame: String,
    #[serde(default)]
    pub count: u64,
}

impl Evidence {
    pub fn gather(host: &(impl Results + Firmware), which: &RunSelector) -> Result<Self> {
        let run = host.open_results(which)?;
        let status = run.status()?;
        let project_dir = which
            .project_dir
            .clone()
            .or_else(|| status.project_dir().map(str::to_owned));
        let record = record(&optional(run.read_yaml("rookery_run.json"))?.unwrap_or_default());
        let panic = optional(run.search("console.log", "Kernel panic", &SearchOptions::newest(1)))?
            .and_then(|found| found.matches.into_iter().next_back())
            .map(|line| Panic::read(&line.text));
        let tail = optional(run.search(
            "console.log",
            "",
            &SearchOptions {
                max_line_bytes: 200,
                ..SearchOptions::newest(TAIL)
            },
        ))?;
        let in_question = panic.as_ref().is_some_and(Panic::is_of_init) || record.guest_ended;
        Ok(Self {
            init_candidates: if in_question {
                candidates(host, project_dir.as_deref())
            } else {
                Vec::new()
            },
            summary: read(&run, "summary.json")?.unwrap_or_default(),
            counters: read(&run, "health_final.yaml")?.unwrap_or_default(),
            crashes: optional(run.read_yaml("crashes.yaml"))?
                .and_then(|mut file| typed(file.get_mut("crashes")?.take())),
            failures: optional(run.read_yaml("pseudofiles_failures.yaml"))?
                .as_ref()
                .and_then(Value::as_object)
                .map(failures),
            missing_env: optional(run.read_yaml("env_missing.yaml"))?
                .as_ref()
                .and_then(Value::as_array)
                .map(Vec::len),
            console_tail: tail
                .map(|tail| tail.matches.into_iter().map(|line| line.text).collect())
                .unwrap_or_default(),
            project_dir,
            status,
            record,
            panic,
        })
    }

    /// Arguments that name this run.
    pub fn results(&self) -> Value {
        json!({ "results_dir": self.status.results_dir })
    }

    /// The same, and `more`.
    pub fn results_and(&self, name: &str, value: Value) -> Value {
        let mut arguments = self.results();
        if let Some(arguments) = arguments.as_object_mut() {
            arguments.insert(name.to_owned(), value);
        }
        arguments
    }

    /// Sockets that were up when the run ended.
    pub fn listening(&self) -> Option<usize> {
        let listens = |bind: &&Bind| {
            bind.state
                .as_deref()
                .is_none_or(|state| state == "listening")
        };
        self.summary
            .binds
            .as_ref()
            .map(|binds| binds.iter().filter(listens).count())
    }
}

fn typed<T: DeserializeOwned>(value: Value) -> Option<T> {
    serde_json::from_value(value).ok()
}

/// A file of a known shape; one of another shape counts as missing.
fn read<T: DeserializeOwned>(run: &impl RunResults, file: &str) -> Result<Option<T>> {
    Ok(optional(run.read_yaml(file))?.and_then(typed))
}

fn record(file: &Value) -> Record {
    let text = |name: &str| file.get(name).and_then(Value::as_str).map(str::to_owned);
    let outcome = file
        .get("outcome")
        .map_or(&Value::Null, |outcome| {
            outcome.get("outcome").unwrap_or(outcome)
        })
        .as_str();
    let notes = file
        .get("notes")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    Record {
        run_id: text("run_id"),
        backend: text("backend"),
        init: text("init"),
        outcome: text("reason").or_else(|| outcome.map(str::to_owned)),
        guest_ended: outcome == Some("guest-ended"),
        notes: notes.take(NOTES).map(str::to_owned).collect(),
    }
}

fn failures(file: &Map<String, Value>) -> (usize, usize) {
    let crashes = |entry: &&Value| {
        entry
            .pointer("/impact/crashing_callers")
            .and_then(Value::as_u64)
            .is_some_and(|count| count > 0)
    };
    (file.len(), file.values().filter(crashes).count())
}

/// Other programs that could be init. A project whose firmware cannot be read has none to offer; that spoils nothing else.
fn candidates(host: &impl Firmware, project: Option<&str>) -> Vec<InitCandidate> {
    let found = project
        .and_then(|project| host.open_root_filesystem(project).ok())
        .and_then(|root| root.init_candidates().ok());
    let candidates: Vec<InitCandidate> = found
        .and_then(|mut found| typed(found.get_mut("candidates")?.take()))
        .unwrap_or_default();
    candidates.into_iter().take(CANDIDATES).collect()
}
