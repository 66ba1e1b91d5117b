//! A host that answers from fixtures and remembers what it was asked.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

#[cfg(feature = "sqlite")]
use super::database::Database;
use super::files::Files;
use crate::args::RunSelector;
use crate::error::{Error, Result};
use crate::host::{
    ApplyOptions, Binaries, CommandOptions, Config, ConfigMutation, Creation, CsvOptions,
    Emulation, FindOptions, Firmware, HookOptions, HookOutputOptions, Http, HttpOptions,
    InitOptions, Level, ListOptions, Live, Log, NoteOptions, Notes, PluginOptions, QueryOptions,
    ReachOptions, RemoveOptions, ResetOptions, Results, RootFilesystem, RunListOptions, RunResults,
    SearchOptions, SetOptions, SnapshotOptions, StartOptions, StringOptions, SymbolOptions,
    Toolbox, UnhookOptions, WaitOptions,
};
use crate::shapes::{
    Capabilities, Change, CommandOutput, EffectiveConfig, FileStat, FoundFiles, HookOutput, Hooked,
    Hooks, HttpAnswer, InitCandidates, Listing, Lookup, Matches, NewProject, Note, Patch,
    PluginControl, Reached, ResultsState, ResultsStatus, Rows, RunList, RunStatus, Snapshots,
    Snapshotted, Strings, Symbols, Table, Text, Unhooked,
};

type Answerer = Rc<dyn Fn(&Value) -> Result<Value>>;

/// A host for tests. Functions have the names of the contract: `config-mutation.apply`,
/// `run-results.search`.
///
/// A function without an answer fails with a message that says which answer to give; files that are
/// not there are [`Error::Unavailable`], as in the real host. Logs, progress and all calls are
/// remembered.
#[derive(Clone, Default)]
pub struct FakeHost {
    answers: BTreeMap<String, Answerer>,
    files: Files,
    calls: Rc<RefCell<Vec<(String, Value)>>>,
    notes: Rc<RefCell<BTreeMap<(String, String), Note>>>,
    #[cfg(feature = "sqlite")]
    database: Option<Rc<Database>>,
}

impl FakeHost {
    /// A host that has nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Answer `function` with `value`, whatever it is asked.
    #[must_use]
    pub fn answer(self, function: &str, value: Value) -> Self {
        self.answer_with(function, move |_| Ok(value.clone()))
    }

    /// Answer `function` with an error.
    #[must_use]
    pub fn fail(self, function: &str, error: Error) -> Self {
        self.answer_with(function, move |_| Err(error.clone()))
    }

    /// Answer `function` by a closure, which gets the arguments as an object.
    #[must_use]
    pub fn answer_with(
        mut self,
        function: &str,
        answer: impl Fn(&Value) -> Result<Value> + 'static,
    ) -> Self {
        self.answers.insert(function.to_owned(), Rc::new(answer));
        self
    }

    /// A result file that `read-yaml` gives, as JSON.
    #[must_use]
    pub fn yaml(mut self, file: &str, value: Value) -> Self {
        self.files.values.insert(file.to_owned(), value);
        self
    }

    /// A result file that `search`, `read-text` and `read-csv` give: regular expressions, ranges
    /// and columns really work.
    #[must_use]
    pub fn text(mut self, file: &str, text: &str) -> Self {
        self.files.texts.insert(file.to_owned(), text.to_owned());
        self
    }

    /// What is in `plugins.db`: statements such as `INSERT INTO event VALUES (1, 'exec', 'httpd',
    /// 7, 250)`. Its tables are there already, and a query really runs, so wrong SQL fails.
    ///
    /// # Panics
    ///
    /// If a statement is wrong.
    #[cfg(feature = "sqlite")]
    #[must_use]
    pub fn database(mut self, statements: &str) -> Self {
        self.database = Some(Rc::new(Database::new(statements)));
        self
    }

    /// How the run ended: [`ResultsState::Completed`] unless said otherwise.
    #[must_use]
    pub fn state(mut self, state: ResultsState, why: &str) -> Self {
        self.files.state = Some((state, why.to_owned()));
        self
    }

