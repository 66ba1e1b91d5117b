//! What the page shows, gathered from all sources.

use std::time::SystemTime;

use rookery_contract::Next;
use rookery_contract::shapes::{Patch, ResultsState, ResultsStatus};
use rookery_project::{Project, Result, Results};
use serde::Serialize;
use serde_json::{Value, json};

use crate::command::command;
use crate::console::Console;
use crate::devices::{Devices, MissingFiles};
use crate::health::{Blocker, Comparison, Finding, Health};
use crate::processes::Processes;
use crate::render::render;
use crate::scale::{Scale, time};
use crate::services::Services;
use crate::timeline::Timeline;
use crate::tree::Tree;
use crate::verdict::Verdict;

/// Notes of the backend that are shown.
const NOTES: usize = 12;
/// Characters of the patch that are shown.
const PATCH: usize = 16_000;

/// What a page is made of.
pub struct Sources<'a> {
    /// The run.
    pub results: &'a Results,
    /// Its project, where the result directory is one's.
    pub project: Option<&'a Project>,
    /// What the tool `health` answered of it.
    pub health: Value,
    /// What the tool `missing_files` answered of it.
    pub missing_files: Value,
}

/// A page that was made.
pub struct Page {
    /// Its text.
    pub html: String,
    /// The command that makes most sense now, which the page shows too.
    pub next: Option<String>,
}

/// All of one page.
#[derive(Serialize)]
struct Shown {
    title: String,
    run: Option<u64>,
    results_dir: String,
    state: ResultsState,
    /// That the result directory is of a run which is not the newest, or why it has no end.
    warnings: Vec<String>,
    verdict: Verdict,
    facts: Vec<(&'static str, String)>,
    services: Services,
    blockers: Vec<Blocker>,
    findings: Vec<Finding>,
    compared: Option<Comparison>,
    timeline: Option<Timeline>,
    tree: Option<Tree>,
    devices: Devices,
    console: Console,
    patch: Option<ShownPatch>,
    notes: Vec<String>,
    notes_left_out: usize,
    next: Option<String>,
    version: &'static str,
}

#[derive(Serialize)]
struct ShownPatch {
    file: String,
    yaml: String,
    cut: bool,
    /// Of its newest change.
    revision: Option<u64>,
    /// It was changed after the run.
    newer: bool,
}

/// Make the page of a run.
pub fn page(sources: Sources<'_>) -> Result<Page> {
    let shown = gather(sources)?;
    Ok(Page {
        html: render(&shown)?,
        next: shown.next,
    })
}

fn gather(sources: Sources<'_>) -> Result<Shown> {
    let results = sources.results;
    let status = results.status()?;
    let record = results.read_yaml("rookery_run.json").unwrap_or_default();
    // An answer of another shape says nothing.
    let health: Health = serde_json::from_value(sources.health).unwrap_or_default();
    let missing: MissingFiles = serde_json::from_value(sources.missing_files).unwrap_or_default();
    let services = Services::read(results);
    let console = Console::read(results);
    let processes = Processes::read(results);
    let scale = Scale::of(guest_ms(&record).max(processes.as_ref().map_or(0, |all| all.last)));
    let timeline = processes
        .as_ref()
        .and_then(|processes| Timeline::of(processes, &services, &console, scale));
    let patch = sources.project.and_then(|project| project.patch().ok());
    let next = health.blockers.iter().flat_map(|blocker| &blocker.fix);
    let look = sources.project.map(|project| {
        let project = json!({ "project_dir": project.dir().to_string_lossy() });
        command(&Next::call("health", project))
    });
    Ok(Shown {
        title: title(sources.project, &status),
        verdict: Verdict::of(&status.state, &services, &health),
        facts: facts(&status, &record),
        tree: processes.as_ref().map(Tree::of),
        devices: Devices::read(results, missing),
        patch: patch
            .filter(|patch| patch.exists)
            .map(|patch| shown(results, patch)),
        next: next.map(command).next().or(look),
        warnings: warnings(&status),
        notes_left_out: health.notes.len().saturating_sub(NOTES),
        notes: health.notes.into_iter().take(NOTES).collect(),
        run: status.run,
        results_dir: status.results_dir,
        state: status.state,
        blockers: health.blockers,
        findings: health.findings,
        compared: health.compared,
        services,
        timeline,
        console,
        version: env!("CARGO_PKG_VERSION"),
    })
}

fn title(project: Option<&Project>, status: &ResultsStatus) -> String {
    let dir = match project {
        Some(project) => project.dir().to_string_lossy().into_owned(),
        None => status.results_dir.clone(),
    };
    let name = dir.trim_end_matches('/').rsplit('/').next();
    name.unwrap_or_default().to_owned()
}

fn guest_ms(record: &Value) -> i64 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a number out of range saturates"
    )]
    let ms = |seconds: f64| (seconds * 1000.0) as i64;
    record["guest_s"].as_f64().map_or(0, ms)
}

/// What is known of the run beside its outcome, each with its name.
fn facts(status: &ResultsStatus, record: &Value) -> Vec<(&'static str, String)> {
    let text = |name: &str| record[name].as_str().map(str::to_owned);
    let state = match status.state {
        ResultsState::Completed => None,
        _ => status.why.clone(),
    };
    let guest = Some(guest_ms(record)).filter(|ms| *ms > 0).map(time);
    let facts = [
        ("ended because", text("reason").or(state)),
        ("the guest ran for", guest),
        ("architecture", text("arch")),
        ("init", text("init")),
        ("backend", text("backend")),
        ("run id", text("run_id").or_else(|| status.run_id.clone())),
    ];
    let known = |(name, fact): (&'static str, Option<String>)| Some((name, fact?));
    facts.into_iter().filter_map(known).collect()
}

fn warnings(status: &ResultsStatus) -> Vec<String> {
    let broken = (status.state == ResultsState::Died).then(|| status.why.clone());
    let more = broken.flatten().into_iter();
    more.chain(status.note.clone()).collect()
}

fn shown(results: &Results, patch: Patch) -> ShownPatch {
    let cut = patch.yaml.chars().count() > PATCH;
    ShownPatch {
        yaml: patch.yaml.chars().take(PATCH).collect(),
        cut,
        revision: patch.history.first().map(|change| change.revision),
        newer: match (changed(patch.patch_file.as_ref()), began(results)) {
            (Some(changed), Some(began)) => changed > began,
            _ => false,
        },
        file: patch.patch_file,
    }
}

/// When the run wrote the configuration that it had.
fn began(results: &Results) -> Option<SystemTime> {
    changed(&results.dir().join("core_config.yaml"))
}

fn changed(file: &std::path::Path) -> Option<SystemTime> {
    let meta = file.symlink_metadata().ok()?;
    meta.modified().ok()
}
