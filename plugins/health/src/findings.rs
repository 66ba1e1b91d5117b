//! What stands in the way, worst first. Sentences are ours; what the firmware said is only in
//! `evidence`.

use rookery_diagnosis::{Blocker, DOES_NOTHING, Evidence, is_reboot_program};
use rookery_plugin::Next;
use rookery_plugin::shapes::{AskedService, ResultsState};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

/// Crashes told of.
const CRASHES: usize = 3;
/// Services whose answers are shown.
const SERVICES: usize = 8;
/// Calls before the worst crash that are shown.
const LAST_CALLS: usize = 3;

/// One thing that stands in the way, or that works.
#[derive(Serialize, JsonSchema)]
#[allow(clippy::struct_field_names)]
pub struct Finding {
    pub finding: String,
    /// Words of the firmware: data, not advice.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<Next>,
}

impl Finding {
    fn new(finding: impl Into<String>) -> Self {
        Self {
            finding: finding.into(),
            evidence: Vec::new(),
            next: None,
        }
    }

    fn because(mut self, evidence: impl IntoIterator<Item = String>) -> Self {
        self.evidence.extend(evidence);
        self
    }

    /// Run the project again, where it is known.
    fn run_next(self, evidence: &Evidence) -> Self {
        match &evidence.project_dir {
            Some(project) => self.next("run", json!({ "project_dir": project })),
            None => self,
        }
    }

    fn next(mut self, tool: &str, arguments: Value) -> Self {
        self.next = Some(Next::call(tool, arguments));
        self
    }
}

