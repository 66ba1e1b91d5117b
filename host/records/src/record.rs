//! `rookery_run.json`: what is to be known of a run that Penguin has no file for.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rookery_project::{Result, regular};
use serde::Serialize;
use serde_json::{Value, json};

use crate::collect::Collectors;
use crate::collect::bridges::HOST;
use crate::event::What;
use crate::file::{one_line, write_atomic};
use crate::outcome::Outcome;
use crate::subject::Subject;

const NAME: &str = "rookery_run.json";
/// Distinct things that were faked, in all.
const MAX_FAKED: usize = 200;
const MAX_DETAIL: usize = 160;
/// How events that were only counted are called among the drops.
const REPEATED: &str = "repeated events";

/// The record of a run, written at its start and again at its end.
#[derive(Debug, Serialize)]
pub struct Record {
    schema_version: u32,
    run_id: String,
    backend: &'static str,
    version: &'static str,
    project_dir: PathBuf,
    #[serde(skip)]
    results_dir: PathBuf,
    arch: String,
    init: String,
    timeout_s: u64,
    /// What the backend found on this machine, the emulator's version among it.
    host: Value,
    elapsed_s: Option<f64>,
    /// How long the guest has run, from the start of its init; none before.
    guest_s: Option<f64>,
    outcome: Option<Value>,
    reason: Option<String>,
    /// How often each thing was faked: `{"init_module": {"/lib/x.ko": 1}}`.
    faked: BTreeMap<String, BTreeMap<String, u64>>,
    /// Entries that did not fit, by file.
    dropped: BTreeMap<&'static str, u64>,
    /// Files that could not be written, and why.
    failures: BTreeMap<&'static str, String>,
}

impl Record {
    /// `host` is what the backend found on this machine.
    pub fn new(subject: &Subject, host: Value) -> Self {
        Self {
            schema_version: 1,
            run_id: subject.run_id.clone(),
            backend: subject.backend,
            version: env!("CARGO_PKG_VERSION"),
            project_dir: subject.project_dir.clone(),
            results_dir: subject.results_dir.clone(),
            arch: subject.arch.clone(),
            init: subject.init.clone(),
            timeout_s: subject.timeout_s,
            host,
            elapsed_s: None,
            guest_s: None,
            outcome: None,
            reason: None,
            faked: BTreeMap::new(),
            dropped: BTreeMap::new(),
            failures: BTreeMap::new(),
        }
    }

    /// The backend answered `syscall` without doing what was asked.
    pub fn faked(&mut self, syscall: &str, detail: &str) {
        let detail: String = one_line(detail).chars().take(MAX_DETAIL).collect();
        let kinds: usize = self.faked.values().map(BTreeMap::len).sum();
        let details = self.faked.entry(syscall.to_owned()).or_default();
        if kinds < MAX_FAKED || details.contains_key(&detail) {
            *details.entry(detail).or_default() += 1;
        } else {
            *self.dropped.entry("faked").or_default() += 1;
        }
    }

    /// Events that were counted and not reported one by one. The files that count them are right,
    /// all others lack them.
    pub fn repeated(&mut self, what: &What, times: u64) {
        if !matches!(what, What::Unmodelled { .. }) {
            *self.dropped.entry(REPEATED).or_default() += times;
        }
    }

    /// A note on what was repeated so often that it is not in the result files.
    pub fn repeated_note(&self) -> Option<String> {
        let times = self.dropped.get(REPEATED)?;
        Some(format!(
            "{times} events that repeated earlier ones of the same program are missing from the \
             result files, which hold the first of each kind only"
        ))
    }

    /// One note for each syscall that was faked. The details, which are the guest's text, stay in
    /// the file.
    pub fn faked_notes(&self) -> Vec<String> {
        let note = |(syscall, details): (&String, &BTreeMap<String, u64>)| {
            format!(
                "{}; {NAME} has the details",
                came_to(syscall, details.values().sum())
            )
        };
        self.faked.iter().map(note).collect()
    }

    /// Take over what the collectors dropped, and what they could not write.
    pub fn counted(&mut self, collectors: &mut Collectors) {
        self.guest_s = collectors.guest_time().map(|time| time.as_secs_f64());
        let (dropped, failures) = collectors.drops();
        self.dropped.extend(dropped);
        self.failures.extend(failures);
    }

    /// A note on the files that could not be written.
    pub fn failures_note(&self) -> Option<String> {
        let why = self.failures.values().next()?;
        let files: Vec<_> = self.failures.keys().copied().collect();
        Some(format!(
            "result files are missing or incomplete because they could not be written ({why}): {}",
            files.join(", ")
        ))
    }

    /// The run ended.
    pub fn ended(&mut self, outcome: &Result<Outcome>, reason: &str, elapsed_s: f64) {
        self.outcome = Some(match outcome {
            Ok(outcome) => serde_json::to_value(outcome).unwrap_or_default(),
            Err(_) => json!({ "outcome": "failed" }),
        });
        self.reason = Some(reason.to_owned());
        self.elapsed_s = Some(elapsed_s);
    }

    /// Write the file, with the run's `notes`.
    pub fn write(&mut self, notes: &[String]) {
        let mut value = serde_json::to_value(&*self).unwrap_or_default();
        if let Some(object) = value.as_object_mut() {
            object.insert("notes".into(), json!(notes));
        }
        let text = serde_json::to_string_pretty(&value).unwrap_or_default() + "\n";
        match write_atomic(&self.results_dir.join(NAME), text.as_bytes()) {
            Ok(()) => self.failures.remove(NAME),
            Err(error) => self.failures.insert(NAME, error.to_string()),
        };
    }

    /// The host's address at which forwarded ports answer.
    pub fn host(&self) -> String {
        let written = regular::read(&self.results_dir.join("guest_ip"), 4096).unwrap_or_default();
        String::from_utf8_lossy(&written)
            .trim()
            .parse::<std::net::IpAddr>()
            .map_or_else(|_| HOST.to_owned(), |ip| ip.to_string())
    }
}

/// What came of a syscall that was faked.
fn came_to(syscall: &str, times: u64) -> String {
    match syscall {
        "exit_group" => "init has ended, and the guest went on without it".to_owned(),
        "reboot" => format!("the guest rebooted, and its init was started again {times} times"),
        _ => format!("{syscall} was answered without effect, {times} times"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_of_init_is_not_called_without_effect() {
        assert!(came_to("exit_group", 1).starts_with("init has ended"));
        assert!(came_to("reboot", 2).ends_with("started again 2 times"));
        assert_eq!(
            came_to("init_module", 2),
            "init_module was answered without effect, 2 times"
        );
    }
}
