//! Runs of a project: the [`Runs`] of this machine, their supervisor process, and what a backend
//! is.
//!
//! Everything here blocks. A run belongs to a supervisor process of its own; [`Runs`] only starts
//! it and reads its state.
//!
//! `plan` says what is to be run; a [`backend`] runs it and reports events, which `rookery-records`
//! writes down. `registry` starts runs and answers for them, `state` is what is on disk of each,
//! `supervisor` is the process that owns one, and `control` carries requests to it.

pub mod asking;
pub mod backend;
mod control;
mod http;
pub mod keeping;
pub mod live;
pub mod penguin;
pub mod plan;
pub mod ports;
mod registry;
mod remodel;
mod state;
mod supervisor;
mod trial_files;
pub mod waiting;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rookery_contract::options::{
    ApplyOptions, CommandOptions, HttpOptions, PluginOptions, ReachOptions, StartOptions,
};
use rookery_contract::shapes::{
    Capabilities, CommandOutput, HttpAnswer, PluginControl, Reached, RunStatus,
};
use rookery_project::{Cancel, Changed, Project, Result, Roots};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::backend::{Availability, Live};
#[doc(hidden)]
pub use crate::control::read_control_line;
#[doc(hidden)]
pub use crate::http::read_http_answer;
use crate::keeping::Limits;
use crate::live::LiveRequest;
use crate::ports::Ports;
pub use crate::registry::{Backends, Registry};
use crate::state::store::unknown;
pub use crate::supervisor::supervise;

/// What each backend needs and whether it is here. Shown by `rookery doctor`.
pub fn probe(backends: Backends) -> Vec<Availability> {
    backends().iter().map(|backend| backend.probe()).collect()
}

/// How runs are started and where their state is kept.
#[derive(Debug, Clone)]
pub struct RunsConfig {
    /// Where the state of runs is kept, shared by all servers of this user.
    pub state_dir: PathBuf,
    /// The program that is started as `PROGRAM supervise …`: this program itself.
    pub program: PathBuf,
    /// What runs may be run by, the preferred one first; [`supervise`] is given the same.
    pub backends: Backends,
    /// Runs of projects outside these are not visible.
    pub roots: Roots,
    /// The bytes of memory that a guest may have, where that is not what it has by default.
    pub guest_memory: Option<u64>,
    /// Whether guests whose projects ask for it get a way out of their network.
    pub way_out: bool,
}

/// All runs of this user on this machine.
#[derive(Debug, Clone)]
pub struct Runs {
    registry: Registry,
    roots: Roots,
    keep: Limits,
}

