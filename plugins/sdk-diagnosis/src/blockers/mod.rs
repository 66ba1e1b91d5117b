//! What stands in the way of the guest's services: who is held up, by what, where, and what mends
//! it.
//!
//! Sentences and the shape of each call are ours. A name that the guest chose is in `who`,
//! `missing`, `place` and `evidence` as data, and in a call only where it is a value of its kind.

mod cause;
mod fix;
mod noise;
mod place;
mod refine;
mod setting;
mod steps;
mod subject;
mod untimed;
mod words;

pub use fix::{DOES_NOTHING, Sure, is_reboot_program};
pub use steps::steps;
pub use untimed::find as find_untimed;
pub use words::{cut, seconds};

use rookery_plugin::guest::is_setting;
use rookery_plugin::{Next, Result, RootFilesystem, RunResults, optional};
use schemars::JsonSchema;
use serde::Serialize;

use crate::blockers::cause::{Cause, Services, State, causes};
use crate::blockers::fix::{Project, fix};
use crate::blockers::place::place;
use crate::blockers::refine::refine;
use crate::blockers::setting::{asked_last, setting};
use crate::blockers::subject::Subject;
use crate::files::of_console;
use crate::timeline::{Process, Timeline};

/// Blockers told of.
const BLOCKERS: usize = 5;
/// Bytes of a name that are shown.
const NAME: usize = 120;
/// Ancestors told of.
const ANCESTORS: usize = 3;
/// Bytes read of the table of mounts.
const MOUNTS: u32 = 64 * 1024;

/// One thing that stands in the way.
#[derive(Serialize, JsonSchema)]
#[allow(clippy::struct_field_names)]
pub struct Blocker {
    /// What happened, in our words.
    blocker: &'static str,
    who: Who,
    /// What the program lacks, by its kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<Subject>,
    /// The script that did it, and the line where it is known: `/etc/init.d/rcS:4`.
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<String>,
    /// Words of the firmware: data, not advice.
    evidence: Vec<String>,
    /// Calls that mend it, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fix: Vec<Next>,
    /// How likely the calls mend it: `high`, `medium` or `low`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    sure: Option<Sure>,
    hint: &'static str,
    #[serde(skip)]
    state: State,
}

#[derive(Serialize, JsonSchema)]
struct Who {
    program: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<i64>,
    /// The programs that started it, the nearest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    started_by: Vec<String>,
}

impl Blocker {
    /// Whether it says that the firmware rebooted itself.
    pub fn is_of_reboot(&self) -> bool {
        self.state == State::Rebooted
    }

    /// Whether a program was still at work when it was looked at.
    pub fn is_of_start(&self) -> bool {
        self.state == State::Starting
    }

    /// The calls that mend it, in order.
    pub fn calls(&self) -> &[Next] {
        &self.fix
    }

    /// How likely they mend it.
    pub fn sure(&self) -> Option<Sure> {
        self.sure
    }

    /// What happened, in our words; the name of the program and of what it lacks are the
    /// firmware's.
    pub fn sentence(&self) -> String {
        let who = &self.who.program;
        match &self.missing {
            Some(subject) => format!("{who}: {} ({})", self.blocker, cut(subject.text(), NAME)),
            None => format!("{who}: {}", self.blocker),
        }
    }

    /// The program that it holds up, by its name or that of its script.
    pub fn program(&self) -> &str {
        &self.who.program
    }

    /// The key of the NVRAM that it lacks, where a call can hold it.
    pub fn nvram_key(&self) -> Option<&str> {
        match &self.missing {
            Some(Subject::NvramKey(key)) => Some(key.as_str()).filter(|key| is_setting(key)),
            _ => None,
        }
    }

    /// What it is about: the same in two runs where the same is missing.
    pub fn key(&self) -> String {
        match &self.missing {
            Some(subject) => subject.text().to_owned(),
            None => format!("{} {}", self.who.program, self.blocker),
        }
    }
}

