//! The runtime: what was admitted, and calls to it.

mod calls;
mod decisions;
mod install;
mod nest;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use rookery_runs::backend::Live;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use self::calls::{By, Calls, Prepared};
use self::nest::Nest;
use crate::admission::{BuiltIn, Gate};
use crate::audit::Call;
use crate::cache::Cache;
use crate::code::Machine;
use crate::compiler::Compiler;
use crate::engine::TickingEngine;
use crate::executor::Executor;
use crate::failure::{Reason, Stop};
use crate::host::Services;
use crate::installed::Installed;
use crate::known_files::KnownFiles;
use crate::limits::SharedMemory;
use crate::linker::Linkers;
use crate::policy::{Selection, cores};
use crate::registry::Registry;
use crate::seats::{Origin, Seats};
use crate::threads::Threads;
use crate::{
    Audit, Failure, Lock, Policy, ProgressSink, RuntimeConfig, Success, Tool, Usage,
    component_file, text,
};

/// Longest message of a failed call in the log.
const LOGGED_CHARS: usize = 500;

/// All admitted components.
pub struct Runtime {
    calls: Calls,
    seats: Seats,
    policy: Policy,
    selection: Selection,
    lock: Option<Lock>,
    audit: Option<Arc<Audit>>,
    built_in: BuiltIn,
    /// What some backend of this machine has.
    offers: Live,
    known_files: KnownFiles,
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
        let waiting = config.policy.waiting_calls();
        let instances = u32::try_from(Seats::instances(seats, waiting)).unwrap_or(u32::MAX);
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
            calls: Calls {
                machine: Arc::new(machine),
                executor: Arc::new(executor),
                audit: audit.clone(),
                registry: Arc::default(),
            },
            seats: Seats::new(seats, waiting),
            policy: config.policy,
            selection,
            lock: config.lock,
            audit,
            built_in: BuiltIn::in_dir(config.built_in.as_deref()),
            offers,
        })
    }

    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What admission works with.
    pub(crate) fn parts(&self) -> Gate<'_> {
        Gate {
            machine: &self.calls.machine,
            executor: &self.calls.executor,
            seats: &self.seats,
            policy: &self.policy,
            lock: self.lock.as_ref(),
            built_in: &self.built_in,
            again: false,
            known_files: &self.known_files,
        }
    }

    pub(crate) fn machine(&self) -> &Machine {
        &self.calls.machine
    }

    /// Keep what was found out about files, for the next start.
    pub(crate) fn keep_known_files(&self) {
        self.known_files.keep(&self.calls.machine.cache);
    }

    pub(crate) fn origin(&self, file: &Path) -> Origin {
        if self.built_in.holds(file) {
            Origin::BuiltIn
        } else {
            Origin::Added
        }
    }

    fn registry(&self) -> Arc<Registry> {
        self.calls.registry()
    }

    /// All tools by name.
    pub fn tools(&self) -> BTreeMap<String, Arc<Tool>> {
        self.registry().tools().clone()
    }

    /// Threads for what takes long and must not hold up a protocol, such as shaping a large answer.
    pub fn threads(&self) -> Option<&Handle> {
        self.calls.executor.threads(Origin::BuiltIn)
    }

    /// All violations of the tool's input schema, in words; empty when `arguments` fit. A member
    /// that is null and need not be there counts as left out. A tool that does not exist violates
    /// nothing: [`Self::call`] says so.
    pub async fn check_arguments(&self, tool: &str, arguments: &Arc<Value>) -> Vec<String> {
        match self.registry().entry(tool) {
            Some(entry) => self.calls.violations(entry, arguments).await,
            None => Vec::new(),
        }
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
        if !self.calls.are_recorded() {
            let stop = Stop::from(Reason::Unrecorded);
            return Err(stop.into_failure(tool, Usage::default()));
        }
        let prepared = self.calls.prepare(entry, arguments).await;
        let (answer, usage) = match prepared {
            Some(Prepared { text, digest }) => {
                let toolbox = Nest::of(&self.calls, entry);
                let by = By::Client { cancel, progress };
                let asked = self.calls.ask(entry, &entry.limits, text, toolbox, by);
                let (answer, usage) = asked.await;
                if let (Some(audit), Some(digest)) = (&self.audit, digest) {
                    audit.call(&Call {
                        tool,
                        served: Some(&entry.tool),
                        arguments: &digest,
                        failure: answer.as_ref().err().map(Stop::kind),
                        rule: None,
                        by: None,
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
}
