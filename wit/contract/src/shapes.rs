//! What functions of the host give.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Next;

/// `config.effective`: the configuration that a run would see.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EffectiveConfig {
    /// Every layer merged.
    pub config: Map<String, Value>,
    /// The files that were merged, in order.
    #[serde(default)]
    pub layers: Vec<String>,
    /// What is odd about them.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// `config.lookup`: one key and where its value comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Lookup {
    /// The path, one key an element.
    pub path: Vec<String>,
    /// Its value.
    #[serde(default)]
    pub value: Value,
    /// The last file that sets it.
    pub set_by: Option<String>,
    /// Every file that sets it.
    #[serde(default)]
    pub layers: Vec<Layer>,
}

/// One file that sets a key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Layer {
    /// The file, relative to the project.
    pub file: String,
    /// The value there.
    #[serde(default)]
    pub value: Value,
}

/// `config.patch`: the patch that changes go to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Patch {
    /// Its absolute path.
    pub patch_file: String,
    /// Whether the file is there.
    #[serde(default)]
    pub exists: bool,
    /// What it holds.
    #[serde(default)]
    pub patch: Value,
    /// The same as YAML text.
    #[serde(default)]
    pub yaml: String,
    /// What keeps it from being effective.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Its changes, the newest first.
    #[serde(default)]
    pub history: Vec<Revision>,
    /// The revision before, where the project loads with it.
    #[serde(default)]
    pub undo: Option<u64>,
}

/// One change of the patch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Revision {
    /// Its number, for `reset_patch`.
    pub revision: u64,
    /// When it was made.
    #[serde(default)]
    pub time: String,
    /// What it did.
    #[serde(default)]
    pub change: String,
}

/// What a function of `config-mutation` did; the answer of every change tool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a field of the answer"
)]
pub struct Change {
    /// The project, absolute.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub project_dir: String,
    /// The patch, absolute.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub patch_file: String,
    /// False where the patch already said so.
    #[serde(default)]
    pub changed: bool,
    /// Whether nothing was written.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// The whole patch after the change.
    #[serde(default)]
    #[schemars(with = "Map<String, Value>")]
    pub patch: Value,
    /// What each touched key now is.
    #[serde(default)]
    pub effective: Vec<Effective>,
    /// Its number in the history, for `reset_patch`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    /// What keeps it from being effective.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Whether the project loads with it; where it does not, `warnings` say why.
    #[serde(default = "yes", skip_serializing)]
    #[schemars(skip)]
    pub loads: bool,
    /// Whether an answer leaves parts out; the patch file has all. Set by the tool, as are the
    /// fields below.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    /// How many keys were touched, where `effective` holds fewer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_total: Option<usize>,
    /// What to call next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Next>,
}

fn yes() -> bool {
    true
}

/// What one touched key now is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Effective {
    /// Dotted path.
    pub path: String,
    /// Its value; absent where no layer sets it.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub value: Value,
    /// The last file that sets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_by: Option<String>,
    /// Whether a file that is applied later says otherwise.
    #[serde(default)]
    pub overridden: bool,
}

/// `creation.init-project`: a new project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NewProject {
    /// Its absolute directory.
    pub project_dir: String,
    /// The guest's architecture.
    #[serde(default)]
    pub arch: String,
    /// The init that was chosen.
    pub init: Option<String>,
    /// All that were found, best first.
    #[serde(default)]
    pub init_candidates: Vec<InitCandidate>,
    /// Number of files in the root filesystem.
    #[serde(default)]
    pub files: u64,
    /// What is odd about it.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// A program that could be the guest's init.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InitCandidate {
    /// Guest path.
    pub path: String,
    /// Why it could be.
    #[serde(default)]
    pub why: String,
}

/// `emulation`'s run status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunStatus {
    /// Names the run.
    pub run_id: String,
    /// `running`, `finished`, `stopped` or `failed`.
    pub status: String,
    /// `starting`, `preparing`, `booting`, `serving`, `stopping` or `ended`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// Why it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// `user` or `penguin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// The project, absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_dir: Option<String>,
    /// Where its results are, absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub results_dir: Option<String>,
    /// Seconds since its start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elapsed_s: Option<f64>,
    /// Seconds after which it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<u64>,
    /// Guest ports that can be reached from the host.
    #[serde(default)]
    pub endpoints: Vec<Endpoint>,
    /// What the backend could not honour.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What to call next; set by the tool, not by the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Next>,
}

/// A guest port and where the host reaches it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)]
pub struct Endpoint {
    pub procname: String,
    pub proto: String,
    pub guest_ip: String,
    pub guest_port: u16,
    pub host: String,
    pub host_port: u16,
}

