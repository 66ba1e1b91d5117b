//! What is known of one path that lacks a model.

use std::collections::{BTreeMap, BTreeSet};

use rookery_project::device_kinds::DeviceKind;
use serde_yaml::{Mapping, Value};

use crate::event::{Operation, Written};

const MAX_COMMANDS: usize = 256;
/// Different writes that are shown.
const MAX_SENT: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Failure {
    pub(super) hits: u64,
    pub(super) callers: BTreeSet<(String, u32)>,
    pub(super) opens: u64,
    pub(super) opened_for_writing: bool,
    pub(super) reads: u64,
    pub(super) writes: u64,
    /// What was written, each once, in its order.
    pub(super) sent: Vec<Written>,
    pub(super) ioctls: BTreeMap<u32, u64>,
}

impl Failure {
    pub(super) fn note(&mut self, operation: &Operation, times: u64) {
        match operation {
            Operation::Open { write } => {
                self.opens += times;
                self.opened_for_writing |= write;
            }
            Operation::Read => self.reads += times,
            Operation::Write(written) => {
                self.writes += times;
                let shown = written.bytes > 0 && self.sent.len() < MAX_SENT;
                if shown && !self.sent.contains(written) {
                    self.sent.push(written.clone());
                }
            }
            Operation::Ioctl { command } => {
                if self.ioctls.len() < MAX_COMMANDS || self.ioctls.contains_key(command) {
                    *self.ioctls.entry(*command).or_default() += times;
                }
            }
        }
    }

    pub(super) fn events(&self) -> Mapping {
        let count = |count: u64| mapping([("count", Value::from(count))]);
        let mut events = Mapping::new();
        for (name, hits) in [("open", self.opens), ("default_read", self.reads)] {
            if hits > 0 {
                events.insert(name.into(), count(hits).into());
            }
        }
        if self.writes > 0 {
            let mut writes = count(self.writes);
            if !self.sent.is_empty() {
                let details: Vec<Value> = self.sent.iter().map(detail).collect();
                writes.insert("details".into(), details.into());
            }
            events.insert("default_write".into(), writes.into());
        }
        if !self.ioctls.is_empty() {
            let commands: Mapping = self
                .ioctls
                .iter()
                .map(|(command, hits)| (Value::from(*command), count(*hits).into()))
                .collect();
            events.insert("ioctl".into(), commands.into());
        }
        events
    }

    /// A guess for the file `path`. Where its kind is known, it is what such a device is at rest;
    /// one that stores settings would lose them by an answer that is made up.
    pub(super) fn suggest(&self, path: &str) -> Mapping {
        if let Some(kind) = DeviceKind::of_path(path) {
            let model = kind.at_rest(None).and_then(|model| {
                let Ok(Value::Mapping(model)) = serde_yaml::to_value(model) else {
                    return None;
                };
                Some(model)
            });
            return model.unwrap_or_default();
        }
        // A description of the hardware: whoever finds a property believes it.
        let describes = path.contains("device-tree");
        let model = |model: &str| Value::from(mapping([("model", model.into())]));
        let mut suggest = Mapping::new();
        // An event of an open for writing does not tell whether reading was wanted, too.
        if (self.opens > 0 || self.reads > 0) && !describes {
            suggest.insert("read".into(), model("zero"));
        }
        if self.opened_for_writing || self.writes > 0 {
            suggest.insert("write".into(), model("discard"));
        }
        if !self.ioctls.is_empty() {
            let answer = mapping([("model", "return_const".into()), ("val", 0.into())]);
            suggest.insert("ioctl".into(), mapping([("*", answer.into())]).into());
        }
        suggest
    }
}

/// A write as Penguin notes it.
fn detail(written: &Written) -> Value {
    let payload = data_encoding::HEXLOWER.encode(&written.payload);
    mapping([("payload", payload.into()), ("len", written.bytes.into())]).into()
}

fn mapping<const N: usize>(entries: [(&str, Value); N]) -> Mapping {
    entries
        .into_iter()
        .map(|(key, value)| (key.into(), value))
        .collect()
}
