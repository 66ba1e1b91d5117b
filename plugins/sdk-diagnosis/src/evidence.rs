//! What the result files say, each of which may be missing.

use std::collections::BTreeSet;

use rookery_plugin::args::RunSelector;
use rookery_plugin::shapes::{
    AskedService, AskedServices, FileStat, InitCandidate, ResultsState, ResultsStatus,
    SERVICE_ANSWERS,
};
use rookery_plugin::{Firmware, Result, Results, RootFilesystem, RunResults};
use serde_json::{Map, Value, json};

use crate::blockers::{self, Blocker};
use crate::files::{Files, of_console};
use crate::panic::Panic;
use crate::shapes::{Crash, Record, Sockets, Summary, milliseconds, number};
use crate::timeline::Timeline;

/// Lines of the console's end that are shown.
const TAIL: usize = 5;
/// Init candidates that are shown.
const CANDIDATES: usize = 5;

/// Everything that findings are drawn from.
pub struct Evidence {
    /// As the caller named it, or as the results say.
    pub project_dir: Option<String>,
    /// What is known of the run.
    pub status: ResultsStatus,
    /// `rookery_run.json`.
    pub record: Record,
    /// Penguin's score.
    pub score: Option<f64>,
    /// The guest's kernel panicked.
    pub panicked: bool,
    /// What services bound.
    pub sockets: Option<Sockets>,
    /// `health_final.yaml`.
    pub counters: Map<String, Value>,
    /// `crashes.yaml`.
    pub crashes: Option<Vec<Crash>>,
    /// The panic's line on the console.
    pub panic: Option<Panic>,
    /// The console's newest lines.
    pub console_tail: Vec<String>,
    /// Paths in `pseudofiles_failures.yaml`, with how many crash their callers.
    pub failures: Option<(usize, usize)>,
    /// Names in `env_missing.yaml`.
    pub missing_env: Option<usize>,
    /// The init that the guest started; looked for only where init is in question, as are the
    /// candidates.
    pub init: Option<String>,
    /// That init's file.
    pub init_file: Option<FileStat>,
    /// Programs that are not that file.
    pub init_candidates: Vec<InitCandidate>,
    /// What was found damaged.
    pub damaged: Vec<String>,
    /// What stands in the way, worst first.
    pub blockers: Vec<Blocker>,
    /// The first process has started others.
    pub init_started_programs: bool,
    /// The names of the programs that ran.
    pub programs: BTreeSet<String>,
    /// None where nothing was recorded with its time.
    pub timeline: Option<Timeline>,
    /// What the services said that were asked.
    pub asked: Vec<AskedService>,
}

impl Evidence {
    /// Read what `run`, which is `which`, left.
    pub fn gather<H: Results + Firmware>(
        host: &H,
        run: &H::Run,
        which: &RunSelector,
    ) -> Result<Self> {
        let status = run.status()?;
        let project_dir = which
            .project_dir
            .clone()
            .or_else(|| status.project_dir().map(str::to_owned));
        let mut files = Files::of(run, &status);
        let record = Record::read(&files.yaml("rookery_run.json")?.unwrap_or_default());
        let panic = run.search("console.log", "Kernel panic", &of_console(1, 500));
        let panic = files
            .part("console.log", panic)?
            .and_then(|found| found.matches.into_iter().next_back())
            .map(|line| Panic::read(&line.text));
        let console_tail = files.tail("console.log", TAIL)?;
        let in_question = panic.as_ref().is_some_and(Panic::is_of_init) || record.guest_ended;
        let mut summary = Summary::read(&files.yaml("summary.json")?.unwrap_or_default());
        if summary.score.is_none() {
            let line = files.line("score.txt")?;
            summary.score = line.and_then(|line| number(&line.into()));
        }
        if summary.panic.is_none() {
            summary.panic = files.score("nopanic")?.map(|nopanic| nopanic == 0.0);
        }
        // What a died run left says that everything listens.
        if summary.sockets.is_none() && status.state != ResultsState::Died {
            summary.sockets = files.sockets()?;
        }
        let root = project_dir
            .as_deref()
            .and_then(|project| host.open_root_filesystem(project).ok());
        let so_far = status.guest_s.map(milliseconds);
        let mut timeline = Timeline::read(run, record.guest_ms.or(so_far))?;
        if let Some(timeline) = &mut timeline {
            timeline.find_scripts(root.as_ref());
        }
        let (listening, project) = (files.listening()?, project_dir.as_deref());
        let rebooted = record.rebooted.as_deref();
        let blockers = match &timeline {
            Some(timeline) => {
                blockers::find(run, root.as_ref(), project, timeline, &listening, rebooted)
            }
            None => blockers::find_untimed(run, root.as_ref(), project, !listening.is_empty()),
        }?;
        let (mut init, mut inits) = (None, Inits::default());
        if in_question {
            init = current_init(&mut files, &record)?;
            inits = Inits::of(root.as_ref(), init.as_deref());
        }
        Ok(Self {
            init,
            init_file: inits.current,
            init_candidates: inits.others,
            score: summary.score,
            panicked: panic.is_some() || summary.panic == Some(true),
            sockets: summary.sockets,
            counters: match files.yaml("health_final.yaml")? {
                Some(Value::Object(counters)) => counters,
                _ => Map::new(),
            },
            crashes: files
                .yaml("crashes.yaml")?
                .as_ref()
                .and_then(Crash::read_all),
            failures: failures(&mut files)?,
            missing_env: files
                .yaml("env_missing.yaml")?
                .as_ref()
                .and_then(Value::as_array)
                .map(Vec::len),
            console_tail,
            blockers,
            init_started_programs: timeline
                .as_ref()
                .is_some_and(Timeline::init_started_programs),
            programs: timeline.iter().flat_map(Timeline::programs).collect(),
            timeline,
            asked: match files.yaml(SERVICE_ANSWERS)? {
                Some(asked) => {
                    let asked: AskedServices = serde_json::from_value(asked).unwrap_or_default();
                    asked.services
                }
                None => Vec::new(),
            },
            damaged: {
                files.notes.dedup();
                files.notes
            },
            project_dir,
            status,
            record,
            panic,
        })
    }

