//! Which processes are held up, and by what: a failure counts where its program then ended, looped
//! or did nothing more.

use crate::blockers::noise::{is_noise, makes_keys, only_asks, serves, waits_for_a_person};
use crate::blockers::steps::new_since;
use crate::blockers::subject::Subject;
use crate::timeline::{End, Failure, Process, Timeline, base};

/// Failures of one kind that are a loop.
const LOOP: u64 = 4;
/// How long it has lasted at least, in milliseconds, unless it turns fast: a program that asks some
/// times in a row has only begun.
const LASTS: i64 = 1000;
const FAST: u64 = 20;
/// How long before the newest event a loop's last turn may have been, and how long something that
/// holds up its script has been there at least, in milliseconds.
const LATE: i64 = 3000;
/// How long before a process's end a failure may be its cause, in milliseconds.
const BEFORE_END: i64 = 2000;
/// Failures before the newest that may matter more.
const RECENT: usize = 10;
/// What is shown although services are up.
pub const GRAVE: i32 = 70;

/// How a process is held up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It asks for something again and again.
    Waits,
    /// A script does not go on before it ends, and it does not.
    HoldsUp,
    /// It was still at work when the run ended.
    Starting,
    /// It started the guest anew.
    Rebooted,
    /// It ended with an exit code that says that something went wrong.
    Ended,
    /// It died of a fault.
    Crashed,
    /// Somebody killed it.
    Killed,
    /// It did not get something, and the console tells of it; whether that stopped it is not known.
    Complained,
}

pub struct Cause {
    /// Its index in the timeline.
    pub process: usize,
    pub state: State,
    pub subject: Option<Subject>,
    pub failure: Option<Failure>,
    /// How much it stands in the way, from 40 (a program that nobody may need ended) over 70
    /// (grave) to 90 (the guest starts anew).
    pub weight: i32,
}

/// Who has sockets that listen, by the number of the process.
pub struct Services<'a> {
    pub listening: &'a [(i64, String)],
}

impl Services<'_> {
    fn any(&self) -> bool {
        !self.listening.is_empty()
    }

    fn of(&self, process: &Process) -> bool {
        let of = |(pid, name): &(i64, String)| {
            *pid == process.pid || process.executed.is_some() && name == process.name()
        };
        self.listening.iter().any(of)
    }
}

/// The causes that are known, worst first; one for each thing that is missing. `rebooted` is the
/// program that started the guest anew.
pub fn causes(timeline: &Timeline, services: &Services, rebooted: Option<&str>) -> Vec<Cause> {
    let all = 0..timeline.processes.len();
    let mut found: Vec<Cause> = all
        .filter_map(|index| of_process(timeline, services, index))
        .collect();
    found.extend(held_up(timeline, services, &found));
    found.extend(rebooted.and_then(|program| reboot(timeline, program)));
    let booting = (!services.any()).then(|| still_booting(timeline)).flatten();
    // What a boot that goes on has tried so far may yet come right.
    if services.any() || booting.is_some() {
        found.retain(|cause| cause.weight >= GRAVE);
    }
    found.extend(booting);
    found.sort_by_key(|cause| std::cmp::Reverse(cause.weight));
    let mut distinct: Vec<Cause> = Vec::new();
    for cause in found {
        let same = |other: &Cause| match (&cause.subject, &other.subject) {
            (Some(subject), Some(other)) => subject.text() == other.text(),
            _ => program(timeline, cause.process) == program(timeline, other.process),
        };
        if !distinct.iter().any(same) {
            distinct.push(cause);
        }
    }
    distinct
}

fn program(timeline: &Timeline, process: usize) -> Option<&str> {
    timeline.processes.get(process).map(Process::name)
}

