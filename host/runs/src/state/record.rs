//! What the files of a run say.

use std::path::PathBuf;
use std::time::Duration;

use rookery_contract::shapes::{Endpoint, RunState, ServiceCounts};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::backend::{Check, Live};
use crate::plan::Plan;
use crate::state::process;
use crate::state::process::Identity;

/// What was asked for: all that is known of a run at first. Never changes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) run_id: String,
    pub(crate) project_dir: PathBuf,
    /// A name, or `auto`.
    pub(crate) backend: String,
    pub(crate) timeout_s: Option<u64>,
    /// What is tried in it, by the names of the keys.
    #[serde(default)]
    pub(crate) trial: Option<Vec<String>>,
}

/// That the run was asked to stop. Never changes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Stop {
    /// By [`process::uptime`].
    overdue: f64,
}

impl Stop {
    /// The run has to be over within `grace`.
    pub(super) fn within(grace: Duration) -> Self {
        Self {
            overdue: process::uptime() + grace.as_secs_f64(),
        }
    }

    /// Whether the supervisor has had the time that its backend needs.
    pub(crate) fn is_overdue(&self) -> bool {
        process::uptime() > self.overdue
    }
}

/// What a supervisor is to do. Never changes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub(crate) run_id: String,
    pub(crate) backend: String,
    pub(crate) plan: Plan,
    /// The effective configuration that the plan was built from.
    pub(crate) config: Value,
    /// What the backend found on this machine when it was chosen.
    pub(crate) host: Vec<Check>,
    /// How many runs this machine takes at once, where the operator says it.
    #[serde(default)]
    pub(crate) at_once: Option<usize>,
}

/// What has become of a run. Replaced as a whole.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) status: Status,
    pub(crate) phase: String,
    pub(crate) reason: Option<String>,
    /// The process that answers for the run: first the one that starts it, then its supervisor.
    pub(crate) owner: Identity,
    /// By [`process::uptime`].
    pub(crate) started: f64,
    /// How long the run may last; 0 where it is not known.
    #[serde(default)]
    pub(crate) timeout_s: u64,
    /// Set once the run has ended.
    pub(crate) elapsed_s: Option<f64>,
    pub(crate) endpoints: Vec<Endpoint>,
    /// None where no service was asked.
    #[serde(default)]
    pub(crate) services: Option<ServiceCounts>,
    pub(crate) notes: Vec<String>,
    pub(crate) live: Live,
    /// Its supervisor died, and what that may have left has not been cleared up.
    #[serde(default)]
    pub(crate) orphaned: bool,
}

/// As in [`RunState`], and strict: a record with another word is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Running,
    Finished,
    Stopped,
    Failed,
}

impl From<Status> for RunState {
    fn from(status: Status) -> Self {
        match status {
            Status::Running => Self::Running,
            Status::Finished => Self::Finished,
            Status::Stopped => Self::Stopped,
            Status::Failed => Self::Failed,
        }
    }
}

/// A supervisor that lives on for longer than its run may last, and this, ends itself or is stuck.
const OVERTIME: Duration = Duration::from_secs(1);

/// The phase of a run whose supervisor has not taken over yet.
const STARTING: &str = "starting";

impl State {
    pub(crate) fn starting(live: Live, notes: Vec<String>) -> Self {
        Self {
            status: Status::Running,
            phase: STARTING.into(),
            reason: None,
            owner: Identity::own(),
            started: process::uptime(),
            timeout_s: 0,
            elapsed_s: None,
            endpoints: Vec::new(),
            services: None,
            notes,
            live,
            orphaned: false,
        }
    }

    /// Whether the supervisor has taken the run over from the process that started it.
    pub(crate) fn is_supervised(&self) -> bool {
        self.phase != STARTING
    }

    /// Whether the run should have been over by now.
    pub(super) fn is_overdue(&self) -> bool {
        let lasts = Duration::from_secs(self.timeout_s) + OVERTIME;
        self.timeout_s > 0 && process::uptime() - self.started > lasts.as_secs_f64()
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.status != Status::Running
    }

    /// Mark as ended now.
    pub(crate) fn end(&mut self, status: Status, reason: impl Into<String>) {
        self.status = status;
        self.reason = Some(reason.into());
        self.phase = "ended".into();
        self.elapsed_s = Some(self.elapsed());
        self.endpoints.clear();
    }

    pub(crate) fn elapsed(&self) -> f64 {
        self.elapsed_s.unwrap_or_else(|| {
            ((process::uptime() - self.started).max(0.0) * 1000.0).round() / 1000.0
        })
    }
}
