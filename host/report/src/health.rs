//! What the tool `health` answers, as far as the page shows it. A field that is missing says
//! nothing.

use rookery_contract::Next;
use serde::{Deserialize, Serialize, Serializer};

use crate::command::command;

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Health {
    pub panic: bool,
    pub compared: Option<Comparison>,
    pub blockers: Vec<Blocker>,
    pub findings: Vec<Finding>,
    pub notes: Vec<String>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Blocker {
    #[serde(rename = "blocker")]
    pub what: String,
    pub who: Who,
    pub missing: Option<Missing>,
    pub place: Option<String>,
    pub evidence: Vec<String>,
    #[serde(serialize_with = "as_commands")]
    pub fix: Vec<Next>,
    pub sure: Option<String>,
    pub hint: String,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Who {
    pub program: String,
    pub pid: Option<i64>,
    pub started_by: Vec<String>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Missing {
    pub kind: String,
    pub name: String,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Finding {
    #[serde(rename = "finding")]
    pub what: String,
    pub evidence: Vec<String>,
    #[serde(serialize_with = "as_commands")]
    pub next: Option<Next>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Comparison {
    pub verdict: String,
    pub with: String,
    pub listeners_gained: Vec<String>,
    pub listeners_lost: Vec<String>,
    pub answers_gained: Vec<String>,
    pub answers_lost: Vec<String>,
    pub blockers_gone: Vec<String>,
    pub blockers_new: Vec<String>,
    pub programs_new: Vec<String>,
    pub programs_gone: Vec<String>,
    pub crashes: Option<[u64; 2]>,
    pub changes: Vec<String>,
}

/// The page is read by people, who type commands.
fn as_commands<'a, S: Serializer>(
    calls: impl IntoIterator<Item = &'a Next>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(calls.into_iter().map(command))
}
