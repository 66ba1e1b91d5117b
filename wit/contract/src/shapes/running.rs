//! What `emulation` and `live` give.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{RunState, ServiceAnswers, ServiceCounts};
use crate::Next;

/// `emulation`'s run status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunStatus {
    /// Names the run.
    pub run_id: String,
    /// `running`, `finished`, `stopped` or `failed`.
    #[schemars(with = "String")]
    pub status: RunState,
    /// `starting`, `preparing`, `booting`, `serving`, `stopping` or `ended`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// Why it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// `user` or `penguin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// The project, absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_dir: Option<String>,
    /// Where its results are, absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub results_dir: Option<String>,
    /// Seconds since its start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elapsed_s: Option<f64>,
    /// Seconds after which it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<u64>,
    /// Guest ports that can be reached from the host.
    #[serde(default)]
    pub endpoints: Vec<Endpoint>,
    /// How many of the guest's TCP ports are open, and how many answer; none where the backend does
    /// not ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub services: Option<ServiceCounts>,
    /// What the backend could not honour.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What was waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waited_for: Option<String>,
    /// Whether the wait ended because of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub met: Option<bool>,
    /// What came of a run that has ended, in a few lines; set by the tool, not by the host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub summary: Vec<String>,
    /// What to call next; set by the tool, not by the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Next>,
}

impl RunStatus {
    /// Whether it has not ended.
    pub fn is_running(&self) -> bool {
        self.status == RunState::Running
    }
}

/// A guest port and where the host reaches it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)]
pub struct Endpoint {
    pub procname: String,
    pub proto: String,
    pub guest_ip: String,
    pub guest_port: u16,
    pub host: String,
    pub host_port: u16,
    /// What a TCP service said when it was asked.
    #[serde(default, skip_serializing_if = "ServiceAnswers::is_empty")]
    pub answers: ServiceAnswers,
}

/// `live.capabilities`: what a run's backend offers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, clippy::struct_excessive_bools)]
pub struct Capabilities {
    #[serde(default)]
    pub command: bool,
    #[serde(default)]
    pub reach: bool,
    #[serde(default)]
    pub hook: bool,
    #[serde(default)]
    pub plugin: bool,
    #[serde(default)]
    pub snapshot: bool,
    /// Why one is not there.
    #[serde(default)]
    pub why: Map<String, Value>,
}

/// `live.command`: how a command in the guest ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)]
pub struct CommandOutput {
    pub exit_code: Option<i32>,
    pub signal: Option<i32>,
    #[serde(default)]
    pub stdout: String,
    #[serde(default)]
    pub stderr: String,
    #[serde(default)]
    pub truncated: bool,
    #[serde(default)]
    pub timed_out: bool,
}

/// `live.reach`: what a guest port answered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)]
pub struct Reached {
    #[serde(default)]
    pub connected: bool,
    /// Whether the guest itself is known to have answered, where `connected` does not say that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guest_answered: Option<bool>,
    #[serde(default)]
    pub received: Received,
    #[serde(default)]
    pub truncated: bool,
    /// Why nothing more came, where something went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Bytes from the guest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Received {
    /// As text; bytes that are not UTF-8 are replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// How many.
    #[serde(default)]
    pub bytes: u64,
    /// The bytes themselves, where they are not UTF-8: base64 in the standard alphabet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
}