    /// The note of `status` on a newer run.
    #[must_use]
    pub fn note(mut self, note: &str) -> Self {
        self.files.note = Some(note.to_owned());
        self
    }

    /// The arguments of every call of `function`, in order.
    pub fn calls(&self, function: &str) -> Vec<Value> {
        self.calls
            .borrow()
            .iter()
            .filter(|(name, _)| name == function)
            .map(|(_, arguments)| arguments.clone())
            .collect()
    }

    fn kept(&self, project: &str, name: &str) -> Note {
        let key = (project.to_owned(), name.to_owned());
        self.notes.borrow().get(&key).cloned().unwrap_or_default()
    }

    fn ask<T: DeserializeOwned>(&self, function: &str, arguments: Value) -> Result<T> {
        self.ask_or(function, arguments, || {
            Err(Error::Internal(format!(
                "this FakeHost has no answer: add .answer(\"{function}\", json!(…))"
            )))
        })
    }

    /// The answer given for `function`, else `otherwise`.
    fn ask_or<T: DeserializeOwned>(
        &self,
        function: &str,
        arguments: Value,
        otherwise: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let answer = match self.answers.get(function) {
            Some(answer) => answer(&arguments).and_then(|answer| {
                serde_json::from_value(answer).map_err(|error| {
                    Error::Internal(format!(
                        "the answer given for {function} does not fit: {error}"
                    ))
                })
            }),
            None => otherwise(),
        };
        self.calls
            .borrow_mut()
            .push((function.to_owned(), arguments));
        answer
    }
}

impl Log for FakeHost {
    fn log(&self, level: Level, message: &str) {
        self.calls.borrow_mut().push((
            "log.write".into(),
            json!({ "level": format!("{level:?}"), "message": message }),
        ));
    }
    fn progress(&self, fraction: f64, message: &str) {
        self.calls.borrow_mut().push((
            "log.progress".into(),
            json!({ "fraction": fraction, "message": message }),
        ));
    }
}

impl Config for FakeHost {
    fn effective(&self, project: &str) -> Result<EffectiveConfig> {
        self.ask("config.effective", json!({ "project": project }))
    }
    fn lookup(&self, project: &str, path: &str) -> Result<Lookup> {
        self.ask("config.lookup", json!({ "project": project, "path": path }))
    }
    fn patch(&self, project: &str) -> Result<Patch> {
        self.ask("config.patch", json!({ "project": project }))
    }
}

impl ConfigMutation for FakeHost {
    fn apply(&self, project: &str, fragment: &Value, options: &ApplyOptions) -> Result<Change> {
        self.ask(
            "config-mutation.apply",
            json!({ "project": project, "fragment": fragment, "options": options }),
        )
    }
    fn set(&self, project: &str, path: &str, value: &Value, dry_run: bool) -> Result<Change> {
        let options = SetOptions { dry_run };
        self.ask(
            "config-mutation.set",
            json!({ "project": project, "path": path, "value": value, "options": options }),
        )
    }
    fn remove(&self, project: &str, path: &str, dry_run: bool) -> Result<Change> {
        self.ask(
            "config-mutation.remove",
            json!({ "project": project, "path": path, "options": RemoveOptions { dry_run } }),
        )
    }
    fn reset(&self, project: &str, to_revision: Option<u64>, dry_run: bool) -> Result<Change> {
        let options = ResetOptions {
            dry_run,
            to_revision,
        };
        self.ask(
            "config-mutation.reset",
            json!({ "project": project, "options": options }),
        )
    }
}

impl Creation for FakeHost {
    fn make_project(
        &self,
        rootfs: &str,
        output: &str,
        options: &InitOptions,
    ) -> Result<NewProject> {
        self.ask(
            "creation.init-project",
            json!({ "rootfs": rootfs, "output": output, "options": options }),
        )
    }
}

impl Binaries for FakeHost {
    fn symbols(&self, project: &str, path: &str, options: &SymbolOptions) -> Result<Symbols> {
        let arguments = json!({ "project": project, "path": path, "options": options });
        self.ask("binaries.symbols", arguments)
    }
    fn strings(&self, project: &str, path: &str, options: &StringOptions) -> Result<Strings> {
        let arguments = json!({ "project": project, "path": path, "options": options });
        self.ask("binaries.strings", arguments)
    }
}

