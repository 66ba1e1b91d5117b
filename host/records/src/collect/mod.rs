//! Collectors turn events into the result files that Penguin writes, one collector a file or a
//! family of files.
//!
//! Every collector is bounded: what does not fit is counted, and the counts are in
//! `rookery_run.json`. Text of the guest is data: it never breaks a line or a field of a file.

pub(crate) mod answers;
pub(crate) mod bridges;
mod collector;
mod console;
mod crashes;
pub(crate) mod database;
mod environment;
mod errno;
mod health;
mod hooks;
mod interfaces;
mod mounts;
mod netbinds;
mod nvram;
mod processes;
mod pseudofiles;
pub(crate) mod rows;
mod signals;
mod start;
mod summary;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::collect::collector::Collector;
use crate::event::Event;
use crate::subject::Subject;

/// All collectors of a run.
pub struct Collectors {
    directory: PathBuf,
    clock: Option<(Instant, Duration)>,
    started: start::Readiness,
    console: console::Console,
    netbinds: netbinds::Netbinds,
    bridges: bridges::Bridges,
    answers: answers::Answers,
    pseudofiles: pseudofiles::Failures,
    environment: Option<environment::Environment>,
    database: Option<database::Database>,
    crashes: crashes::Crashes,
    health: health::Health,
    hooks: hooks::Hooks,
    signals: signals::Signals,
    mounts: mounts::Mounts,
    interfaces: interfaces::Interfaces,
    nvram: nvram::Values,
    compared: nvram::Compared,
    processes: processes::Processes,
    blocked_signals: usize,
    failures: BTreeMap<&'static str, String>,
}

impl Collectors {
    /// Write the files that stand at the start of a run, whose configuration is `config`.
    pub fn begin(subject: &Subject, config: &Value) -> Self {
        let directory = subject.results_dir.clone();
        let mut failures = BTreeMap::new();
        if let Err(error) = start::write(subject, config) {
            failures.insert("start", error.to_string());
        }
        let mut collectors = Self {
            clock: None,
            started: start::Readiness::new(&directory, &subject.init),
            console: console::Console::new(&directory),
            netbinds: netbinds::Netbinds::new(&directory),
            bridges: bridges::Bridges::new(&directory),
            answers: answers::Answers::new(&directory),
            pseudofiles: pseudofiles::Failures::new(&directory),
            environment: subject
                .record_env
                .then(|| environment::Environment::new(&directory)),
            database: None,
            crashes: crashes::Crashes::new(&directory),
            health: health::Health::new(&directory),
            hooks: hooks::Hooks::new(&directory),
            signals: signals::Signals::new(&directory),
            mounts: mounts::Mounts::new(&directory),
            interfaces: interfaces::Interfaces::new(&directory),
            nvram: nvram::Values::new(&directory),
            compared: nvram::Compared::new(&directory),
            processes: processes::Processes::new(&directory),
            blocked_signals: subject.blocked_signals,
            failures,
            directory,
        };
        if subject.record_events {
            match database::Database::create(&collectors.directory) {
                Ok(database) => collectors.database = Some(database),
                Err(error) => {
                    collectors.failures.insert("plugins.db", error.to_string());
                }
            }
        }
        collectors.flush();
        collectors
    }

    /// Take note of what happened.
    pub fn event(&mut self, event: &Event) {
        let (since, at) = *self.clock.get_or_insert_with(|| (Instant::now(), event.at));
        if event.at > at + since.elapsed() {
            self.clock = Some((Instant::now(), event.at));
        }
        for collector in self.all() {
            collector.event(event);
        }
    }

    /// Bring all files up to date.
    pub fn flush(&mut self) {
        let now = self.now();
        self.each(|collector| collector.flush(now));
    }

    /// Write what is written at the end; a run that did not complete gets no `.ran` and no score.
    pub fn finish(&mut self, completed: bool, wallclock_s: f64) {
        let now = self.now();
        self.each(|collector| collector.finish(now));
        if completed && let Err(error) = summary::write(self, wallclock_s) {
            self.failures.insert("summary", error.to_string());
        }
    }

    /// What was dropped, and what could not be written, by collector.
    pub(crate) fn drops(
        &mut self,
    ) -> (BTreeMap<&'static str, u64>, BTreeMap<&'static str, String>) {
        let drops = self
            .all()
            .into_iter()
            .map(|collector| collector.dropped())
            .filter(|(_, dropped)| *dropped > 0)
            .collect();
        (drops, self.failures.clone())
    }

    fn now(&self) -> Duration {
        self.guest_time().unwrap_or_default()
    }

    /// How long the guest has run, as its events are timed; none before the first.
    pub(crate) fn guest_time(&self) -> Option<Duration> {
        let (since, at) = self.clock?;
        Some(at + since.elapsed())
    }

    fn each(&mut self, run: impl Fn(&mut dyn Collector) -> io::Result<()>) {
        let mut results = Vec::new();
        for collector in self.all() {
            results.push((run(collector), collector.dropped().0));
        }
        for (result, name) in results {
            match result {
                Ok(()) => self.failures.remove(name),
                Err(error) => self.failures.insert(name, error.to_string()),
            };
        }
    }

    fn all(&mut self) -> Vec<&mut dyn Collector> {
        // Every field, so that a new collector is not forgotten below.
        let Self {
            directory: _,
            clock: _,
            started,
            console,
            netbinds,
            bridges,
            answers,
            pseudofiles,
            environment,
            database,
            crashes,
            health,
            hooks,
            signals,
            mounts,
            interfaces,
            nvram,
            compared,
            processes,
            blocked_signals: _,
            failures: _,
        } = self;
        // The console first: it is what a reader looks at while the rest is computed.
        let mut all: Vec<&mut dyn Collector> = vec![
            console,
            started,
            netbinds,
            bridges,
            answers,
            pseudofiles,
            crashes,
            health,
            hooks,
            signals,
            mounts,
            interfaces,
            nvram,
            compared,
            processes,
        ];
        if let Some(environment) = environment {
            all.push(environment);
        }
        if let Some(database) = database {
            all.push(database);
        }
        all
    }
}
