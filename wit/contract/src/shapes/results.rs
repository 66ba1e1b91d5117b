//! What `results` gives.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::ResultsState;

/// `run-results.status`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ResultsStatus {
    /// Absolute.
    pub results_dir: String,
    /// The directory's number.
    #[serde(default)]
    pub run: Option<u64>,
    /// `completed`, `died`, `running` or `never-ran`.
    #[schemars(with = "String")]
    pub state: ResultsState,
    /// Why that state was concluded.
    #[serde(default)]
    pub why: Option<String>,
    /// Where this is not the newest run: what became of the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The same as data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newer: Option<NewerRun>,
    /// Of a run that `died`: it may also be still running without output.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub perhaps_running: bool,
    /// The run that wrote it, where one of this machine did.
    #[serde(default)]
    pub run_id: Option<String>,
    /// Of a run that goes on: since its guest started, in seconds, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guest_s: Option<f64>,
    /// The files that are there.
    #[serde(default)]
    pub files: Vec<ResultFile>,
    /// How many there are, where `files` holds fewer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files_total: Option<usize>,
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

/// `results.runs`: the runs of a project, the newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunList {
    /// At most as many as asked for.
    #[serde(default)]
    pub runs: Vec<ListedRun>,
    /// Runs that left a result directory.
    #[serde(default)]
    pub total: u64,
    /// Whether there are more behind `runs`.
    #[serde(default)]
    pub truncated: bool,
}

/// One run of a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListedRun {
    /// The number of its directory.
    pub run: u64,
    /// `completed`, `died`, `running` or `never-ran`.
    #[serde(default)]
    #[schemars(with = "String")]
    pub state: ResultsState,
    /// Absolute.
    #[serde(default)]
    pub results_dir: String,
    /// When its first file was written: RFC 3339 in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<String>,
    /// When its last file was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written: Option<String>,
    /// How many files it left.
    #[serde(default)]
    pub files: u64,
    /// Of a run of Rookery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
}

/// A run that is newer than the one looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NewerRun {
    /// Its number.
    pub run: u64,
    /// `completed`, `died`, `running` or `never-ran`.
    #[serde(default)]
    #[schemars(with = "String")]
    pub state: ResultsState,
    /// Absolute; none where the run left no directory.
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
    /// The lines before it, as many as asked for; none where no context was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Vec<String>>,
    /// The lines after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Vec<String>>,
}

/// `run-results.read-text`: a range of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Text {
    /// Control characters and bytes that are not UTF-8 are escaped.
    #[serde(default)]
    pub text: String,
    /// Where it starts.
    #[serde(default)]
    pub offset: u64,
    /// Where the rest of the file starts.
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
    /// How many rows are here.
    #[serde(default)]
    pub row_count: u64,
    /// Whether the query has more rows.
    #[serde(default)]
    pub truncated: bool,
    /// How long it took.
    #[serde(default)]
    pub elapsed_ms: u64,
}