impl Runs {
    /// Nothing is read or made yet.
    pub fn new(config: RunsConfig) -> Self {
        Self {
            registry: Registry::new(config.state_dir, config.program, config.backends)
                .with_guest_memory(config.guest_memory)
                .with_way_out(config.way_out),
            roots: config.roots,
            keep: Limits::default(),
        }
    }
    /// Let guests have the ports of the host that the operator names.
    #[must_use]
    pub fn with_ports(self, ports: Ports) -> Self {
        Self {
            registry: self.registry.with_ports(ports),
            ..self
        }
    }
    /// So many runs of this machine are under way at once, and the others wait for their turn; by
    /// default as many as its processors and its memory can bear.
    #[must_use]
    pub fn with_at_once(self, at_once: Option<usize>) -> Self {
        Self {
            registry: self.registry.with_at_once(at_once),
            ..self
        }
    }
    /// So much is kept of runs that are over, and of what was unpacked for them.
    #[must_use]
    pub fn with_quota(self, keep: Limits) -> Self {
        Self {
            registry: self.registry.with_cache_max(keep.caches),
            keep,
            ..self
        }
    }
    /// `emulation.start`; gives the run id, which `named` is told before anything is slow.
    pub fn start(
        &self,
        project: &Project,
        options: &StartOptions,
        named: impl FnOnce(&str),
        cancel: &Cancel,
    ) -> Result<String> {
        let reader = project.clone();
        let (trial, replace) = (options.fragment.clone(), options.replace.clone());
        let config = move |by_penguin: bool| match trial.map(Value::Object) {
            Some(fragment) if by_penguin => reader
                .tried_by_penguin(&fragment, &replace)
                .map(|(config, files)| (config, Some(files))),
            Some(fragment) => Ok((reader.tried(&fragment, &replace)?, None)),
            None if by_penguin => Ok((Value::Object(reader.effective()?.config), None)),
            None => Ok((reader.for_embedded()?, None)),
        };
        let begun = self
            .registry
            .begin(project.dir(), options, config, named, cancel)?;
        self.keep_house(project.dir());
        Ok(begun)
    }
    /// Remove what is beyond the quota, beside the run that has begun in `project`.
    fn keep_house(&self, project: &Path) {
        if self.keep == Limits::default() {
            return;
        }
        let (roots, keep, project) = (self.roots.clone(), self.keep.clone(), project.to_owned());
        let work = move || keeping::keep(&roots, &project, &keep);
        if let Err(error) = thread::Builder::new()
            .name("keeps-house".into())
            .spawn(work)
        {
            tracing::warn!(%error, "nothing is removed that is beyond the quota");
        }
    }
    /// `emulation.status`
    pub fn status(&self, run_id: &str) -> Result<RunStatus> {
        self.visible(run_id)?.status(run_id)
    }
    /// `emulation.wait`: until the run has ended, `timeout` has passed, or `cancel`.
    pub fn wait(&self, run_id: &str, timeout: Duration, cancel: &Cancel) -> Result<RunStatus> {
        self.visible(run_id)?.wait(run_id, timeout, cancel)
    }
    /// `emulation.stop`
    pub fn stop(&self, run_id: &str) -> Result<RunStatus> {
        self.visible(run_id)?.stop(run_id)
    }
    /// Every run that is visible, those under way first.
    pub fn list(&self) -> Vec<RunStatus> {
        let mut runs = self.registry.list();
        runs.retain(|run| {
            let project = run.project_dir.as_deref();
            project.is_some_and(|project| self.roots.contains(project.as_ref()))
        });
        runs
    }
    /// `config-mutation.apply` with a run: change the models of its guest's files. `fragment` is
    /// checked as one of the patch; the answer says what such a change would make of the project.
    pub fn remodel(
        &self,
        run_id: &str,
        project: &Project,
        fragment: &Value,
        options: &ApplyOptions,
        cancel: &Cancel,
    ) -> Result<Changed> {
        remodel::remodel(
            self.visible(run_id)?,
            run_id,
            project,
            fragment,
            options,
            cancel,
        )
    }
    /// `live.running`
    pub fn running(&self, project: &Project) -> Result<String> {
        self.registry.running(project.dir())
    }
    /// `live.capabilities`
    pub fn capabilities(&self, run_id: &str) -> Result<Capabilities> {
        self.visible(run_id)?.capabilities(run_id)
    }
    /// `live.command`
    pub fn command(
        &self,
        run_id: &str,
        argv: &[String],
        options: &CommandOptions,
        cancel: &Cancel,
    ) -> Result<CommandOutput> {
        self.visible(run_id)?.command(run_id, argv, options, cancel)
    }
    /// `live.reach`
    pub fn reach(
        &self,
        run_id: &str,
        port: u16,
        request: &ReachOptions,
        cancel: &Cancel,
    ) -> Result<Reached> {
        self.visible(run_id)?.reach(run_id, port, request, cancel)
    }
    /// `http.request`
    pub fn http(&self, run_id: &str, request: &HttpOptions, cancel: &Cancel) -> Result<HttpAnswer> {
        self.visible(run_id)?.http(run_id, request, cancel)
    }
    /// The functions of `live` that watch or change the guest from outside it; `T` is the shape of
    /// the request's answer.
    pub fn live<T: DeserializeOwned>(
        &self,
        run_id: &str,
        request: LiveRequest,
        cancel: &Cancel,
    ) -> Result<T> {
        self.visible(run_id)?.live(run_id, request, cancel)
    }
    /// `live.control-plugin`, of the plugins that the operator allows to be changed.
    pub fn control_plugin(
        &self,
        run_id: &str,
        request: PluginOptions,
        allowed: &BTreeSet<String>,
        cancel: &Cancel,
    ) -> Result<PluginControl> {
        self.visible(run_id)?
            .control_plugin(run_id, request, allowed, cancel)
    }
    /// What some backend that may be on this machine has for a running guest.
    pub fn offers(&self) -> Live {
        self.registry.offers()
    }

    /// The registry, for a run of a project below the roots; any other run does not exist for the
    /// caller.
    fn visible(&self, run_id: &str) -> Result<&Registry> {
        if self.roots.contains(&self.registry.project_dir(run_id)?) {
            Ok(&self.registry)
        } else {
            Err(unknown(run_id))
        }
    }
}