fn of_process(timeline: &Timeline, services: &Services, index: usize) -> Option<Cause> {
    let process = timeline.processes.get(index)?;
    if services.of(process) {
        return None;
    }
    let meaningful: Vec<(&Failure, Subject)> = process
        .failures
        .iter()
        .filter_map(|failure| Some((failure, Subject::of(failure)?)))
        .filter(|(failure, subject)| !is_noise(process, failure, subject))
        .collect();
    let Some(end) = &process.end else {
        return waits(timeline, index, process, &meaningful);
    };
    let recent: Vec<_> = meaningful
        .iter()
        .filter(|(failure, _)| failure.last >= end.at - BEFORE_END)
        .collect();
    let last = recent
        .iter()
        .rev()
        .take(RECENT)
        .max_by_key(|(failure, subject)| (strength(failure, subject), failure.last_id));
    let cause = |state, weight| Cause {
        process: index,
        state,
        subject: last.map(|(_, subject)| subject.clone()),
        failure: last.map(|(failure, _)| (*failure).clone()),
        weight,
    };
    let interface = matches!(
        last,
        Some((_, Subject::Interface(_) | Subject::InterfaceAddress(_)))
    );
    match end.signal.as_deref() {
        // Everything ends with it.
        Some(signal) if process.pid == 1 && is_fault(signal) => Some(cause(State::Crashed, 88)),
        // Nothing goes on without it, but what it has started.
        _ if process.pid == 1 => Some(cause(State::Ended, 66)),
        Some(signal) if is_fault(signal) => {
            Some(cause(State::Crashed, 72 + i32::from(last.is_some()) * 6))
        }
        Some(_) => {
            let killed = timeline.kills.iter().any(|kill| kill.target == process.pid);
            (killed && serves(process)).then(|| Cause {
                subject: None,
                failure: None,
                ..cause(State::Killed, 70)
            })
        }
        None if interface => Some(cause(State::Ended, 68)),
        None if end.code == 0 => {
            // A service that goes on in a child of its own ends so, too.
            let ended = last.is_some() && serves(process);
            (ended && timeline.children(index).next().is_none()).then(|| cause(State::Ended, 58))
        }
        None if only_asks(process) => None,
        None => {
            let weight = 56 + last.map_or(-16, |(failure, subject)| 2 * strength(failure, subject));
            let weight = weight + i32::from(serves(process)) * 18;
            (last.is_some() || serves(process)).then(|| cause(State::Ended, weight))
        }
    }
}

/// Whether a program dies of a signal by its own fault.
fn is_fault(signal: &str) -> bool {
    matches!(
        signal,
        "SIGSEGV" | "SIGBUS" | "SIGILL" | "SIGABRT" | "SIGFPE" | "SIGSYS" | "SIGTRAP"
    )
}

/// A process that is there and asks for the same again and again, to the last.
fn waits(
    timeline: &Timeline,
    index: usize,
    process: &Process,
    meaningful: &[(&Failure, Subject)],
) -> Option<Cause> {
    let goes_on = |failure: &Failure| {
        let turns = i64::try_from(failure.times.saturating_sub(1)).unwrap_or(i64::MAX);
        let period = (failure.last - failure.first) / turns.max(1);
        let lasts = failure.last - failure.first >= LASTS || failure.times >= FAST;
        lasts && failure.times >= LOOP && failure.last >= timeline.over - LATE.max(2 * period)
    };
    let looped = meaningful.iter().filter(|(failure, _)| goes_on(failure));
    let (failure, subject) =
        looped.max_by_key(|(failure, subject)| (strength(failure, subject), failure.times))?;
    let polls_for_a_file = matches!(subject, Subject::File(_)) && process.script().is_none();
    let weight = match (polls_for_a_file, strength(failure, subject)) {
        // Programs look again and again for files that may come, such as a new configuration.
        (true, _) => 54,
        (false, strength) => 74 + 2 * strength,
    };
    Some(Cause {
        process: index,
        state: State::Waits,
        subject: Some(subject.clone()),
        failure: Some((*failure).clone()),
        weight,
    })
}

