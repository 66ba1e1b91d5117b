//! Requests to a running guest (`wit/live.wit`).

pub mod action;
mod hook;

use std::time::Duration;

use data_encoding::BASE64;
use rookery_contract::options::{
    HookOptions, HookOutputOptions, PluginOptions, SnapshotOptions, UnhookOptions,
};
use rookery_contract::shapes::{
    HookOutput, Hooked, Hooks, PluginControl, Received, Snapshots, Snapshotted, Unhooked,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::action::Action;
pub use self::hook::{Hooking, Target};

/// Run a command inside the guest.
#[derive(Debug, Clone)]
pub struct CommandRequest {
    /// Executed without a shell.
    pub argv: Vec<String>,
    /// Kill it after this long.
    pub timeout: Duration,
    /// Keep at most this much of each output stream.
    pub max_bytes: usize,
}

/// Send bytes to a port of the guest.
#[derive(Debug, Clone)]
pub struct ReachRequest {
    /// `tcp` or `udp`.
    pub proto: String,
    /// An address inside the guest.
    pub host: String,
    /// The port.
    pub port: u16,
    /// What to send.
    pub send: Vec<u8>,
    /// Give up after this long.
    pub timeout: Duration,
    /// The answer is over once nothing more came for this long; by default only a datagram's.
    pub idle: Option<Duration>,
    /// Keep at most this much of the answer.
    pub max_bytes: usize,
}

/// A model of a file that is changed in a running guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelChange {
    /// A file of the guest.
    pub path: String,
    /// As in the section `pseudofiles`; what is left out stays.
    pub models: Map<String, Value>,
}

/// What watches or changes a guest from outside it, as `wit/live.wit` has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", content = "with", rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum LiveRequest {
    Hook(HookOptions),
    Hooks,
    Unhook(UnhookOptions),
    HookOutput(HookOutputOptions),
    Model(ModelChange),
    Plugin(PluginOptions),
    Snapshot(SnapshotOptions),
    Snapshots,
}

impl LiveRequest {
    /// What a backend needs for it, by its name in `live.capabilities`.
    pub fn needs(&self) -> &'static str {
        match self {
            Self::Hook(_) | Self::Hooks | Self::Unhook(_) | Self::HookOutput(_) => "hook",
            Self::Model(_) => "model",
            Self::Plugin(_) => "plugin",
            Self::Snapshot(_) | Self::Snapshots => "snapshot",
        }
    }
}

/// The answer to a [`LiveRequest`] of the same name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[allow(missing_docs)]
pub enum LiveAnswer {
    Hooked(Hooked),
    Hooks(Hooks),
    Unhooked(Unhooked),
    HookOutput(HookOutput),
    /// Notes.
    Model(Vec<String>),
    Plugin(PluginControl),
    Snapshotted(Snapshotted),
    Snapshots(Snapshots),
}

/// Bytes of the guest, as the contract has them.
pub fn received(bytes: &[u8]) -> Received {
    Received {
        text: Some(String::from_utf8_lossy(bytes).into_owned()),
        bytes: bytes.len() as u64,
        base64: std::str::from_utf8(bytes)
            .is_err()
            .then(|| BASE64.encode(bytes)),
    }
}

/// Whether this can be the name of a Penguin plugin; a path, which Penguin would load code from,
/// cannot.
pub fn is_plugin_name(name: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && name.len() <= 64 && name.chars().all(word)
}