/// `run-results.status`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResultsStatus {
    /// Absolute.
    pub results_dir: String,
    /// The directory's number.
    #[serde(default)]
    pub run: Option<u64>,
    /// `completed`, `died`, `running` or `never-ran`.
    pub state: String,
    /// What that is concluded from.
    #[serde(default)]
    pub why: Option<String>,
    /// Where this is not the newest run: what became of that one.
    #[serde(default)]
    pub note: Option<String>,
    /// The same as data.
    #[serde(default)]
    pub newer: Option<NewerRun>,
    /// Of a run that `died`: it may as well go on and be quiet.
    #[serde(default)]
    pub perhaps_running: bool,
    /// The run that wrote it, where one of this machine did.
    #[serde(default)]
    pub run_id: Option<String>,
    /// The files that are there.
    #[serde(default)]
    pub files: Vec<ResultFile>,
}

impl ResultsStatus {
    /// The absolute path of one of its files.
    pub fn path_of(&self, file: &str) -> String {
        format!("{}/{file}", self.results_dir.trim_end_matches('/'))
    }

    /// The project directory that this result directory lies in (`PROJECT/results/N`).
    pub fn project_dir(&self) -> Option<&str> {
        let (base, _) = self.results_dir.trim_end_matches('/').rsplit_once('/')?;
        base.strip_suffix("/results")
    }

    /// Whether the run left this file.
    pub fn has(&self, file: &str) -> bool {
        self.files.iter().any(|one| one.name == file)
    }
}

/// A run that is newer than the one looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NewerRun {
    /// Its number.
    pub run: u64,
    /// `completed`, `died`, `running` or `never-ran`.
    #[serde(default)]
    pub state: String,
    /// Absolute; none where it left not even a directory.
    #[serde(default)]
    pub results_dir: Option<String>,
}

/// One result file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResultFile {
    /// Plain name.
    pub name: String,
    /// Its size.
    #[serde(default)]
    pub bytes: u64,
}

/// `run-results.read-csv`: rows by column name; every cell is text.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Table {
    /// In file order.
    #[serde(default)]
    pub columns: Vec<String>,
    /// One object a row.
    #[serde(default)]
    pub rows: Vec<Map<String, Value>>,
    /// Rows that match.
    #[serde(default)]
    pub total: u64,
    /// Whether `rows` holds fewer.
    #[serde(default)]
    pub truncated: bool,
}

/// `run-results.search`: matching lines, in file order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Matches {
    /// At most as many as asked for.
    #[serde(default)]
    pub matches: Vec<Match>,
    /// Lines that match.
    #[serde(default)]
    pub total: u64,
    /// Lines of the file.
    #[serde(default)]
    pub lines: u64,
    /// Bytes of the file.
    #[serde(default)]
    pub bytes: u64,
    /// Whether `matches` holds fewer than `total`.
    #[serde(default)]
    pub truncated: bool,
}

/// One matching line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Match {
    /// Counted from 1.
    pub line: u64,
    /// Without its line end.
    #[serde(default)]
    pub text: String,
    /// Whether the line is longer than `text`.
    #[serde(default)]
    pub cut: bool,
    /// The lines before it, as many as asked for.
    #[serde(default)]
    pub before: Vec<String>,
    /// The lines after it.
    #[serde(default)]
    pub after: Vec<String>,
}

/// `run-results.read-text`: a range of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Text {
    /// Control characters and what is no UTF-8 escaped.
    #[serde(default)]
    pub text: String,
    /// Where it starts.
    #[serde(default)]
    pub offset: u64,
    /// Where to go on.
    #[serde(default)]
    pub next_offset: u64,
    /// Bytes of the file.
    #[serde(default)]
    pub bytes: u64,
}

/// `run-results.query`: the rows of a query.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rows {
    /// Names, as the database gives them; they may repeat.
    #[serde(default)]
    pub columns: Vec<String>,
    /// One array a row.
    #[serde(default)]
    pub rows: Vec<Vec<Value>>,
    /// How many are here.
    #[serde(default)]
    pub row_count: u64,
    /// Whether the query has more.
    #[serde(default)]
    pub truncated: bool,
    /// How long it took.
    #[serde(default)]
    pub elapsed_ms: u64,
}

/// `live.capabilities`: what a run's backend offers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, clippy::struct_excessive_bools)]
pub struct Capabilities {
    #[serde(default)]
    pub command: bool,
    #[serde(default)]
    pub reach: bool,
    #[serde(default)]
    pub hook: bool,
    #[serde(default)]
    pub snapshot: bool,
    /// Why one is not there.
    #[serde(default)]
    pub why: Map<String, Value>,
}

/// `live.command`: how a command in the guest ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)]
pub struct CommandOutput {
    pub exit_code: Option<i32>,
    pub signal: Option<i32>,
    #[serde(default)]
    pub stdout: String,
    #[serde(default)]
    pub stderr: String,
    #[serde(default)]
    pub truncated: bool,
    #[serde(default)]
    pub timed_out: bool,
}

/// `live.reach`: what a guest port answered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)]
pub struct Reached {
    #[serde(default)]
    pub connected: bool,
    #[serde(default)]
    pub received: Received,
    #[serde(default)]
    pub truncated: bool,
    /// Why nothing more came, where something went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Bytes from the guest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Received {
    /// As text; what is no UTF-8 is replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// How many.
    #[serde(default)]
    pub bytes: u64,
}
