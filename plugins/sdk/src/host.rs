//! What a tool may ask of the host: one trait for each interface of the contract.
//!
//! A tool takes `&impl Results`, or `&(impl Config + Log)`: exactly the interfaces that it uses. In
//! a component the host is [`Imports`](crate::Imports), and what the tool does not call is not
//! imported; in a test it is a `FakeHost`.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::args::RunSelector;
pub use crate::bindings::rookery::plugin::log::Level;
use crate::error::Result;
use crate::shapes::{
    Capabilities, Change, CommandOutput, EffectiveConfig, Lookup, Matches, NewProject, Patch,
    Reached, ResultsStatus, Rows, RunStatus, Table, Text,
};

/// Interface `log`.
pub trait Log {
    /// Write a line to the server's log, under the tool's name.
    fn log(&self, level: Level, message: &str);
    /// Report progress of this call: `fraction` of the work from 0.0 to 1.0, and what is being
    /// done.
    fn progress(&self, fraction: f64, message: &str);
}

/// Interface `config`.
pub trait Config {
    /// The effective configuration: `config.yaml` and every patch, merged.
    fn effective(&self, project: &str) -> Result<EffectiveConfig>;
    /// One key by its dotted path, and where its value comes from.
    fn lookup(&self, project: &str, path: &str) -> Result<Lookup>;
    /// The patch that changes go to.
    fn patch(&self, project: &str) -> Result<Patch>;
}

/// Interface `config-mutation`. Every change is validated with the whole project before anything is
/// written.
pub trait ConfigMutation {
    /// Merge `fragment`, an object with Penguin's top-level keys, into the patch.
    fn apply(&self, project: &str, fragment: &Value, options: &ApplyOptions) -> Result<Change>;
    /// Take one key out of the patch, by its dotted path.
    fn remove(&self, project: &str, path: &str, dry_run: bool) -> Result<Change>;
    /// Drop the patch, or go back to one of its revisions.
    fn reset(&self, project: &str, to_revision: Option<u64>, dry_run: bool) -> Result<Change>;
}

/// Options of [`ConfigMutation::apply`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ApplyOptions {
    /// Check and show, write nothing.
    pub dry_run: bool,
    /// Dotted paths whose old value in the patch is dropped first.
    pub replace: Vec<String>,
}

/// Interface `creation`.
pub trait Creation {
    /// Make a project directory from a root filesystem archive.
    fn init_project(&self, rootfs: &str, output: &str) -> Result<NewProject>;
}

/// Interface `emulation`.
pub trait Emulation {
    /// Start a run and give its id, within a few seconds. Charged to no budget of the tool, as are
    /// `wait` and `stop`.
    fn start(&self, project: &str, options: &StartOptions) -> Result<String>;
    /// The run status now.
    fn status(&self, run_id: &str) -> Result<RunStatus>;
    /// The run status once it has ended, or after `milliseconds`.
    fn wait(&self, run_id: &str, milliseconds: u32) -> Result<RunStatus>;
    /// Stop the run and keep its results. It may still be in its phase `stopping`.
    fn stop(&self, run_id: &str) -> Result<RunStatus>;
}

/// Options of [`Emulation::start`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StartOptions {
    /// Seconds after which the run ends; by default what the project says (`core.timeout`), else
    /// 60.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<u32>,
    /// `auto`, `user` or `penguin`.
    pub backend: String,
}

/// Interface `results`.
pub trait Results {
    /// An opened result directory.
    type Run: RunResults;
    /// Open a result directory: the one named, else the newest complete run of the project, else
    /// its newest run.
    fn open_results(&self, which: &RunSelector) -> Result<Self::Run>;
}

/// Resource `run-results`: one result directory. A missing file is
/// [`Error::Unavailable`](crate::Error::Unavailable).
pub trait RunResults {
    /// How the run ended and which files it left.
    fn status(&self) -> Result<ResultsStatus>;
    /// A YAML or JSON file.
    fn read_yaml(&self, file: &str) -> Result<Value>;
    /// A CSV file by column name.
    fn read_csv(&self, file: &str, options: &CsvOptions) -> Result<Table>;
    /// Lines that match a regular expression; an empty one matches all.
    fn search(&self, file: &str, pattern: &str, options: &SearchOptions) -> Result<Matches>;
    /// A range of a text file; a negative `offset` counts from the end.
    fn read_text(&self, file: &str, offset: i64, length: u32) -> Result<Text>;
    /// A read-only SQL query on `plugins.db`; `params` is an array or, for `:name`, an object.
    fn query(&self, sql: &str, params: &Value, options: &QueryOptions) -> Result<Rows>;
}

