//! The runtime: what was admitted, and calls to it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use jsonschema::Validator;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::admission::{self, Admitted, BuiltIn, Gate, Refused, wasm_files};
use crate::cache::Cache;
use crate::code::{Code, Machine};
use crate::engine::TickingEngine;
use crate::failure::{Reason, Stop};
use crate::guests::{Answer, Ask, Guests, Job};
use crate::host::Services;
use crate::interface::Interface;
use crate::limits::Limits;
use crate::linker::Linkers;
use crate::policy::cores;
use crate::seats::{Seats, Share};
use crate::{
    Audit, Failure, LoadReport, Plugin, Policy, ProgressSink, Rejected, RuntimeConfig, Success,
    Tool, Usage, arguments as schema_check, meaning, text,
};

/// Longest message of a failed call in the log.
const LOGGED_CHARS: usize = 500;

/// All admitted components.
pub struct Runtime {
    machine: Arc<Machine>,
    guests: Guests,
    seats: Seats,
    policy: Policy,
    audit: Option<Audit>,
    built_in: BuiltIn,
    tools: BTreeMap<String, Arc<Tool>>,
    entries: BTreeMap<String, Entry>,
}

/// What a call of one tool needs.
struct Entry {
    code: Arc<Code>,
    limits: Limits,
    share: Share,
    // Made when they are first needed: making all of them would double the time to start.
    input: OnceLock<Option<Validator>>,
    output: OnceLock<Option<Validator>>,
}

impl Runtime {
    /// Build the engine and start the threads that run guests. Loads nothing yet.
    pub fn new(config: RuntimeConfig) -> anyhow::Result<Self> {
        let engine = TickingEngine::new()?;
        let guests = Guests::new(
            &engine,
            Services {
                roots: config.roots,
                runs: config.runs,
            },
            cores(),
        )?;
        let machine = Machine {
            linkers: Linkers::new(engine.engine()),
            cache: Cache::open(&config.cache_dir),
            engine: engine.engine().clone(),
        };
        Ok(Self {
            machine: Arc::new(machine),
            guests,
            seats: Seats::new(config.policy.concurrent_calls()),
            policy: config.policy,
            audit: config.audit,
            built_in: BuiltIn::in_dir(config.built_in.as_deref()),
            tools: BTreeMap::new(),
            entries: BTreeMap::new(),
        })
    }

    /// Admit every `*.wasm` file of `dirs` that is not hidden: the built-in ones first, then in the order of the directories and of
    /// their names. A file that fails is reported and skipped; so is one that holds a tool whose name is taken by a file before it.
    pub fn load(&mut self, dirs: &[PathBuf]) -> LoadReport {
        let mut report = LoadReport::default();
        let mut files = Vec::new();
        for dir in dirs {
            match wasm_files(dir) {
                Ok(found) => files.extend(found),
                Err(error) => {
                    report.rejected.push(Rejected {
                        file: dir.clone(),
                        reason: format!("the plugin directory cannot be read: {error}"),
                    });
                }
            }
        }
        self.load_files(&files, &mut report);
        report
    }

    /// Admit `files` as [`Self::load`] would if they lay in the last of `dirs`, and report on them only. One that has the name of a file
    /// there is taken for its new version.
    pub fn check(&mut self, dirs: &[PathBuf], files: &[PathBuf]) -> LoadReport {
        let given: Vec<PathBuf> = files
            .iter()
            .filter_map(|file| file.canonicalize().ok())
            .collect();
        let is_given = |file: &Path| file.canonicalize().is_ok_and(|file| given.contains(&file));
        let is_replaced = |file: &Path| {
            !self.built_in.holds(file)
                && files.iter().any(|new| new.file_name() == file.file_name())
        };
        let all: Vec<PathBuf> = dirs
            .iter()
            .filter_map(|dir| wasm_files(dir).ok())
            .flatten()
            .filter(|file| !is_given(file) && !is_replaced(file))
            .chain(files.iter().cloned())
            .collect();
        let mut report = LoadReport::default();
        self.load_files(&all, &mut report);
        report.plugins.retain(|plugin| files.contains(&plugin.file));
        report
            .rejected
            .retain(|rejected| files.contains(&rejected.file));
        report
    }

