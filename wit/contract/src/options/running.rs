//! Options of `emulation` and `live`.
//!
//! A number above its limit is refused here: nobody wants a run or a request that ends sooner than
//! asked.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::number;

/// `emulation.start`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StartOptions {
    /// Seconds after which the run ends, from 1 to [`Self::MAX_TIMEOUT_S`]; by default the
    /// project's `core.timeout`, else [`Self::TIMEOUT_S`].
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "number::optional"
    )]
    pub timeout_s: Option<u32>,
    /// `auto`, `user` or `penguin`.
    #[serde(deserialize_with = "auto")]
    pub backend: String,
    /// What is tried: the run is as if this were in the patch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fragment: Option<Map<String, Value>>,
    /// Dotted paths whose value in the patch is left out of the trial first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub replace: Vec<String>,
}

impl StartOptions {
    /// The length of a run where neither its start nor its project says one.
    pub const TIMEOUT_S: u32 = 60;
    /// What such a run has at most, where its services are still being started after that.
    pub const EXTENDED_S: u32 = 120;
    /// What Penguin has for it, whose runs have no length of their own.
    pub const PENGUIN_S: u32 = 3600;
    /// The longest run: a week.
    pub const MAX_TIMEOUT_S: u32 = 7 * 24 * 3600;
}

impl Default for StartOptions {
    fn default() -> Self {
        Self {
            timeout_s: None,
            backend: AUTO.to_owned(),
            fragment: None,
            replace: Vec::new(),
        }
    }
}

/// What `emulation.wait-until` waits for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WaitOptions {
    /// `port`, `answers`, `console`, `exit` or `quiet`.
    pub until: String,
    /// The guest's port that is to be open, or to answer; any by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The regular expression that a line of the console is to match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// For how many seconds the console is to be without output: [`Self::QUIET_S`] by default.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "number::optional"
    )]
    pub quiet_s: Option<u32>,
}

impl WaitOptions {
    /// Where nothing is said.
    pub const QUIET_S: u32 = 10;
    /// The longest wait, in seconds, of a call whose client is told of progress.
    pub const LONGEST_S: u32 = 3600;
    /// The longest wait of any other call: clients give up after a minute.
    pub const UNTOLD_S: u32 = 50;
}

/// The first backend that works on this machine.
const AUTO: &str = "auto";

fn auto<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let backend = Option::deserialize(deserializer)?;
    Ok(backend.unwrap_or_else(|| AUTO.to_owned()))
}

/// `live.command`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CommandOptions {
    /// Kill it after this many milliseconds: 10 s by default, and at most [`Self::MAX_TIMEOUT_MS`].
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "number::optional"
    )]
    pub timeout_ms: Option<u32>,
    /// Keep at most this many bytes of each output stream: 64 KiB by default, and at most
    /// [`Self::MAX_BYTES`].
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "number::optional"
    )]
    pub max_bytes: Option<u32>,
}

impl CommandOptions {
    /// Where nothing is said.
    pub const TIMEOUT_MS: u32 = 10_000;
    /// The longest time that a request to a guest may take, in milliseconds.
    pub const MAX_TIMEOUT_MS: u32 = 300_000;
    /// Where nothing is said.
    pub const BYTES: u32 = 65_536;
    /// The most bytes that a request to a guest gives.
    pub const MAX_BYTES: u32 = 1 << 20;
}

/// The request of `live.reach`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReachOptions {
    /// `tcp`, or `udp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proto: Option<String>,
    /// An address inside the guest; by default 127.0.0.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// What to send; by default nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send: Option<Payload>,
    /// Give up after this many milliseconds: 5 s by default, and at most
    /// [`CommandOptions::MAX_TIMEOUT_MS`].
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "number::optional"
    )]
    pub timeout_ms: Option<u32>,
    /// End the answer once nothing more came for this many milliseconds; by default only that of a
    /// datagram, after 300.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "number::optional"
    )]
    pub idle_ms: Option<u32>,
    /// Keep at most this many bytes of the answer, as in [`CommandOptions`].
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "number::optional"
    )]
    pub max_bytes: Option<u32>,
}

impl ReachOptions {
    /// Where nothing is said.
    pub const TIMEOUT_MS: u32 = 5000;
}

/// Bytes for the guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "`send` must be text, or {\"base64\": \"…\"}")]
pub enum Payload {
    /// Text, sent as UTF-8.
    Text(String),
    /// Any bytes.
    Base64 {
        /// In the standard alphabet, with padding.
        base64: String,
    },
}
