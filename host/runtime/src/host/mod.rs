//! What an instance may ask of the host: one file for each WIT interface.
//!
//! A host function takes plain data, does its work on a blocking thread, and gives plain data back.
//! Every one goes through [`State::blocking`], which counts it, stops it when the call ends, and
//! keeps a defect of the host from taking more than the call with it.

mod binaries;
pub(crate) mod bindings;
mod called;
mod config;
mod config_mutation;
mod creation;
mod emulation;
mod error;
mod firmware;
mod http;
mod live;
mod log;
mod notes;
mod results;
mod stand_in;
mod tool_log;
mod toolbox;

use std::collections::BTreeSet;
use std::sync::Arc;

use rookery_project::{Cancel, Error, Firmware, Results, Roots};
use rookery_runs::Runs;
use serde::Serialize;
use serde_json::{Value, json};
use wasmtime::component::{HasSelf, Linker, Resource, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::decision::Refusal;
use crate::host::bindings::types;
use crate::interface::Interface;
use crate::limits::{Limits, MemoryLimiter};
use crate::meter::{Meter, WallClock};
use crate::seats::Chair;
use crate::stand_in::StandIn;
use crate::{Audit, text};

pub(crate) use called::{Left, Toolbox};
pub(crate) use tool_log::{Progress, ToolLog};

/// Longest reason in the audit.
const REASON_CHARS: usize = 1000;

/// What host functions work on, shared by all calls.
pub(crate) struct Services {
    pub(crate) roots: Roots,
    pub(crate) runs: Runs,
    /// What of a guest's analysis plugins the operator lets tools change.
    pub(crate) penguin_plugins: BTreeSet<String>,
    pub(crate) audit: Option<Arc<Audit>>,
    pub(crate) stand_in: Option<Arc<dyn StandIn>>,
}

/// The state of one call. It is dropped with its store when the call ends.
pub(crate) struct State {
    pub(crate) services: Arc<Services>,
    pub(crate) wasi: WasiCtx,
    pub(crate) table: ResourceTable,
    /// Who is called, for what belongs to it.
    pub(crate) caller: Caller,
    pub(crate) memory: MemoryLimiter,
    pub(crate) limits: Limits,
    pub(crate) meter: Arc<Meter>,
    pub(crate) log: ToolLog,
    pub(crate) progress: Progress,
    /// Its seat is given back while the instance waits for a run or a guest, so that waiting
    /// instances do not keep others from running.
    pub(crate) chair: Arc<Chair>,
    /// Where it may call other tools.
    pub(crate) toolbox: Option<Arc<dyn Toolbox>>,
}

/// The component of a call.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The plugin's name, which its notes are kept by.
    pub(crate) plugin: String,
    /// Whether it was granted to change configurations, which a trial does for one run.
    pub(crate) may_change: bool,
}

/// An open result directory.
pub struct RunResults(Arc<Results>);

/// An open root filesystem.
pub struct RootFilesystem(Arc<Firmware>);

/// Why a host function failed.
#[derive(Debug)]
pub enum HostError {
    /// The instance is told.
    Tool(Error),
    /// The call ends: the instance broke a rule or a budget.
    Trap(wasmtime::Error),
}

impl From<Error> for HostError {
    fn from(error: Error) -> Self {
        Self::Tool(error)
    }
}

impl From<wasmtime::component::ResourceTableError> for HostError {
    fn from(error: wasmtime::component::ResourceTableError) -> Self {
        Self::Trap(error.into())
    }
}

/// The instance made more host calls than its budget allows.
#[derive(Debug, thiserror::Error)]
#[error("more than {0} host calls")]
pub(crate) struct TooManyHostCalls(pub(crate) u64);

pub(crate) type HostResult<T> = Result<T, HostError>;

