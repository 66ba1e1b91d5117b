//! The host of a component: the imports of the contract, typed.
//!
//! Each method calls one import, so an import that no tool reaches is not in the component. On the
//! build machine the functions exist and panic when they are called.

use serde_json::Value;

use crate::args::RunSelector;
use crate::bindings::rookery::plugin::{
    binaries, config, config_mutation, creation, emulation, firmware, http, live, log, notes,
    results, toolbox,
};
use crate::entries;
use crate::error::{Result, from_host, to_json};
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
    PluginControl, Reached, ResultsStatus, Rows, RunList, RunStatus, Snapshots, Snapshotted,
    Strings, Symbols, Table, Text, Unhooked,
};

/// The imports of a component.
#[derive(Debug, Clone, Copy)]
pub struct Imports;

impl Log for Imports {
    fn log(&self, level: Level, message: &str) {
        log::write(level, message);
    }
    fn progress(&self, fraction: f64, message: &str) {
        log::progress(fraction, message);
    }
}

impl Config for Imports {
    fn effective(&self, project: &str) -> Result<EffectiveConfig> {
        from_host("config.effective", &config::effective(project)?)
    }
    fn lookup(&self, project: &str, path: &str) -> Result<Lookup> {
        from_host("config.lookup", &config::lookup(project, path)?)
    }
    fn patch(&self, project: &str) -> Result<Patch> {
        from_host("config.patch", &config::patch(project)?)
    }
}

impl ConfigMutation for Imports {
    fn apply(&self, project: &str, fragment: &Value, options: &ApplyOptions) -> Result<Change> {
        from_host(
            "config-mutation.apply",
            &config_mutation::apply(project, &to_json(fragment)?, &to_json(options)?)?,
        )
    }
    fn set(&self, project: &str, path: &str, value: &Value, dry_run: bool) -> Result<Change> {
        from_host(
            "config-mutation.set",
            &config_mutation::set(
                project,
                path,
                &to_json(value)?,
                &to_json(&SetOptions { dry_run })?,
            )?,
        )
    }
    fn remove(&self, project: &str, path: &str, dry_run: bool) -> Result<Change> {
        from_host(
            "config-mutation.remove",
            &config_mutation::remove(project, path, &to_json(&RemoveOptions { dry_run })?)?,
        )
    }
    fn reset(&self, project: &str, to_revision: Option<u64>, dry_run: bool) -> Result<Change> {
        let options = ResetOptions {
            dry_run,
            to_revision,
        };
        from_host(
            "config-mutation.reset",
            &config_mutation::reset(project, &to_json(&options)?)?,
        )
    }
}

impl Creation for Imports {
    fn make_project(
        &self,
        rootfs: &str,
        output: &str,
        options: &InitOptions,
    ) -> Result<NewProject> {
        from_host(
            "creation.init-project",
            &creation::init_project(rootfs, output, &to_json(options)?)?,
        )
    }
}

impl Binaries for Imports {
    fn symbols(&self, project: &str, path: &str, options: &SymbolOptions) -> Result<Symbols> {
        let symbols = binaries::symbols(project, path, &to_json(options)?)?;
        from_host("binaries.symbols", &symbols)
    }
    fn strings(&self, project: &str, path: &str, options: &StringOptions) -> Result<Strings> {
        let strings = binaries::strings(project, path, &to_json(options)?)?;
        from_host("binaries.strings", &strings)
    }
}

impl Notes for Imports {
    fn read_note(&self, project: &str, name: &str) -> Result<Note> {
        from_host("notes.read", &notes::read(project, name)?)
    }
    fn write_note(
        &self,
        project: &str,
        name: &str,
        note: &Value,
        expected: Option<u32>,
    ) -> Result<Note> {
        let options = to_json(&NoteOptions { expected })?;
        from_host(
            "notes.write",
            &notes::write(project, name, &to_json(note)?, &options)?,
        )
    }
}

impl Emulation for Imports {
    fn start(&self, project: &str, options: &StartOptions) -> Result<String> {
        emulation::start(project, &to_json(options)?)
    }
    fn status(&self, run_id: &str) -> Result<RunStatus> {
        from_host("emulation.status", &emulation::status(run_id)?)
    }
    fn wait(&self, run_id: &str, milliseconds: u32) -> Result<RunStatus> {
        from_host("emulation.wait", &emulation::wait(run_id, milliseconds)?)
    }
    fn wait_until(
        &self,
        run_id: &str,
        condition: &WaitOptions,
        milliseconds: u32,
    ) -> Result<RunStatus> {
        from_host(
            "emulation.wait-until",
            &emulation::wait_until(run_id, &to_json(condition)?, milliseconds)?,
        )
    }
    fn stop(&self, run_id: &str) -> Result<RunStatus> {
        from_host("emulation.stop", &emulation::stop(run_id)?)
    }
}

impl Results for Imports {
    type Run = results::RunResults;
    fn runs(&self, project: &str, options: &RunListOptions) -> Result<RunList> {
        from_host("results.runs", &results::runs(project, &to_json(options)?)?)
    }
    fn open_results(&self, which: &RunSelector) -> Result<Self::Run> {
        results::open(which.project_dir.as_deref(), which.results_dir.as_deref())
    }
}