impl Http for FakeHost {
    fn http(&self, run_id: &str, request: &HttpOptions) -> Result<HttpAnswer> {
        let arguments = json!({ "run": run_id, "request": request });
        self.ask("http.request", arguments)
    }
}

impl Toolbox for FakeHost {
    fn call_tool(&self, name: &str, arguments: &Value) -> Result<Value> {
        let arguments = json!({ "name": name, "arguments": arguments });
        self.ask("toolbox.call", arguments)
    }
}

/// Notes are really kept, unless an answer is given.
impl Notes for FakeHost {
    fn read_note(&self, project: &str, name: &str) -> Result<Note> {
        let arguments = json!({ "project": project, "name": name });
        self.ask_or("notes.read", arguments, || Ok(self.kept(project, name)))
    }
    fn write_note(
        &self,
        project: &str,
        name: &str,
        note: &Value,
        expected: Option<u32>,
    ) -> Result<Note> {
        let options = NoteOptions { expected };
        let arguments =
            json!({ "project": project, "name": name, "note": note, "options": options });
        self.ask_or("notes.write", arguments, || {
            let old = self.kept(project, name).revision;
            if expected.is_some_and(|expected| expected != old) {
                return Err(Error::Conflict("another call has written the note".into()));
            }
            let note = match note {
                Value::Null => Note::default(),
                note => Note {
                    revision: old + 1,
                    note: note.clone(),
                },
            };
            let key = (project.to_owned(), name.to_owned());
            self.notes.borrow_mut().insert(key, note.clone());
            Ok(note)
        })
    }
}

impl Emulation for FakeHost {
    fn start(&self, project: &str, options: &StartOptions) -> Result<String> {
        self.ask(
            "emulation.start",
            json!({ "project": project, "options": options }),
        )
    }
    fn status(&self, run_id: &str) -> Result<RunStatus> {
        self.ask("emulation.status", json!({ "run": run_id }))
    }
    fn wait(&self, run_id: &str, milliseconds: u32) -> Result<RunStatus> {
        self.ask(
            "emulation.wait",
            json!({ "run": run_id, "milliseconds": milliseconds }),
        )
    }
    fn wait_until(
        &self,
        run_id: &str,
        condition: &WaitOptions,
        milliseconds: u32,
    ) -> Result<RunStatus> {
        self.ask(
            "emulation.wait-until",
            json!({ "run": run_id, "condition": condition, "milliseconds": milliseconds }),
        )
    }
    fn stop(&self, run_id: &str) -> Result<RunStatus> {
        self.ask("emulation.stop", json!({ "run": run_id }))
    }
}

impl Results for FakeHost {
    type Run = Self;
    fn runs(&self, project: &str, options: &RunListOptions) -> Result<RunList> {
        self.ask(
            "results.runs",
            json!({ "project": project, "options": options }),
        )
    }
    fn open_results(&self, which: &RunSelector) -> Result<Self> {
        self.ask_or::<Value>("results.open", json!(which), || Ok(Value::Null))?;
        Ok(self.clone())
    }
}

impl RunResults for FakeHost {
    fn status(&self) -> Result<ResultsStatus> {
        self.ask_or("run-results.status", json!({}), || Ok(self.files.status()))
    }
    fn read_yaml(&self, file: &str) -> Result<Value> {
        self.ask_or("run-results.read-yaml", json!({ "file": file }), || {
            self.files.read_yaml(file)
        })
    }
    fn read_csv(&self, file: &str, options: &CsvOptions) -> Result<Table> {
        self.ask_or(
            "run-results.read-csv",
            json!({ "file": file, "options": options }),
            || self.files.read_csv(file, options),
        )
    }
    fn search(&self, file: &str, pattern: &str, options: &SearchOptions) -> Result<Matches> {
        let arguments = json!({ "file": file, "pattern": pattern, "options": options });
        self.ask_or("run-results.search", arguments, || {
            self.files.search(file, pattern, options)
        })
    }
    fn read_text(&self, file: &str, offset: i64, length: u32) -> Result<Text> {
        let arguments = json!({ "file": file, "offset": offset, "length": length });
        self.ask_or("run-results.read-text", arguments, || {
            self.files.read_text(file, offset, length)
        })
    }
    fn query(&self, sql: &str, params: &Value, options: &QueryOptions) -> Result<Rows> {
        let arguments = json!({ "sql": sql, "params": params, "options": options });
        #[cfg(feature = "sqlite")]
        if let Some(database) = &self.database {
            let query = || database.query(sql, params, options);
            return self.ask_or("run-results.query", arguments, query);
        }
        self.ask("run-results.query", arguments)
    }
}

