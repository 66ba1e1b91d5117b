//! What a tool may ask of the host: one trait for each interface of the contract.
//!
//! A tool takes `&impl Results`, or `&(impl Config + Log)`: exactly the interfaces that it uses. In
//! a component the host is [`Imports`](crate::Imports), and what the tool does not call is not
//! imported; in a test it is a `FakeHost`.

pub use rookery_contract::options::{
    ApplyOptions, CommandOptions, CsvOptions, FindOptions, HookOptions, HookOutputOptions,
    HttpOptions, InitOptions, ListOptions, Maker, NoteOptions, Payload, Place, PluginOp,
    PluginOptions, QueryOptions, ReachOptions, RemoveOptions, ResetOptions, RunListOptions,
    SearchOptions, SetOptions, SnapshotAction, SnapshotOptions, StartOptions, StringOptions,
    SymbolOptions, UnhookOptions, WaitOptions, WhichSymbols,
};
use serde_json::Value;

use crate::args::RunSelector;
pub use crate::bindings::rookery::plugin::log::Level;
use crate::error::Result;
use crate::shapes::{
    Capabilities, Change, CommandOutput, EffectiveConfig, FileStat, FoundFiles, HookOutput, Hooked,
    Hooks, HttpAnswer, InitCandidates, Listing, Lookup, Matches, NewProject, Note, Patch,
    PluginControl, Reached, ResultsStatus, Rows, RunList, RunStatus, Snapshots, Snapshotted,
    Strings, Symbols, Table, Text, Unhooked,
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
    /// Set one key of the patch, by its dotted path.
    fn set(&self, project: &str, path: &str, value: &Value, dry_run: bool) -> Result<Change>;
    /// Take one key out of the patch, by its dotted path.
    fn remove(&self, project: &str, path: &str, dry_run: bool) -> Result<Change>;
    /// Drop the patch, or go back to one of its revisions.
    fn reset(&self, project: &str, to_revision: Option<u64>, dry_run: bool) -> Result<Change>;
}

/// Interface `creation`.
pub trait Creation {
    /// Make a project directory from a root filesystem archive.
    fn init_project(&self, rootfs: &str, output: &str) -> Result<NewProject> {
        self.make_project(rootfs, output, &InitOptions::default())
    }
    /// The same, made by who is named.
    fn make_project(&self, rootfs: &str, output: &str, options: &InitOptions)
    -> Result<NewProject>;
}

/// Interface `binaries`: programs and libraries of the firmware, looked into.
pub trait Binaries {
    /// The symbols of an ELF file.
    fn symbols(&self, project: &str, path: &str, options: &SymbolOptions) -> Result<Symbols>;
    /// Runs of printable characters in any file.
    fn strings(&self, project: &str, path: &str, options: &StringOptions) -> Result<Strings>;
}

/// Interface `notes`: what this component keeps of a project between its calls.
pub trait Notes {
    /// The note of this name; null, of revision 0, where it is not there.
    fn read_note(&self, project: &str, name: &str) -> Result<Note>;
    /// Write a note, or with null remove it. With `expected` it is
    /// [`Error::Conflict`](crate::Error::Conflict) where another call has written in between.
    fn write_note(
        &self,
        project: &str,
        name: &str,
        note: &Value,
        expected: Option<u32>,
    ) -> Result<Note>;
}

/// Interface `emulation`.
pub trait Emulation {
    /// Start a run and give its id, within a few seconds. Its time counts towards no budget of the
    /// tool, nor does that of `wait` and `stop`.
    fn start(&self, project: &str, options: &StartOptions) -> Result<String>;
    /// The run status now.
    fn status(&self, run_id: &str) -> Result<RunStatus>;
    /// The run status once it has ended, or after `milliseconds`.
    fn wait(&self, run_id: &str, milliseconds: u32) -> Result<RunStatus>;
    /// The run status once a condition is met, the run has ended, or after `milliseconds`.
    fn wait_until(
        &self,
        run_id: &str,
        condition: &WaitOptions,
        milliseconds: u32,
    ) -> Result<RunStatus>;
    /// Stop the run and keep its results. It may still be in its phase `stopping`.
    fn stop(&self, run_id: &str) -> Result<RunStatus>;
}

