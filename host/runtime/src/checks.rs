//! Arguments and results against the schemas of their tool: small ones at once, large ones on the
//! threads of the tool's instances, and none that would take too long.

use std::sync::{Arc, OnceLock};

use jsonschema::Validator;
use serde_json::Value;

use crate::Tool;
use crate::arguments;
use crate::work::{self, Work};

/// Bytes, and values, of what is looked at on the protocol's thread. Another thread wakes as fast
/// as that is done.
pub(crate) const SMALL: usize = 4 << 10;
/// Units of [`Work`] that are done there.
const SHORT: u64 = 100_000;

/// One of the schemas of a tool, made ready when it is first needed: making all of them would
/// double the time to start.
pub(crate) struct Schema {
    tool: Arc<Tool>,
    part: &'static str,
    made: OnceLock<Option<Made>>,
}

struct Made {
    validator: Validator,
    work: Work,
}

impl Schema {
    /// `part` is the schema's name in the definition of the tool.
    pub(crate) fn new(tool: &Arc<Tool>, part: &'static str) -> Self {
        Self {
            tool: Arc::clone(tool),
            part,
            made: OnceLock::new(),
        }
    }

    /// Its text, if the tool has it.
    pub(crate) fn text(&self) -> Option<&Value> {
        self.tool.definition.get(self.part)
    }

    fn made(&self) -> Option<(&Value, &Made)> {
        let text = self.text()?;
        // Admission has built this validator once before, so it can be built.
        let made = self.made.get_or_init(|| {
            Some(Made {
                validator: arguments::validator(text).ok()?,
                work: Work::of(text),
            })
        });
        Some((text, made.as_ref()?))
    }

    /// Whether checking `value` is done before another thread would have begun.
    pub(crate) fn is_quick(&self, value: &Value) -> bool {
        work::is_small(value, SMALL)
            && self
                .made()
                .is_none_or(|(_, made)| made.work.on(value) <= SHORT)
    }

    /// Whether checking `value` would take too long: it is not done.
    pub(crate) fn is_too_much(&self, value: &Value) -> bool {
        self.made()
            .is_some_and(|(_, made)| made.work.on(value) > work::MOST)
    }

    /// Ways in which `value` does not fit, in words, up to what is shown; empty when it does.
    pub(crate) fn violations(&self, value: &Value) -> Vec<String> {
        if self.is_too_much(value) {
            return vec![
                "they are so large that checking them against their schema would take more than a \
                 second; pass less at once"
                    .to_owned(),
            ];
        }
        self.made().map_or_else(Vec::new, |(text, made)| {
            arguments::violations(&made.validator, text, value)
        })
    }

    /// The same of a tool's own answer: its author is told where the schema says so.
    pub(crate) fn broken_by(&self, value: &Value) -> Vec<String> {
        self.made().map_or_else(Vec::new, |(text, made)| {
            let pointer = format!("/{}", self.part);
            arguments::violations_in(&pointer, &made.validator, text, value)
        })
    }
}