/// Raises a flag when it is dropped, be it because the work is done or because the call was.
struct CancelOnDrop(Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl State {
    /// Count one host call against the budget.
    pub(crate) fn count_host_call(&self) -> wasmtime::Result<()> {
        if self.meter.count_host_call() > self.limits.host_calls {
            return Err(TooManyHostCalls(self.limits.host_calls).into());
        }
        Ok(())
    }

    /// Do blocking work off the instance's thread. The work's flag is raised when this future is
    /// dropped; a panic in it is an error of this call.
    async fn blocking<T: Send + 'static>(
        &mut self,
        function: &'static str,
        work: impl FnOnce(&Services, &Cancel) -> rookery_project::Result<T> + Send + 'static,
    ) -> HostResult<T> {
        self.count_host_call().map_err(HostError::Trap)?;
        self.uncounted(function, work).await
    }

    /// [`Self::blocking`] as a part of a host call that was counted before.
    async fn uncounted<T: Send + 'static>(
        &mut self,
        function: &'static str,
        work: impl FnOnce(&Services, &Cancel) -> rookery_project::Result<T> + Send + 'static,
    ) -> HostResult<T> {
        let guard = CancelOnDrop(Cancel::default());
        let (services, cancel) = (Arc::clone(&self.services), guard.0.clone());
        let tool = self.log.tool().to_owned();
        let work = move || {
            let result = work(&services, &cancel);
            if let (Some(audit), Err(Error::Denied(why))) = (&services.audit, &result) {
                let refusal = Refusal::by(function, text::clean(why, REASON_CHARS));
                audit.refused(json!({ "tool": tool }), &refusal);
            }
            result
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(result) => Ok(result?),
            Err(defect) => {
                tracing::error!(function, %defect, "a host function panicked");
                Err(Error::Internal(format!(
                    "the host function {function} failed; this is a defect of Rookery, not of the \
                     arguments"
                ))
                .into())
            }
        }
    }

    /// [`Self::blocking`] for work that gives JSON. The text is made on the blocking thread,
    /// because it may be large.
    async fn json<T: Serialize>(
        &mut self,
        function: &'static str,
        work: impl FnOnce(&Services, &Cancel) -> rookery_project::Result<T> + Send + 'static,
    ) -> HostResult<String> {
        self.blocking(function, move |services, cancel| {
            to_json(&work(services, cancel)?)
        })
        .await
    }

    /// [`Self::json`] for what can wait for a guest: where there is a place to wait at, others have
    /// the seat meanwhile.
    async fn json_of_guest<T: Serialize>(
        &mut self,
        function: &'static str,
        work: impl FnOnce(&Services, &Cancel) -> rookery_project::Result<T> + Send + 'static,
    ) -> HostResult<String> {
        let _ = self.chair.leave();
        let answer = self.json(function, work).await;
        let paused = WallClock::pause(&self.meter);
        let seated = self.chair.sit().await;
        seated.map_err(|closed| HostError::Trap(closed.into()))?;
        drop(paused);
        answer
    }

    fn run_results(&self, resource: &Resource<RunResults>) -> HostResult<Arc<Results>> {
        Ok(Arc::clone(&self.table.get(resource)?.0))
    }

    fn root_filesystem(&self, resource: &Resource<RootFilesystem>) -> HostResult<Arc<Firmware>> {
        Ok(Arc::clone(&self.table.get(resource)?.0))
    }
}

/// A value as its JSON text.
fn to_json(value: &impl Serialize) -> rookery_project::Result<String> {
    serde_json::to_string(value)
        .map_err(|error| Error::Internal(format!("a value has no JSON form: {error}")))
}

/// The JSON that an instance gave as `what`.
fn parse(what: &str, text: &str) -> rookery_project::Result<Value> {
    serde_json::from_str(text).map_err(|error| {
        Error::InvalidArgument(format!(
            "{what} is not JSON ({error}); give JSON text, for example {{}}"
        ))
    })
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl types::Host for State {
    fn convert_error(&mut self, error: HostError) -> wasmtime::Result<types::Error> {
        match error {
            HostError::Trap(trap) => Err(trap),
            HostError::Tool(error) => Ok(error.into()),
        }
    }
}

/// Link one interface.
pub(crate) fn link(linker: &mut Linker<State>, interface: Interface) -> wasmtime::Result<()> {
    match interface {
        Interface::Types => {
            bindings::types::add_to_linker::<_, HasSelf<State>>(linker, |state| state)
        }
        Interface::Log => bindings::log::add_to_linker::<_, HasSelf<State>>(linker, |state| state),
        Interface::Config => {
            bindings::config::add_to_linker::<_, HasSelf<State>>(linker, |state| state)
        }
        Interface::ConfigMutation => {
            bindings::config_mutation::add_to_linker::<_, HasSelf<State>>(linker, |state| state)
        }
        Interface::Creation => {
            bindings::creation::add_to_linker::<_, HasSelf<State>>(linker, |state| state)
        }
        Interface::Results => {
            bindings::results::add_to_linker::<_, HasSelf<State>>(linker, |state| state)
        }
        Interface::Firmware => {
            bindings::firmware::add_to_linker::<_, HasSelf<State>>(linker, |state| state)
        }
        Interface::Notes => {
            bindings::notes::add_to_linker::<_, HasSelf<State>>(linker, |state| state)
        }
        Interface::Binaries => {
            bindings::binaries::add_to_linker::<_, HasSelf<State>>(linker, |state| state)
        }
        Interface::Emulation => {
            bindings::emulation::add_to_linker::<_, HasSelf<State>>(linker, |state| state)
        }
        Interface::Live => {
            bindings::live::add_to_linker::<_, HasSelf<State>>(linker, |state| state)
        }
        Interface::Http => {
            bindings::http::add_to_linker::<_, HasSelf<State>>(linker, |state| state)
        }
        Interface::Toolbox => {
            bindings::toolbox::add_to_linker::<_, HasSelf<State>>(linker, |state| state)
        }
    }
}