    fn load_files(&mut self, files: &[PathBuf], report: &mut LoadReport) {
        // Whatever the order of the directories, the built-in tools come first; among others a name belongs to who comes first.
        let mut files = files.to_vec();
        files.sort_by_cached_key(|file| !self.built_in.holds(file));
        let names = files.iter().map(|file| admission::name(file)).collect();
        let mut digests = BTreeSet::new();
        for (file, admitted) in files.iter().zip(self.admit_all(&files)) {
            digests.extend(match &admitted {
                Ok(admitted) => Some(admitted.digest.clone()),
                Err(refused) => refused.digest.clone(),
            });
            let registered = admitted
                .map_err(|refused| refused.reason)
                .and_then(|admitted| self.register(file, admitted));
            match registered {
                Ok(plugin) => report.plugins.push(plugin),
                Err(reason) => report.rejected.push(Rejected {
                    file: file.clone(),
                    reason,
                }),
            }
        }
        report.warnings = self.policy.unmatched(&names, &digests);
    }

    /// All tools by name.
    pub fn tools(&self) -> &BTreeMap<String, Arc<Tool>> {
        &self.tools
    }

    /// All violations of the tool's input schema, in words; empty when `arguments` fit. A member that is null and need not be
    /// there counts as left out. A tool that does not exist violates nothing: [`Self::call`] says so.
    pub fn check_arguments(&self, tool: &str, arguments: &Value) -> Vec<String> {
        let (Some(entry), Some(schema)) =
            (self.entries.get(tool), self.schema(tool, "inputSchema"))
        else {
            return Vec::new();
        };
        violations(&entry.input, schema, &meaning::meant(arguments, schema))
    }

    /// Call a tool. `arguments` must have passed [`Self::check_arguments`].
    ///
    /// Needs a tokio runtime with a timer. Dropping the future stops the guest within 100 ms, as cancelling does.
    pub async fn call(
        &self,
        tool: &str,
        arguments: &Value,
        cancel: CancellationToken,
        progress: ProgressSink,
    ) -> Result<Success, Failure> {
        let (answer, usage) = self.ask(tool, arguments, cancel, progress).await;
        if let Some(audit) = &self.audit
            && let Some(tool) = self.tools.get(tool)
        {
            let outcome = answer.as_ref().map_or_else(Stop::kind, |_| "ok");
            audit.record(tool, arguments, outcome, &usage);
        }
        match answer {
            Ok(output) => {
                tracing::debug!(target: "rookery::tool", tool, ?usage, "a call succeeded");
                Ok(Success { output, usage })
            }
            Err(stop) => {
                let kind = stop.kind();
                let failure = stop.into_failure(tool, usage);
                let (usage, message) =
                    (&failure.usage, text::clean(&failure.message, LOGGED_CHARS));
                tracing::warn!(target: "rookery::tool", tool, kind, ?usage, "a call failed: {message}");
                Err(failure)
            }
        }
    }

    async fn ask(
        &self,
        tool: &str,
        arguments: &Value,
        cancel: CancellationToken,
        progress: ProgressSink,
    ) -> (Result<Value, Stop>, Usage) {
        let stopped = |reason: Reason| (Err(reason.into()), Usage::default());
        let Some(entry) = self.entries.get(tool) else {
            let nearest =
                text::nearest(tool, self.entries.keys().map(String::as_str)).map(str::to_owned);
            return stopped(Reason::UnknownTool(nearest));
        };
        let arguments = self.schema(tool, "inputSchema").map_or_else(
            || arguments.clone(),
            |schema| meaning::meant(arguments, schema),
        );
        let arguments = arguments.to_string();
        if arguments.len() > entry.limits.argument_bytes {
            return stopped(Reason::ArgumentsTooLarge {
                bytes: arguments.len(),
                limit: entry.limits.argument_bytes,
            });
        }
        let pre = match entry.code.linked(&self.machine).await {
            Ok(pre) => pre,
            Err(reason) => return stopped(Reason::CodeUnavailable(reason)),
        };
        let job = Job {
            name: tool,
            pre,
            limits: &entry.limits,
            share: &entry.share,
            cancel,
            progress,
        };
        let (answer, mut usage) = self
            .guests
            .ask(
                job,
                Ask::Call {
                    name: tool.to_owned(),
                    arguments,
                },
            )
            .await;
        let output = match answer {
            Ok(Answer::Output(Ok(output))) => {
                usage.output_bytes = output.len() as u64;
                self.check_output(tool, entry, &output).map_err(Stop::from)
            }
            Ok(Answer::Output(Err(error))) => Err(Reason::Tool(error).into()),
            Ok(Answer::Tools(_)) => Err(Reason::HostDefect.into()),
            Err(stop) => Err(stop),
        };
        (output, usage)
    }