/// Interface `results`.
pub trait Results {
    /// An opened result directory.
    type Run: RunResults;
    /// The runs of a project that left a result directory, the newest first.
    fn runs(&self, project: &str, options: &RunListOptions) -> Result<RunList>;
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
    /// The entries of a YAML or JSON file that is a mapping, one after the other: a file of tens of
    /// thousands is not held as a whole.
    fn each_entry(&self, file: &str, entry: &mut dyn FnMut(String, Value)) -> Result<()> {
        if let Value::Object(entries) = self.read_yaml(file)? {
            for (name, value) in entries {
                entry(name, value);
            }
        }
        Ok(())
    }
    /// A CSV file by column name.
    fn read_csv(&self, file: &str, options: &CsvOptions) -> Result<Table>;
    /// Lines that match a regular expression; an empty one matches all.
    fn search(&self, file: &str, pattern: &str, options: &SearchOptions) -> Result<Matches>;
    /// A range of a text file; a negative `offset` counts from the end.
    fn read_text(&self, file: &str, offset: i64, length: u32) -> Result<Text>;
    /// A read-only SQL query on `plugins.db`; `params` is an array or, for `:name`, an object.
    fn query(&self, sql: &str, params: &Value, options: &QueryOptions) -> Result<Rows>;
}

/// Interface `firmware`.
pub trait Firmware {
    /// An opened root filesystem.
    type Root: RootFilesystem;
    /// Open a project's root filesystem.
    fn open_root_filesystem(&self, project: &str) -> Result<Self::Root>;
}

/// Resource `root-filesystem`: the firmware's files, read-only.
pub trait RootFilesystem {
    /// The entries of a directory.
    fn list_directory(&self, path: &str, options: &ListOptions) -> Result<Listing>;
    /// One entry, symbolic links followed.
    fn stat(&self, path: &str) -> Result<FileStat>;
    /// At most 1 MiB of a file.
    fn read(&self, path: &str, offset: u64, length: u32) -> Result<Vec<u8>>;
    /// Files whose path or content matches.
    fn search_files(&self, pattern: &str, options: &FindOptions) -> Result<FoundFiles>;
    /// The programs that could be the guest's init, best first.
    fn init_candidates(&self) -> Result<InitCandidates>;
}

/// Interface `live`.
pub trait Live {
    /// The id of the run of a project that is running now. Without one, it is
    /// [`Error::Unavailable`](crate::Error::Unavailable) with the way to start one.
    fn running(&self, project: &str) -> Result<String>;
    /// What this run's backend offers.
    fn capabilities(&self, run_id: &str) -> Result<Capabilities>;
    /// Run a command inside the guest, without a shell.
    fn command(
        &self,
        run_id: &str,
        argv: &[String],
        options: &CommandOptions,
    ) -> Result<CommandOutput>;
    /// Send bytes to a port of the guest.
    fn reach(&self, run_id: &str, port: u16, request: &ReachOptions) -> Result<Reached>;
    /// Install a hook on a guest function or system call.
    fn hook(&self, run_id: &str, request: &HookOptions) -> Result<Hooked>;
    /// The hooks of a run, and which kinds its backend has.
    fn hooks(&self, run_id: &str) -> Result<Hooks>;
    /// Remove a hook, or all.
    fn unhook(&self, run_id: &str, options: &UnhookOptions) -> Result<Unhooked>;
    /// What a hook has printed.
    fn hook_output(&self, run_id: &str, options: &HookOutputOptions) -> Result<HookOutput>;
    /// List or change the analysis plugins of a running guest.
    fn control_plugin(&self, run_id: &str, request: &PluginOptions) -> Result<PluginControl>;
    /// Save or restore the state of the guest.
    fn snapshot(&self, run_id: &str, request: &SnapshotOptions) -> Result<Snapshotted>;
    /// The snapshots of a run's project.
    fn snapshots(&self, run_id: &str) -> Result<Snapshots>;
}

/// Interface `http`: web services of a running guest.
pub trait Http {
    /// Send a request, and give the answer to it or to the last redirect.
    fn http(&self, run_id: &str, request: &HttpOptions) -> Result<HttpAnswer>;
}

/// Interface `toolbox`: the other tools of the server.
pub trait Toolbox {
    /// Call a tool, as far as this one was granted what that one uses, and within what this call
    /// has left of its budgets. `arguments` is an object.
    fn call_tool(&self, name: &str, arguments: &Value) -> Result<Value>;
}

/// Everything that the host offers.
pub trait Host
where
    Self: Log
        + Config
        + ConfigMutation
        + Creation
        + Notes
        + Emulation
        + Results
        + Firmware
        + Binaries
        + Live
        + Http
        + Toolbox,
{
}

impl<T> Host for T where
    T: Log
        + Config
        + ConfigMutation
        + Creation
        + Notes
        + Emulation
        + Results
        + Firmware
        + Binaries
        + Live
        + Http
        + Toolbox
{
}
