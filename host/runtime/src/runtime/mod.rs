//! The runtime: what was admitted, and calls to it.

mod decisions;
mod install;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rookery_runs::backend::Live;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::admission::{BuiltIn, Gate};
use crate::audit::Call;
use crate::cache::{self, Cache};
use crate::checks::SMALL;
use crate::code::Machine;
use crate::compiler::Compiler;
use crate::engine::TickingEngine;
use crate::executor::{Answer, Ask, Executor, Job};
use crate::failure::{Reason, Stop};
use crate::host::Services;
use crate::installed::Installed;
use crate::known_files::KnownFiles;
use crate::limits::SharedMemory;
use crate::linker::Linkers;
use crate::meter::thread_cpu_ns;
use crate::policy::{Selection, cores};
use crate::registry::{Entry, Registry};
use crate::seats::{Origin, Seats};
use crate::threads::Threads;
use crate::{
    Audit, Failure, Lock, Policy, ProgressSink, RuntimeConfig, Success, Tool, Usage, coerce,
    component_file, text, work,
};

/// Longest message of a failed call in the log.
const LOGGED_CHARS: usize = 500;

/// All admitted components.
pub struct Runtime {
    machine: Arc<Machine>,
    executor: Executor,
    seats: Seats,
    policy: Policy,
    selection: Selection,
    lock: Option<Lock>,
    audit: Option<Arc<Audit>>,
    built_in: BuiltIn,
    /// What some backend of this machine has.
    offers: Live,
    known_files: KnownFiles,
    registry: RwLock<Arc<Registry>>,
}

/// Arguments on their way to an instance.
struct Prepared {
    /// JSON.
    text: String,
    /// Of the arguments as they came, where it is recorded.
    digest: Option<String>,
}

