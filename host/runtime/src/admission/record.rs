//! What is kept of an admission, so that it costs nothing the next time.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::hints::Effect;
use crate::compiler::CompileLimits;

/// What admission found out about a component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Full names of all its imports.
    pub(crate) imports: Vec<String>,
    pub(crate) outcome: Outcome,
}

/// How a component that was compiled and asked for its tools came out of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    Tools(Found),
    Refused {
        reason: String,
        /// The limits that it broke, if it was that: others may do.
        broke: Option<Broken>,
        /// The build of this program that refused it: another one may not.
        build: String,
    },
}

/// What a sound component holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Found {
    /// What it can do by what it imports.
    pub(crate) effect: Effect,
    /// Its tools, definitions normalised.
    pub(crate) tools: Vec<(String, Value)>,
}

/// Limits that were too narrow for a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Broken {
    Compile(CompileLimits),
    /// Of `describe`: bytes of memory.
    Describe(u64),
}