/// Options of [`RunResults::read_csv`].
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct CsvOptions {
    /// The column names of a file without header.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// Column to the values that it may have.
    #[serde(rename = "where", skip_serializing_if = "Map::is_empty")]
    pub only: Map<String, Value>,
    /// At most this many rows; the host's default is 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Leave out this many rows first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<u32>,
}

/// Options of [`RunResults::search`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SearchOptions {
    /// At most this many matches.
    pub limit: u32,
    /// Keep the last matches, not the first.
    pub from_end: bool,
    /// Cut longer lines.
    pub max_line_bytes: u32,
    /// Take capitals and small letters for the same.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub case_insensitive: bool,
    /// Lines to give before and after each match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<u32>,
}

impl SearchOptions {
    /// The newest `limit` matches.
    pub fn newest(limit: u32) -> Self {
        Self {
            limit,
            from_end: true,
            max_line_bytes: 500,
            case_insensitive: false,
            context: None,
        }
    }
}

/// Options of [`RunResults::query`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QueryOptions {
    /// At most this many rows.
    pub limit: u32,
    /// Give up after this long.
    pub timeout_ms: u32,
}

impl QueryOptions {
    /// At most `limit` rows, within ten seconds.
    pub fn rows(limit: u32) -> Self {
        Self {
            limit,
            timeout_ms: 10_000,
        }
    }
}

/// Interface `firmware`.
pub trait Firmware {
    /// An opened root filesystem.
    type Root: RootFilesystem;
    /// Open a project's root filesystem.
    fn open_root_filesystem(&self, project: &str) -> Result<Self::Root>;
}

/// Resource `root-filesystem`: the firmware's files, read-only. Answers have the shapes of
/// `wit/firmware.wit`.
pub trait RootFilesystem {
    /// The entries of a directory; `options` is `{"limit": …, "offset": …}`.
    fn list_directory(&self, path: &str, options: &Value) -> Result<Value>;
    /// One entry, symbolic links followed.
    fn stat(&self, path: &str) -> Result<Value>;
    /// At most 1 MiB of a file.
    fn read(&self, path: &str, offset: u64, length: u32) -> Result<Vec<u8>>;
    /// Files whose path or content matches; `options` is `{"in": "path" | "content", "under": …,
    /// "limit": …}`.
    fn search_files(&self, pattern: &str, options: &Value) -> Result<Value>;
    /// The programs that could be the guest's init, best first.
    fn init_candidates(&self) -> Result<Value>;
}

/// Interface `live`. Answers and requests have the shapes of `wit/live.wit`.
pub trait Live {
    /// What this run's backend offers.
    fn capabilities(&self, run_id: &str) -> Result<Capabilities>;
    /// Run a command inside the guest, without a shell.
    fn command(&self, run_id: &str, argv: &[String], options: &Value) -> Result<CommandOutput>;
    /// Send bytes to a port of the guest.
    fn reach(&self, run_id: &str, port: u16, request: &Value) -> Result<Reached>;
    /// Install a hook on a guest function or syscall.
    fn hook(&self, run_id: &str, request: &Value) -> Result<Value>;
    /// Save or restore the state of the guest.
    fn snapshot(&self, run_id: &str, request: &Value) -> Result<Value>;
}

/// Everything that the host offers.
pub trait Host:
    Log + Config + ConfigMutation + Creation + Emulation + Results + Firmware + Live
{
}

impl<T: Log + Config + ConfigMutation + Creation + Emulation + Results + Firmware + Live> Host
    for T
{
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn options_have_the_contract_s_names_and_leave_defaults_to_the_host() {
        assert_eq!(json!(CsvOptions::default()), json!({}));
        let rows = CsvOptions {
            limit: Some(10),
            offset: Some(20),
            ..CsvOptions::default()
        };
        assert_eq!(json!(rows), json!({ "limit": 10, "offset": 20 }));
        let newest = json!({ "limit": 3, "from_end": true, "max_line_bytes": 500 });
        assert_eq!(json!(SearchOptions::newest(3)), newest);
        let search = SearchOptions {
            case_insensitive: true,
            context: Some(2),
            ..SearchOptions::newest(3)
        };
        assert_eq!(json!(search)["case_insensitive"], true);
        assert_eq!(json!(search)["context"], 2);
    }
}