impl RunResults for results::RunResults {
    fn status(&self) -> Result<ResultsStatus> {
        from_host("run-results.status", &self.status()?)
    }
    fn read_yaml(&self, file: &str) -> Result<Value> {
        from_host("run-results.read-yaml", &self.read_yaml(file)?)
    }
    fn each_entry(&self, file: &str, entry: &mut dyn FnMut(String, Value)) -> Result<()> {
        entries::each("run-results.read-yaml", &self.read_yaml(file)?, entry)
    }
    fn read_csv(&self, file: &str, options: &CsvOptions) -> Result<Table> {
        from_host(
            "run-results.read-csv",
            &self.read_csv(file, &to_json(options)?)?,
        )
    }
    fn search(&self, file: &str, pattern: &str, options: &SearchOptions) -> Result<Matches> {
        from_host(
            "run-results.search",
            &self.search(file, pattern, &to_json(options)?)?,
        )
    }
    fn read_text(&self, file: &str, offset: i64, length: u32) -> Result<Text> {
        from_host(
            "run-results.read-text",
            &self.read_text(file, offset, length)?,
        )
    }
    fn query(&self, sql: &str, params: &Value, options: &QueryOptions) -> Result<Rows> {
        from_host(
            "run-results.query",
            &self.query(sql, &to_json(params)?, &to_json(options)?)?,
        )
    }
}

impl Firmware for Imports {
    type Root = firmware::RootFilesystem;
    fn open_root_filesystem(&self, project: &str) -> Result<Self::Root> {
        firmware::open(project)
    }
}

impl RootFilesystem for firmware::RootFilesystem {
    fn list_directory(&self, path: &str, options: &ListOptions) -> Result<Listing> {
        from_host(
            "root-filesystem.list-directory",
            &self.list_directory(path, &to_json(options)?)?,
        )
    }
    fn stat(&self, path: &str) -> Result<FileStat> {
        from_host("root-filesystem.stat", &self.stat(path)?)
    }
    fn read(&self, path: &str, offset: u64, length: u32) -> Result<Vec<u8>> {
        self.read(path, offset, length)
    }
    fn search_files(&self, pattern: &str, options: &FindOptions) -> Result<FoundFiles> {
        from_host(
            "root-filesystem.search",
            &self.search(pattern, &to_json(options)?)?,
        )
    }
    fn init_candidates(&self) -> Result<InitCandidates> {
        from_host("root-filesystem.init-candidates", &self.init_candidates()?)
    }
}

impl Live for Imports {
    fn running(&self, project: &str) -> Result<String> {
        live::running(project)
    }
    fn capabilities(&self, run_id: &str) -> Result<Capabilities> {
        from_host("live.capabilities", &live::capabilities(run_id)?)
    }
    fn command(
        &self,
        run_id: &str,
        argv: &[String],
        options: &CommandOptions,
    ) -> Result<CommandOutput> {
        from_host(
            "live.command",
            &live::command(run_id, argv, &to_json(options)?)?,
        )
    }
    fn reach(&self, run_id: &str, port: u16, request: &ReachOptions) -> Result<Reached> {
        from_host(
            "live.reach",
            &live::reach(run_id, port, &to_json(request)?)?,
        )
    }
    fn hook(&self, run_id: &str, request: &HookOptions) -> Result<Hooked> {
        from_host("live.hook", &live::hook(run_id, &to_json(request)?)?)
    }
    fn unhook(&self, run_id: &str, options: &UnhookOptions) -> Result<Unhooked> {
        from_host("live.unhook", &live::unhook(run_id, &to_json(options)?)?)
    }
    fn hook_output(&self, run_id: &str, options: &HookOutputOptions) -> Result<HookOutput> {
        from_host(
            "live.hook-output",
            &live::hook_output(run_id, &to_json(options)?)?,
        )
    }
    fn control_plugin(&self, run_id: &str, request: &PluginOptions) -> Result<PluginControl> {
        from_host(
            "live.control-plugin",
            &live::control_plugin(run_id, &to_json(request)?)?,
        )
    }
    fn snapshot(&self, run_id: &str, request: &SnapshotOptions) -> Result<Snapshotted> {
        from_host(
            "live.snapshot",
            &live::snapshot(run_id, &to_json(request)?)?,
        )
    }
    fn hooks(&self, run_id: &str) -> Result<Hooks> {
        from_host("live.hooks", &live::hooks(run_id)?)
    }
    fn snapshots(&self, run_id: &str) -> Result<Snapshots> {
        from_host("live.snapshots", &live::snapshots(run_id)?)
    }
}

impl Http for Imports {
    fn http(&self, run_id: &str, request: &HttpOptions) -> Result<HttpAnswer> {
        from_host("http.request", &http::request(run_id, &to_json(request)?)?)
    }
}

impl Toolbox for Imports {
    fn call_tool(&self, name: &str, arguments: &Value) -> Result<Value> {
        from_host("toolbox.call", &toolbox::call(name, &to_json(arguments)?)?)
    }
}
