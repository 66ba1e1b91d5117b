//! The device map: what programs asked of devices, files and boot arguments that are not there.

use rookery_project::Results;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Paths or names of each kind that are shown, and callers of one path.
const SHOWN: usize = 40;
const CALLERS: usize = 4;

#[derive(Default, Serialize)]
pub struct Devices {
    failures: Vec<Missed>,
    failures_total: usize,
    files: Vec<Missed>,
    files_total: u64,
    arguments: Vec<String>,
    arguments_total: usize,
}

/// A path that programs missed.
#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
struct Missed {
    path: String,
    hits: u64,
    callers: Vec<String>,
    /// What was done with a device, each kind with how often.
    uses: Vec<String>,
}

/// What the tool `missing_files` answers.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct MissingFiles {
    missing_files: Vec<Missed>,
    total: u64,
}

impl Devices {
    pub fn read(results: &Results, files: MissingFiles) -> Self {
        let yaml = |file: &str| results.read_yaml(file).unwrap_or_default();
        let failures = yaml("pseudofiles_failures.yaml");
        let failures = failures.as_object();
        let names = yaml("env_missing.yaml");
        let names: Vec<&str> = list(&names).filter_map(Value::as_str).collect();
        let paths = failures.into_iter().flatten().take(SHOWN);
        Self {
            failures: paths.map(|(path, entry)| missed(path, entry)).collect(),
            failures_total: failures.map_or(0, serde_json::Map::len),
            files: files.missing_files.into_iter().take(SHOWN).collect(),
            files_total: files.total,
            arguments_total: names.len(),
            arguments: names.into_iter().take(SHOWN).map(str::to_owned).collect(),
        }
    }
}

fn missed(path: &str, entry: &Value) -> Missed {
    let callers = list(&entry["callers"]).filter_map(Value::as_str);
    let uses = entry["events"].as_object().into_iter().flatten();
    let uses = uses.map(|(kind, event)| match event["count"].as_u64() {
        Some(count) => format!("{kind} × {count}"),
        None => kind.clone(),
    });
    Missed {
        path: path.to_owned(),
        hits: entry["impact"]["hits"].as_u64().unwrap_or(0),
        callers: callers.take(CALLERS).map(str::to_owned).collect(),
        uses: uses.take(CALLERS).collect(),
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