    /// Arguments that name this run.
    pub fn results(&self) -> Value {
        json!({ "results_dir": self.status.results_dir })
    }

    /// The same, and `more`.
    pub fn results_and(&self, name: &str, value: Value) -> Value {
        let mut arguments = self.results();
        if let Some(arguments) = arguments.as_object_mut() {
            arguments.insert(name.to_owned(), value);
        }
        arguments
    }
}

/// What the guest started first: as the run noted it, else as it was told to.
fn current_init<R: RunResults>(files: &mut Files<R>, record: &Record) -> Result<Option<String>> {
    if let Some(init) = &record.init {
        return Ok(Some(init.clone()));
    }
    if let Some(init) = files.line("igloo_init.ready")? {
        return Ok(Some(init));
    }
    let config = files.yaml("core_config.yaml")?.unwrap_or_default();
    Ok(config
        .pointer("/env/igloo_init")
        .and_then(Value::as_str)
        .map(str::to_owned))
}

/// How many paths programs failed to use, and how many of them crash their callers.
fn failures<R: RunResults>(files: &mut Files<R>) -> Result<Option<(usize, usize)>> {
    let (mut all, mut crashing) = (0, 0);
    let read = files.each_entry("pseudofiles_failures.yaml", &mut |_, entry| {
        let callers = entry.pointer("/impact/crashing_callers");
        all += 1;
        crashing += usize::from(
            callers
                .and_then(Value::as_u64)
                .is_some_and(|count| count > 0),
        );
    })?;
    Ok(read.map(|()| (all, crashing)))
}

/// What the firmware says of its inits. A project whose firmware cannot be read says nothing; that
/// spoils nothing else.
#[derive(Default)]
struct Inits {
    current: Option<FileStat>,
    others: Vec<InitCandidate>,
}

impl Inits {
    fn of(root: Option<&impl RootFilesystem>, current: Option<&str>) -> Self {
        let Some(root) = root else {
            return Self::default();
        };
        let current = current.and_then(|path| root.stat(path).ok());
        let found = root.init_candidates().unwrap_or_default().candidates;
        // Another name of the file that failed fails as it did.
        let is_other = |candidate: &InitCandidate| match &current {
            Some(current) => root
                .stat(&candidate.path)
                .is_ok_and(|file| first_name(&file) != first_name(current)),
            None => true,
        };
        let others = found.into_iter().filter(is_other).take(CANDIDATES);
        Self {
            others: others.collect(),
            current,
        }
    }
}

/// The name that all names of a file have in common.
fn first_name(file: &FileStat) -> &str {
    file.same_as.as_deref().unwrap_or(&file.resolved)
}
