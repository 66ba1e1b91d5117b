//! Run a project: the [`Runs`] registry, the supervisor process, and the backends.
//!
//! Everything here blocks. A run belongs to a supervisor process of its own; [`Runs`] only starts it and reads its state.

pub mod backend;
pub mod event;
pub mod live;
pub mod plan;
pub mod user;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rookery_project::{Cancel, Project, Result, Roots};
use serde_json::Value;

/// How runs are started and where their state is kept.
#[derive(Debug, Clone)]
pub struct RunsConfig {
    /// Where the state of runs is kept, shared by all servers of this user.
    pub state_dir: PathBuf,
    /// The program that is started as `PROGRAM supervise …`: this program itself.
    pub program: PathBuf,
    /// Runs of projects outside these are not visible.
    pub roots: Roots,
}

/// All runs of this user on this machine. Returned values have the shapes that `wit/emulation.wit` and `wit/live.wit` give.
#[derive(Debug, Clone)]
pub struct Runs {
    config: RunsConfig,
}

impl Runs {
    /// Nothing is read or made yet.
    pub fn new(config: RunsConfig) -> Self {
        Self { config }
    }
    /// `emulation.start`; gives the run id.
    pub fn start(&self, _project: &Project, _options: &Value) -> Result<String> {
        let _ = &self.config;
        unimplemented!()
    }
    /// `emulation.status`
    pub fn status(&self, _run_id: &str) -> Result<Value> {
        unimplemented!()
    }
    /// `emulation.wait`: until the run has ended, `timeout` has passed, or `cancel`.
    pub fn wait(&self, _run_id: &str, _timeout: Duration, _cancel: &Cancel) -> Result<Value> {
        unimplemented!()
    }
    /// `emulation.stop`
    pub fn stop(&self, _run_id: &str) -> Result<Value> {
        unimplemented!()
    }
    /// `live.capabilities`
    pub fn capabilities(&self, _run_id: &str) -> Result<Value> {
        unimplemented!()
    }
    /// `live.command`
    pub fn command(&self, _run_id: &str, _argv: &[String], _options: &Value, _cancel: &Cancel) -> Result<Value> {
        unimplemented!()
    }
    /// `live.reach`
    pub fn reach(&self, _run_id: &str, _port: u16, _request: &Value, _cancel: &Cancel) -> Result<Value> {
        unimplemented!()
    }
    /// `live.hook`
    pub fn hook(&self, _run_id: &str, _request: &Value) -> Result<Value> {
        unimplemented!()
    }
    /// `live.snapshot`
    pub fn snapshot(&self, _run_id: &str, _request: &Value) -> Result<Value> {
        unimplemented!()
    }
}

/// The supervisor process: run what `spec` describes until it ends. Called by `rookery supervise SPEC`, before any thread is started.
pub fn supervise(_spec: &Path) -> std::process::ExitCode {
    unimplemented!()
}

/// What each backend needs and whether it is here: `[{"backend": "user", "available": true, "checks": [{"name": "…", "ok": true, "detail": "…",
/// "fix": "…"}]}]`. Shown by `rookery doctor`.
pub fn probe() -> Value {
    unimplemented!()
}