impl Runtime {
    /// Build the engine. Loads nothing yet.
    pub fn new(config: RuntimeConfig) -> anyhow::Result<Self> {
        let selection = config.policy.selection()?;
        let audit = config.audit.map(Arc::new);
        if let Some(audit) = &audit {
            audit.start(json!({
                "version": env!("CARGO_PKG_VERSION"),
                "policy": config.policy.sha256(),
                "locked": config.lock.is_some(),
                "read_only": selection.is_read_only(),
                "toolsets": selection.chosen(),
                "roots": config.roots.dirs(),
            }));
        }
        let seats = config.policy.concurrent_calls();
        let instances = u32::try_from(Seats::instances(seats)).unwrap_or(u32::MAX);
        let engine = TickingEngine::new(instances)?;
        let offers = config.runs.offers();
        let executor = Executor::new(
            &engine,
            Services {
                roots: config.roots,
                runs: config.runs,
                penguin_plugins: config.policy.penguin_plugins().clone(),
                audit: audit.clone(),
                stand_in: config.stand_in,
            },
            Threads::new(cores(), seats),
            SharedMemory::new(config.policy.shared_memory()),
        );
        let machine = Machine {
            linkers: Linkers::new(engine.engine()),
            cache: Cache::open(&config.cache_dir)
                .with_installed(config.installed.as_deref().and_then(Installed::open)),
            compiler: Compiler::new(config.program, cores()),
            engine: engine.engine().clone(),
        };
        Ok(Self {
            known_files: KnownFiles::load(&machine.cache),
            machine: Arc::new(machine),
            executor,
            seats: Seats::new(seats),
            policy: config.policy,
            selection,
            lock: config.lock,
            audit,
            built_in: BuiltIn::in_dir(config.built_in.as_deref()),
            offers,
            registry: RwLock::default(),
        })
    }

    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What admission works with.
    pub(crate) fn parts(&self) -> Gate<'_> {
        Gate {
            machine: &self.machine,
            executor: &self.executor,
            seats: &self.seats,
            policy: &self.policy,
            lock: self.lock.as_ref(),
            built_in: &self.built_in,
            again: false,
            known_files: &self.known_files,
        }
    }

    pub(crate) fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Keep what was found out about files, for the next start.
    pub(crate) fn keep_known_files(&self) {
        self.known_files.keep(&self.machine.cache);
    }

    pub(crate) fn origin(&self, file: &Path) -> Origin {
        if self.built_in.holds(file) {
            Origin::BuiltIn
        } else {
            Origin::Added
        }
    }

    fn registry(&self) -> Arc<Registry> {
        let registry = self.registry.read();
        Arc::clone(&registry.unwrap_or_else(PoisonError::into_inner))
    }

    /// All tools by name.
    pub fn tools(&self) -> BTreeMap<String, Arc<Tool>> {
        self.registry().tools().clone()
    }

    /// Threads for what takes long and must not hold up a protocol, such as shaping a large answer.
    pub fn threads(&self) -> Option<&Handle> {
        self.executor.threads(Origin::BuiltIn)
    }

    /// All violations of the tool's input schema, in words; empty when `arguments` fit. A member
    /// that is null and need not be there counts as left out. A tool that does not exist violates
    /// nothing: [`Self::call`] says so.
    pub async fn check_arguments(&self, tool: &str, arguments: &Arc<Value>) -> Vec<String> {
        let registry = self.registry();
        let Some((entry, schema)) = registry
            .entry(tool)
            .and_then(|entry| Some((entry, entry.input.text()?)))
        else {
            return Vec::new();
        };
        if work::is_small(arguments, SMALL) {
            let meant = coerce::arguments(arguments, schema);
            if entry.input.is_quick(&meant) {
                return entry.input.violations(&meant);
            }
        }
        let check = {
            let (entry, arguments) = (Arc::clone(entry), Arc::clone(arguments));
            move || {
                let schema = entry.input.text()?;
                Some(
                    entry
                        .input
                        .violations(&coerce::arguments(&arguments, schema)),
                )
            }
        };
        let checked = self.executor.on_large(entry.origin, check).await.flatten();
        checked.unwrap_or_else(|| vec!["the arguments could not be checked".to_owned()])
    }

    /// Call a tool. `arguments` must have passed [`Self::check_arguments`].
    ///
    /// Needs a tokio runtime with a timer. Dropping the future stops the instance within 100 ms, as
    /// cancelling does.
    pub async fn call(
        &self,
        tool: &str,
        arguments: &Arc<Value>,
        cancel: CancellationToken,
        progress: ProgressSink,
    ) -> Result<Success, Failure> {
        let registry = self.registry();
        let Some(entry) = registry.entry(tool) else {
            return Err(self.refused(tool, arguments).unwrap_or_else(|| {
                let stop = Stop::from(Reason::UnknownTool(registry.nearest(tool)));
                stop.into_failure(tool, Usage::default())
            }));
        };
        if self.audit.as_ref().is_some_and(|audit| !audit.works()) {
            let stop = Stop::from(Reason::Unrecorded);
            return Err(stop.into_failure(tool, Usage::default()));
        }
        let prepared = self.prepare(entry, arguments).await;
        let (answer, usage) = match prepared {
            Some(Prepared { text, digest }) => {
                let (answer, usage) = self.ask(entry, text, cancel, progress).await;
                if let (Some(audit), Some(digest)) = (&self.audit, digest) {
                    audit.call(&Call {
                        tool,
                        served: Some(&entry.tool),
                        arguments: &digest,
                        failure: answer.as_ref().err().map(Stop::kind),
                        rule: None,
                        usage: &usage,
                    });
                }
                (answer, usage)
            }
            None => (Err(Reason::HostDefect.into()), Usage::default()),
        };
        match answer {
            Ok(output) => {
                tracing::debug!(target: "rookery::tool", tool, ?usage, "a call succeeded");
                Ok(Success { output, usage })
            }
            Err(mut stop) => {
                stop.plugin = component_file::name(&entry.tool.plugin.file);
                let kind = stop.kind();
                let failure = stop.into_failure(tool, usage);
                let (usage, message) =
                    (&failure.usage, text::clean(&failure.message, LOGGED_CHARS));
                tracing::warn!(
                    target: "rookery::tool",
                    tool,
                    %kind,
                    ?usage,
                    "a call failed: {message}"
                );
                Err(failure)
            }
        }
    }

    async fn prepare(&self, entry: &Arc<Entry>, arguments: &Arc<Value>) -> Option<Prepared> {
        let recorded = self.audit.is_some();
        let prepare = {
            let (entry, arguments) = (Arc::clone(entry), Arc::clone(arguments));
            move || Prepared {
                digest: recorded.then(|| cache::digest(arguments.to_string().as_bytes())),
                text: match entry.input.text() {
                    Some(schema) => coerce::arguments(&arguments, schema).to_string(),
                    None => arguments.to_string(),
                },
            }
        };
        if work::is_small(arguments, SMALL) {
            Some(prepare())
        } else {
            self.executor.on_large(entry.origin, prepare).await
        }
    }

    async fn ask(
        &self,
        entry: &Arc<Entry>,
        arguments: String,
        cancel: CancellationToken,
        progress: ProgressSink,
    ) -> (Result<Value, Stop>, Usage) {
        let stopped = |reason: Reason| (Err(reason.into()), Usage::default());
        if arguments.len() > entry.limits.argument_bytes {
            return stopped(Reason::ArgumentsTooLarge {
                bytes: arguments.len(),
                limit: entry.limits.argument_bytes,
            });
        }
        let linked = tokio::select! {
            linked = entry.code.linked(&self.machine) => linked,
            () = cancel.cancelled() => return stopped(Reason::Cancelled),
        };
        let pre = match linked {
            Ok(pre) => pre,
            Err(reason) => return stopped(Reason::CodeUnavailable(reason)),
        };
        let name = entry.tool.name.as_str();
        let job = Job {
            name,
            pre,
            caller: entry.caller.clone(),
            limits: &entry.limits,
            origin: entry.origin,
            share: &entry.share,
            cancel: cancel.clone(),
            progress,
        };
        let ask = Ask::Call {
            name: name.to_owned(),
            arguments,
        };
        let (answer, mut usage) = self.executor.ask(job, ask).await;
        let output = match answer {
            Ok(Answer::Output(Ok(output))) => {
                usage.output_bytes = output.len() as u64;
                tokio::select! {
                    biased;
                    checked = self.checked(entry, output, &mut usage) => {
                        checked.map_err(Stop::from)
                    }
                    () = cancel.cancelled() => Err(Reason::Cancelled.into()),
                }
            }
            Ok(Answer::Output(Err(error))) => Err(Reason::Tool(error).into()),
            Ok(Answer::Tools(_)) => Err(Reason::HostDefect.into()),
            Err(stop) => Err(stop),
        };
        (output, usage)
    }

    /// The output as a value that fits the tool's own schema. What that takes is the call's.
    async fn checked(
        &self,
        entry: &Arc<Entry>,
        output: String,
        usage: &mut Usage,
    ) -> Result<Value, Reason> {
        if output.len() > entry.limits.output_bytes {
            return Err(Reason::OutputBudget {
                bytes: Some(output.len()),
                limit: entry.limits.output_bytes,
            });
        }
        let unread = if output.len() <= SMALL {
            let value = read(entry, &output)?;
            if entry.output.is_quick(&value) {
                return fitting(entry, value);
            }
            Unread::Value(value)
        } else {
            Unread::Text(output)
        };
        let check = {
            let entry = Arc::clone(entry);
            move || {
                let begun = thread_cpu_ns();
                let value = match unread {
                    Unread::Value(value) => Ok(value),
                    Unread::Text(text) => read(&entry, &text),
                };
                let checked = value.and_then(|value| fitting(&entry, value));
                (checked, thread_cpu_ns().saturating_sub(begun))
            }
        };
        let left = entry
            .limits
            .wall
            .saturating_sub(Duration::from_millis(usage.wall_ms));
        let begun = std::time::Instant::now();
        let checked = tokio::time::timeout(left, self.executor.on_large(entry.origin, check)).await;
        usage.wall_ms += u64::try_from(begun.elapsed().as_millis()).unwrap_or(0);
        match checked {
            Ok(Some((checked, cpu_ns))) => {
                usage.cpu_ms += cpu_ns / 1_000_000;
                checked
            }
            Ok(None) => Err(Reason::HostDefect),
            Err(_) => Err(Reason::WallBudget(entry.limits.wall)),
        }
    }
}

/// An output that was not checked yet.
enum Unread {
    Text(String),
    Value(Value),
}

fn read(entry: &Entry, output: &str) -> Result<Value, Reason> {
    let output: Value = serde_json::from_str(output)
        .map_err(|error| Reason::Malformed(format!("it is not JSON ({error})")))?;
    if !output.is_object() {
        return Err(Reason::Malformed("it is not a JSON object".to_owned()));
    }
    Ok(match entry.output.text() {
        Some(schema) => coerce::output(output, schema),
        None => output,
    })
}

fn fitting(entry: &Entry, output: Value) -> Result<Value, Reason> {
    if entry.output.is_too_much(&output) {
        return Err(Reason::TooMuchToCheck);
    }
    match entry.output.broken_by(&output).as_slice() {
        [] => Ok(output),
        found => Err(Reason::Malformed(found.join("; "))),
    }
}