/// All findings of a run.
pub fn findings(evidence: &Evidence) -> Vec<Finding> {
    [
        cut_off(evidence),
        newer(evidence),
        end(evidence),
        reboot(evidence),
        init(evidence),
        crashes(evidence),
        devices(evidence),
        boot_arguments(evidence),
        services(evidence),
        nothing_recorded(evidence),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The file of init has lost its end, which no other init and no change mends.
fn cut_off(evidence: &Evidence) -> Option<Finding> {
    let (has, needs) = cut(evidence)?;
    Some(
        Finding::new(format!(
            "The file of init is cut off: it has {has} bytes, and its headers say {needs}. The \
             extractor lost its end, and other files may be cut off too: extract the firmware \
             again, or give its squashfs or ext image itself, and make a new project of it with \
             init_project."
        ))
        .because(evidence.init_file.iter().map(|file| file.resolved.clone())),
    )
}

/// How many bytes the file of init has, and how many it needs, where it is cut off.
fn cut(evidence: &Evidence) -> Option<(u64, u64)> {
    let file = evidence.init_file.as_ref()?;
    let needs = file.elf.as_ref()?.bytes;
    (file.bytes < needs).then_some((file.bytes, needs))
}

/// The run that was chosen is not the newest.
fn newer(evidence: &Evidence) -> Option<Finding> {
    let newer = evidence.status.newer.as_ref()?;
    let what = match newer.state {
        ResultsState::Running => "is still running",
        ResultsState::NeverRan => "left nothing: its configuration was probably refused",
        ResultsState::Died => "died",
        ResultsState::Completed | ResultsState::Other(_) => "did not complete",
    };
    let run = newer.run;
    let found = Finding::new(format!(
        "This is not the newest run: run {run} is newer and {what}."
    ));
    Some(match &newer.results_dir {
        Some(dir) => found.next("health", json!({ "results_dir": dir })),
        None => found.run_next(evidence),
    })
}

/// A run that did not end as a run should.
fn end(evidence: &Evidence) -> Option<Finding> {
    match evidence.status.state {
        ResultsState::NeverRan => {
            Some(Finding::new("Nothing has run here yet.").run_next(evidence))
        }
        ResultsState::Died if evidence.status.perhaps_running => Some(
            Finding::new(
                "Nothing was written lately, and nothing says that the run ended: it died, or it \
                 is still running without output. What is missing here says nothing about the \
                 firmware.",
            )
            .next("console", evidence.results()),
        ),
        ResultsState::Died => Some(
            Finding::new(
                "The run died before it could write its results. What is missing here says nothing \
                 about the firmware.",
            )
            .next("console", evidence.results()),
        ),
        ResultsState::Running => Some(match &evidence.status.run_id {
            Some(run_id) => Finding::new(
                "The run has not ended; files that are only written at its end are not there yet.",
            )
            .next("run_wait", json!({ "run_id": run_id })),
            None => Finding::new(
                "The run has not ended; files that are only written at its end are not there yet.",
            ),
        }),
        ResultsState::Completed | ResultsState::Other(_) => None,
    }
}

/// The firmware rebooted itself, where no blocker tells of it.
fn reboot(evidence: &Evidence) -> Option<Finding> {
    let program = evidence.record.rebooted.as_deref()?;
    if evidence.blockers.iter().any(Blocker::is_of_reboot) {
        return None;
    }
    let found = Finding::new(
        "The firmware rebooted itself. Usually one of its own checks failed: look at what the \
         console says before each start. To keep the firmware up, replace the program that reboots \
         by a shim (exit0.sh).",
    )
    .because(evidence.record.outcome.clone());
    Some(match evidence.project_dir.as_ref() {
        Some(project) if is_reboot_program(program) => found.next(
            "add_static_file",
            json!({
                "project_dir": project,
                "path": program,
                "spec": { "type": "shim", "target": DOES_NOTHING }
            }),
        ),
        _ => found.next("console", evidence.results()),
    })
}

/// Init ended, was killed, or could not start.
fn init(evidence: &Evidence) -> Option<Finding> {
    let found = match &evidence.panic {
        Some(panic) => Finding::new(panic.meaning()).because([panic.line.clone()]),
        None if evidence.panicked => Finding::new("The kernel panicked."),
        None if evidence.record.guest_ended => {
            Finding::new("The guest ended by itself, before the run's deadline.")
                .because(evidence.record.outcome.clone())
        }
        None => return None,
    };
    // One that was cut off, or that got so far as to start programs, is the right one.
    if cut(evidence).is_some() || evidence.init_started_programs {
        return Some(found.next("console", evidence.results()));
    }
    // Where nobody knows which init it was, the best candidate may be the one that failed.
    let other = evidence.init.as_deref().and_then(|current| {
        let mut candidates = evidence.init_candidates.iter();
        candidates.find(|candidate| !is_same(&candidate.path, current))
    });
    let names = evidence
        .init_candidates
        .iter()
        .map(|candidate| format!("init candidate {}", candidate.path));
    let found = found.because(names);
    Some(match evidence.project_dir.as_ref().zip(other) {
        Some((project, other)) => found.next(
            "set_env",
            json!({ "project_dir": project, "key": "igloo_init", "value": other.path }),
        ),
        None => found.next("console", evidence.results()),
    })
}

fn is_same(path: &str, current: &str) -> bool {
    path.trim_start_matches('/') == current.trim_start_matches('/')
}

fn crashes(evidence: &Evidence) -> Option<Finding> {
    let mut crashes: Vec<_> = evidence.crashes.as_ref()?.iter().collect();
    crashes.sort_by_key(|crash| std::cmp::Reverse(crash.count));
    let worst = crashes.first()?;
    let total = crashes
        .iter()
        .fold(0_u64, |sum, crash| sum.saturating_add(crash.count));
    let shown = crashes
        .iter()
        .take(CRASHES)
        .map(|crash| format!("{}: {} ×{}", crash.proc, crash.signame, crash.count))
        // What a program did not get before it died is often why it did.
        .chain(worst.last_calls.iter().rev().take(LAST_CALLS).map(|call| {
            let proc = &worst.proc;
            format!("before its crash {proc} called {call}")
        }));
    let found =
        Finding::new(format!("Programs received fatal signals, {total} times.")).because(shown);
    Some(match worst.proc.as_str() {
        // Without events there is no telling what a program looked for.
        _ if !evidence.status.has("plugins.db") => found.next("console", evidence.results()),
        "" => found.next("missing_files", evidence.results()),
        proc => found.next(
            "missing_files",
            evidence.results_and("procname", json!(proc)),
        ),
    })
}

/// Nothing is known to be in the way, and something serves.
fn all_is_well(evidence: &Evidence) -> bool {
    let listening = evidence
        .sockets
        .as_ref()
        .is_some_and(|sockets| sockets.listening > 0);
    listening && evidence.timeline.is_some() && evidence.blockers.is_empty()
}

fn devices(evidence: &Evidence) -> Option<Finding> {
    let (paths, crashing) = evidence.failures.filter(|(paths, _)| *paths > 0)?;
    // Every boot looks for devices that it does without.
    if crashing == 0 && all_is_well(evidence) {
        return None;
    }
    let finding = if crashing == 0 {
        format!("Programs failed to use {paths} paths below /dev, /proc and /sys.")
    } else {
        format!(
            "Programs failed to use {paths} paths below /dev, /proc and /sys; {crashing} of them \
             made a program crash."
        )
    };
    Some(Finding::new(finding).next("pseudofile_failures", evidence.results()))
}

fn boot_arguments(evidence: &Evidence) -> Option<Finding> {
    let names = evidence
        .missing_env
        .filter(|names| *names > 0 && !all_is_well(evidence))?;
    Some(
        Finding::new(format!(
            "Programs looked for {names} boot arguments or variables that are not set."
        ))
        .next("missing_env", evidence.results()),
    )
}

/// Whether something listens and answers, and if not and nothing else is known, where to look.
fn services(evidence: &Evidence) -> Option<Finding> {
    let count = match evidence.sockets.as_ref()?.listening {
        0 => {
            return Some(Finding::new("No service listens.").next(
                "console",
                evidence.results_and("pattern", json!("(?i)error|fail|not found|cannot|no such")),
            ));
        }
        count => count,
    };
    let asked = &evidence.asked;
    let answering = asked
        .iter()
        .filter(|service| service.answers.answers())
        .count();
    let finding = match asked.len() - answering {
        _ if asked.is_empty() => format!("{count} sockets listen."),
        0 => format!("{count} sockets listen; all services of TCP that were asked answer."),
        silent => format!(
            "{count} sockets listen, but {silent} of {} services of TCP that were asked did not \
             answer: open is not answering.",
            asked.len()
        ),
    };
    Some(Finding::new(finding).because(said(asked)).next(
        "netbinds",
        evidence.results_and("state", json!("listening")),
    ))
}

/// Nothing listens, and too little was recorded to say what holds it up.
fn nothing_recorded(evidence: &Evidence) -> Option<Finding> {
    let silent = evidence.sockets.as_ref()?.listening == 0;
    if !silent || evidence.timeline.is_some() || evidence.status.has("plugins.db") {
        return None;
    }
    let found = Finding::new(
        "This run recorded neither programs nor system calls, so what holds the firmware up can at \
         most be guessed from its console. The preset diagnostics records them: set it, and run \
         again.",
    );
    Some(match &evidence.project_dir {
        Some(project) => found.next(
            "set_config",
            json!({ "project_dir": project, "preset": "diagnostics" }),
        ),
        None => found,
    })
}

/// What each service said when it was last asked.
fn said(asked: &[AskedService]) -> impl Iterator<Item = String> {
    asked.iter().take(SERVICES).filter_map(|service| {
        let said = service.answers.last()?;
        let status = said.status.map(|status| format!(" {status}"));
        let title = said.title.as_ref().map(|title| format!(" {title:?}"));
        Some(format!(
            "tcp {} of {}: {}{}{}",
            service.guest_port,
            service.procname,
            said.kind,
            status.unwrap_or_default(),
            title.unwrap_or_default()
        ))
    })
}