/// The blockers of a run, worst first.
pub fn find(
    run: &impl RunResults,
    root: Option<&impl RootFilesystem>,
    project: Option<&str>,
    timeline: &Timeline,
    listening: &[(i64, String)],
    rebooted: Option<&str>,
) -> Result<Vec<Blocker>> {
    let mounts = mounts(run)?;
    let project = Project {
        directory: project,
        root,
        mounts: &mounts,
    };
    let mut causes = causes(timeline, &Services { listening }, rebooted);
    causes.truncate(BLOCKERS);
    for cause in &mut causes {
        let process = timeline.processes.get(cause.process);
        if let Some(process) = process.filter(|_| cause.state == State::Crashed)
            && let Some(key) = asked_last(run, process)?
        {
            cause.subject = Some(key);
            continue;
        }
        cause.subject = match (cause.subject.take(), root) {
            (Some(subject), Some(root)) => Some(refine(root, subject)),
            (Some(subject), None) => Some(subject),
            (None, _) if cause.state == State::Ended => setting(run, root, timeline, cause)?,
            (None, _) => None,
        };
    }
    causes
        .iter()
        .map(|cause| blocker(run, &project, timeline, cause, rebooted))
        .collect()
}

fn blocker(
    run: &impl RunResults,
    project: &Project<impl RootFilesystem>,
    timeline: &Timeline,
    cause: &Cause,
    rebooted: Option<&str>,
) -> Result<Blocker> {
    let unknown = Process::default();
    let process = timeline.processes.get(cause.process).unwrap_or(&unknown);
    let program = rebooted.filter(|_| cause.state == State::Rebooted);
    let program = program.or(process.argv.first().map(String::as_str));
    let fix = fix(project, cause, program);
    let place = place(
        project.root,
        timeline,
        cause.process,
        cause.subject.as_ref(),
    );
    let mut evidence = words::evidence(timeline, cause, process);
    evidence.extend(complaint(run, cause, process)?);
    let ancestors = timeline.ancestors(cause.process).take(ANCESTORS);
    Ok(Blocker {
        blocker: words::sentence(cause),
        who: Who {
            program: words::cut(process.script().unwrap_or(process.name()), NAME),
            pid: Some(process.pid),
            started_by: ancestors
                .map(|process| words::cut(process.script().unwrap_or(process.name()), NAME))
                .collect(),
        },
        missing: cause.subject.clone(),
        place: place.map(|(script, line)| match line {
            Some(line) => format!("{}:{line}", words::cut(&script, NAME)),
            None => words::cut(&script, NAME),
        }),
        evidence,
        sure: (!fix.calls.is_empty()).then_some(fix.sure),
        fix: fix.calls,
        hint: fix.hint,
        state: cause.state,
    })
}

/// The newest line of the console that names what is missing, or the program where nothing is
/// known to be.
fn complaint(run: &impl RunResults, cause: &Cause, process: &Process) -> Result<Option<String>> {
    let name = match &cause.subject {
        Some(subject) => crate::timeline::base(subject.text()),
        None => process.name(),
    };
    newest_line(run, name)
}

/// The newest line of the console that has a text, with its number.
fn newest_line(run: &impl RunResults, name: &str) -> Result<Option<String>> {
    let Some(pattern) = literally(name) else {
        return Ok(None);
    };
    let options = of_console(1, 160);
    let found = optional(run.search("console.log", &pattern, &options))?;
    let found = found.and_then(|found| found.matches.into_iter().next());
    Ok(found.map(|line| format!("console line {}: {}", line.line, line.text)))
}

/// The pattern that finds a name as it stands; none of one so short that it is found anywhere.
fn literally(name: &str) -> Option<String> {
    if name.len() < 3 {
        return None;
    }
    let mut escaped = String::new();
    for character in name.chars() {
        if !character.is_alphanumeric() {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    Some(escaped)
}

/// Where the guest mounted something that hides what lies below, as `mounts.csv` says.
fn mounts(run: &impl RunResults) -> Result<Vec<String>> {
    let text = optional(run.read_text("mounts.csv", 0, MOUNTS))?;
    let text = text.unwrap_or_default().text;
    let target = |line: &str| {
        let mut fields = line.rsplitn(4, ',');
        let (result, kind) = (fields.next()?, fields.next()?);
        let target = fields.next()?;
        let hides = result.trim() == "0" && matches!(kind, "tmpfs" | "ramfs");
        (hides && target.len() > 1).then(|| target.to_owned())
    };
    Ok(text.lines().filter_map(target).collect())
}

#[cfg(test)]
mod tests;