/// How much a failure says by itself: a look whether a file is there says little.
pub fn strength(failure: &Failure, subject: &Subject) -> i32 {
    let looks = ["stat", "access", "readlink"]
        .iter()
        .any(|look| failure.call.contains(look));
    match subject {
        Subject::Interface(_) | Subject::InterfaceAddress(_) => 4,
        Subject::Peer(_)
        | Subject::Address(_)
        | Subject::Directory(_)
        | Subject::Library(_)
        | Subject::Program(_)
        | Subject::Ioctl(_) => 3,
        Subject::Device(_) | Subject::Call(_) if !looks => 2,
        Subject::File(_) if !looks => 1,
        _ => 0,
    }
}

/// Whatever was at work when the run ended, where much was.
fn still_booting(timeline: &Timeline) -> Option<Cause> {
    const MANY: usize = 3;
    // More time is of no use without an init.
    let died = |end: &End| end.signal.is_some();
    let mut inits = timeline.processes.iter().filter(|one| one.pid == 1);
    if inits.any(|init| init.end.as_ref().is_some_and(died)) {
        return None;
    }
    let new = new_since(timeline, LATE);
    let keys = |process: &Process| process.end.is_none() && makes_keys(process);
    let mut all = timeline.processes.iter();
    let at_work = all.rposition(keys).or_else(|| {
        let mut all = timeline.processes.iter();
        all.rposition(|process| new.contains(process.argv.as_slice()))
    });
    let goes_on = new.len() >= MANY || timeline.processes.iter().any(keys);
    Some(Cause {
        process: at_work.filter(|_| goes_on)?,
        state: State::Starting,
        subject: None,
        failure: None,
        weight: GRAVE,
    })
}

/// The process that asked for the reboot, and what the one that started it lacked shortly before.
fn reboot(timeline: &Timeline, program: &str) -> Option<Cause> {
    let named = |process: &Process| {
        process
            .argv
            .first()
            .is_some_and(|argv0| base(argv0) == base(program))
    };
    let index = timeline.processes.iter().rposition(named)?;
    let parent = timeline.ancestors(index).next();
    let failures = parent.map(|parent| &parent.failures).into_iter().flatten();
    let before = failures
        .filter_map(|failure| Some((failure, Subject::of(failure)?)))
        .filter(|(failure, subject)| {
            parent.is_some_and(|parent| !is_noise(parent, failure, subject))
        })
        .max_by_key(|(failure, subject)| (strength(failure, subject), failure.last_id));
    Some(Cause {
        process: index,
        state: State::Rebooted,
        failure: before.as_ref().map(|(failure, _)| (*failure).clone()),
        subject: before.map(|(_, subject)| subject),
        weight: 90,
    })
}

/// Programs whose end a script of the boot waits for, and that do not end.
fn held_up(timeline: &Timeline, services: &Services, known: &[Cause]) -> Vec<Cause> {
    let scripts = timeline.processes.iter().enumerate();
    let waiting =
        scripts.filter(|(_, process)| process.script().is_some() && process.end.is_none());
    waiting
        .filter_map(|(index, script)| {
            let children = timeline.children(index);
            let (child, process) = children.max_by_key(|(_, child)| child.started)?;
            let holds = process.end.is_none()
                && process.executed.is_some()
                // The script has done nothing since.
                && script.newest_id <= process.newest_id
                && script.newest <= process.started + 200
                && timeline.over - process.started >= LATE
                && !services.of(process)
                && !below(timeline, child).any(|below| services.of(below))
                && !waits_for_a_person(process)
                && !makes_keys(process)
                && process.script().is_none()
                && !known.iter().any(|cause| cause.process == child);
            holds.then_some(Cause {
                process: child,
                state: State::HoldsUp,
                subject: None,
                failure: None,
                weight: 64,
            })
        })
        .collect()
}

fn below(timeline: &Timeline, of: usize) -> impl Iterator<Item = &Process> {
    let mut found = Vec::new();
    let mut wanted = vec![of];
    while let Some(parent) = wanted.pop() {
        for (index, child) in timeline.children(parent) {
            found.push(child);
            wanted.push(index);
        }
    }
    found.into_iter()
}