    fn check_output(&self, tool: &str, entry: &Entry, output: &str) -> Result<Value, Reason> {
        if output.len() > entry.limits.output_bytes {
            return Err(Reason::OutputBudget {
                bytes: Some(output.len()),
                limit: entry.limits.output_bytes,
            });
        }
        let output: Value = serde_json::from_str(output)
            .map_err(|error| Reason::Malformed(format!("it is not JSON ({error})")))?;
        if !output.is_object() {
            return Err(Reason::Malformed("it is not a JSON object".to_owned()));
        }
        let Some(schema) = self.schema(tool, "outputSchema") else {
            return Ok(output);
        };
        let output = meaning::tidied(&output, schema);
        match violations(&entry.output, schema, &output).as_slice() {
            [] => Ok(output),
            found => Err(Reason::Malformed(found.join("; "))),
        }
    }

    fn schema(&self, tool: &str, which: &str) -> Option<&Value> {
        self.tools.get(tool)?.definition.get(which)
    }

    /// Admit files on all cores; the results in the order of the files.
    fn admit_all(&self, files: &[PathBuf]) -> Vec<Result<Admitted, Refused>> {
        let gate = Gate {
            machine: &self.machine,
            guests: &self.guests,
            seats: &self.seats,
            policy: &self.policy,
            built_in: &self.built_in,
        };
        let next = AtomicUsize::new(0);
        let results: Vec<OnceLock<Result<Admitted, Refused>>> =
            files.iter().map(|_| OnceLock::new()).collect();
        // Threads of their own also because `load` may be called on a thread of an asynchronous runtime, where waiting is not allowed.
        std::thread::scope(|scope| {
            for _ in 0..cores().min(files.len()) {
                scope.spawn(|| {
                    loop {
                        let n = next.fetch_add(1, Ordering::Relaxed);
                        let (Some(file), Some(result)) = (files.get(n), results.get(n)) else {
                            break;
                        };
                        let _ = result.set(gate.admit(file));
                    }
                });
            }
        });
        results
            .into_iter()
            .map(|result| {
                let missed = || Refused {
                    digest: None,
                    reason: "it was not looked at".to_owned(),
                };
                result.into_inner().unwrap_or_else(|| Err(missed()))
            })
            .collect()
    }

    fn register(&mut self, file: &Path, admitted: Admitted) -> Result<Plugin, String> {
        for (name, _) in &admitted.tools {
            if let Some(other) = self.tools.get(name) {
                return Err(format!(
                    "its tool `{name}` is already served by {}, which comes first: built-in tools, then by the order of the directories and \
                     of the names in them. Remove one of the two",
                    other.plugin.file.display()
                ));
            }
        }
        let plugin = Arc::new(plugin(file, &admitted));
        let code = Arc::new(admitted.code);
        let share = self.seats.share();
        for (name, definition) in admitted.tools {
            let entry = Entry {
                code: Arc::clone(&code),
                limits: admitted.limits.clone(),
                share: share.clone(),
                input: OnceLock::new(),
                output: OnceLock::new(),
            };
            self.entries.insert(name.clone(), entry);
            self.tools.insert(
                name.clone(),
                Arc::new(Tool {
                    name,
                    definition,
                    plugin: Arc::clone(&plugin),
                }),
            );
        }
        Ok(Plugin::clone(&plugin))
    }
}

fn plugin(file: &Path, admitted: &Admitted) -> Plugin {
    Plugin {
        file: file.to_owned(),
        digest: admitted.digest.clone(),
        imports: admitted
            .interfaces
            .iter()
            .filter(|interface| **interface != Interface::Types)
            .map(ToString::to_string)
            .collect(),
        tools: admitted
            .tools
            .iter()
            .map(|(name, _)| name.clone())
            .collect(),
    }
}

fn violations(
    validator: &OnceLock<Option<Validator>>,
    schema: &Value,
    value: &Value,
) -> Vec<String> {
    // Admission has built this validator once before, so it can be built.
    match validator.get_or_init(|| schema_check::validator(schema).ok()) {
        Some(validator) => schema_check::violations(validator, schema, value),
        None => Vec::new(),
    }
}