impl Firmware for FakeHost {
    type Root = Self;
    fn open_root_filesystem(&self, project: &str) -> Result<Self> {
        self.ask_or::<Value>("firmware.open", json!({ "project": project }), || {
            Ok(Value::Null)
        })?;
        Ok(self.clone())
    }
}

impl RootFilesystem for FakeHost {
    fn list_directory(&self, path: &str, options: &ListOptions) -> Result<Listing> {
        self.ask(
            "root-filesystem.list-directory",
            json!({ "path": path, "options": options }),
        )
    }
    fn stat(&self, path: &str) -> Result<FileStat> {
        self.ask("root-filesystem.stat", json!({ "path": path }))
    }
    fn read(&self, path: &str, offset: u64, length: u32) -> Result<Vec<u8>> {
        self.ask(
            "root-filesystem.read",
            json!({ "path": path, "offset": offset, "length": length }),
        )
    }
    fn search_files(&self, pattern: &str, options: &FindOptions) -> Result<FoundFiles> {
        self.ask(
            "root-filesystem.search",
            json!({ "pattern": pattern, "options": options }),
        )
    }
    fn init_candidates(&self) -> Result<InitCandidates> {
        self.ask("root-filesystem.init-candidates", json!({}))
    }
}

impl Live for FakeHost {
    fn running(&self, project: &str) -> Result<String> {
        self.ask("live.running", json!({ "project": project }))
    }
    fn capabilities(&self, run_id: &str) -> Result<Capabilities> {
        self.ask("live.capabilities", json!({ "run": run_id }))
    }
    fn command(
        &self,
        run_id: &str,
        argv: &[String],
        options: &CommandOptions,
    ) -> Result<CommandOutput> {
        self.ask(
            "live.command",
            json!({ "run": run_id, "argv": argv, "options": options }),
        )
    }
    fn reach(&self, run_id: &str, port: u16, request: &ReachOptions) -> Result<Reached> {
        self.ask(
            "live.reach",
            json!({ "run": run_id, "port": port, "request": request }),
        )
    }
    fn hook(&self, run_id: &str, request: &HookOptions) -> Result<Hooked> {
        self.ask("live.hook", json!({ "run": run_id, "request": request }))
    }
    fn unhook(&self, run_id: &str, options: &UnhookOptions) -> Result<Unhooked> {
        self.ask("live.unhook", json!({ "run": run_id, "options": options }))
    }
    fn hook_output(&self, run_id: &str, options: &HookOutputOptions) -> Result<HookOutput> {
        self.ask(
            "live.hook-output",
            json!({ "run": run_id, "options": options }),
        )
    }
    fn control_plugin(&self, run_id: &str, request: &PluginOptions) -> Result<PluginControl> {
        self.ask(
            "live.control-plugin",
            json!({ "run": run_id, "request": request }),
        )
    }
    fn snapshot(&self, run_id: &str, request: &SnapshotOptions) -> Result<Snapshotted> {
        self.ask(
            "live.snapshot",
            json!({ "run": run_id, "request": request }),
        )
    }
    fn hooks(&self, run_id: &str) -> Result<Hooks> {
        self.ask("live.hooks", json!({ "run": run_id }))
    }
    fn snapshots(&self, run_id: &str) -> Result<Snapshots> {
        self.ask("live.snapshots", json!({ "run": run_id }))
    }
}
