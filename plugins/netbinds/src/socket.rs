//! One bound socket.

use std::collections::BTreeMap;
use std::fmt;

use rookery_plugin::shapes::{ServiceAnswer, Table};
use schemars::JsonSchema;
use serde::de::IntoDeserializer;
use serde::de::value::Error;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::answers::Answers;
use crate::bridges::Bridges;
use crate::row::cell;

/// What makes two rows the same socket: process name, protocol, address, port, and the process
/// where both files tell it.
type Key = [String; 5];

/// What the other files say of sockets.
pub struct Context {
    pub lifecycle: Lifecycle,
    pub bridges: Bridges,
    pub answers: Answers,
    /// The table of sockets is of a time before states: all that it lists was up.
    pub stateless: bool,
}

/// What became of a socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Listening,
    Pending,
    Transient,
    Closed,
    /// The file does not say.
    Unknown,
    /// A word of the file: another version of Penguin may know more states.
    #[serde(untagged)]
    Other(String),
}

impl State {
    fn read(word: &str) -> Self {
        let known: Result<_, Error> = Self::deserialize(word.into_deserializer());
        known.unwrap_or_else(|_| Self::Other(word.to_owned()))
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// A socket that a process bound.
#[derive(Serialize, JsonSchema)]
pub struct Socket {
    pub procname: String,
    pub proto: String,
    pub ip: String,
    /// 0 where the file has no port.
    pub port: u16,
    #[schemars(with = "String")]
    pub state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_port: Option<u16>,
    /// What it said when it was last asked
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<ServiceAnswer>,
    /// How often it was opened, where that is more than once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opened: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uptime_s: Option<f64>,
}

impl Socket {
    pub fn read(row: &Map<String, Value>, context: &Context) -> Self {
        let life = context.lifecycle.find(row);
        let (proto, ip) = (cell(row, "domain"), cell(row, "guest_ip"));
        let port = cell(row, "guest_port").parse().unwrap_or(0);
        let state = [
            cell(row, "state"),
            life.map_or("", |life| cell(life, "state")),
        ]
        .into_iter()
        .find(|state| !state.is_empty())
        .map_or(
            if context.stateless {
                State::Listening
            } else {
                State::Unknown
            },
            State::read,
        );
        let bridge = context.bridges.find(proto, ip, port);
        Self {
            procname: cell(row, "procname").to_owned(),
            proto: proto.to_owned(),
            ip: ip.to_owned(),
            port,
            state,
            host: bridge.map(|bridge| bridge.host.clone()),
            host_port: bridge.map(|bridge| bridge.port),
            answer: context.answers.find(proto, ip, port),
            opened: life
                .and_then(|life| cell(life, "open_count").parse().ok())
                .filter(|count| *count > 1),
            uptime_s: life.and_then(|life| cell(life, "total_uptime").parse().ok()),
        }
    }

    /// Sockets that are up first, then by port.
    pub fn order(&self) -> (u8, u16, &str, &str, &str) {
        let rank = match self.state {
            State::Listening => 0,
            State::Unknown => 1,
            State::Pending => 2,
            State::Closed => 3,
            State::Transient => 4,
            State::Other(_) => 5,
        };
        (rank, self.port, &self.proto, &self.ip, &self.procname)
    }
}

/// The rows of `netbinds_lifecycle.csv` by socket.
pub struct Lifecycle {
    rows: BTreeMap<Key, Map<String, Value>>,
    by_process: bool,
}

impl Lifecycle {
    /// `by_process` where the sockets have a process number too.
    pub fn new(table: Option<Table>, by_process: bool) -> Self {
        let table = table.unwrap_or_default();
        let by_process = by_process && table.columns.iter().any(|column| column == "pid");
        let rows = table.rows.into_iter();
        Self {
            rows: rows.map(|row| (key(&row, by_process), row)).collect(),
            by_process,
        }
    }

    fn find(&self, row: &Map<String, Value>) -> Option<&Map<String, Value>> {
        self.rows.get(&key(row, self.by_process))
    }
}

fn key(row: &Map<String, Value>, by_process: bool) -> Key {
    let pid = if by_process { "pid" } else { "" };
    ["procname", "domain", "guest_ip", "guest_port", pid].map(|column| cell(row, column).to_owned())
}
