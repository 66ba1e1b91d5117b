//! Blockers of a run whose events have no times, as those of Penguin, or that recorded no events:
//! what programs did not get counts where they then crashed, ended badly, or complained on the
//! console. Nobody knows what came first, so nothing of it is sure.

mod records;

use std::collections::BTreeMap;

use rookery_plugin::{Result, RootFilesystem, RunResults};

use self::records::{
    bad_ends, devices, failures, interfaces, missing_env, readable, short_name, traced,
};
use crate::blockers::cause::{Cause, GRAVE, State, strength};
use crate::blockers::fix::{Project, Sure, fix};
use crate::blockers::noise::{is_noise, only_asks};
use crate::blockers::refine::refine;
use crate::blockers::subject::Subject;
use crate::blockers::{BLOCKERS, Blocker, NAME, Who, literally, mounts, words};
use crate::files;
use crate::nvram;
use crate::shapes::Crash;
use crate::timeline::{Failure, Process, base};

/// Names of each kind that the console is searched for.
const SEARCHED: usize = 20;
/// Blockers of one program that are told.
const OF_ONE: usize = 2;
/// Lines of the console that are looked at for paths.
const LINES: u32 = 300;
/// What is printed by a program that did not get what it wanted.
const COMPLAINTS: &str =
    "no such|not found|can't|cannot|could not|fail|unable|missing|invalid|error|not set|undefined";

/// Something that a program did not get.
struct Suspect {
    program: String,
    pid: Option<i64>,
    state: State,
    subject: Subject,
    weight: i32,
    evidence: Vec<String>,
}

/// What is known of the run beside its calls.
struct Known<'a, R> {
    run: &'a R,
    crashed: BTreeMap<String, String>,
    ended: BTreeMap<String, String>,
}

/// The blockers that such a run's files tell of, worst first; of one in which something listens,
/// only what made a program crash.
pub fn find(
    run: &impl RunResults,
    root: Option<&impl RootFilesystem>,
    project: Option<&str>,
    serves: bool,
) -> Result<Vec<Blocker>> {
    let known = Known::of(run)?;
    let mut suspects = of_devices(&known)?;
    suspects.extend(of_calls(&known)?);
    suspects.extend(of_boot_arguments(&known)?);
    suspects.extend(of_nvram_keys(&known)?);
    suspects.extend(of_interfaces(&known)?);
    suspects.extend(of_console(&known)?);
    if serves {
        suspects.retain(|suspect| suspect.weight >= GRAVE);
    }
    suspects.sort_by_key(|suspect| std::cmp::Reverse(suspect.weight));
    let mounts = readable(mounts(run))?.unwrap_or_default();
    let project = Project {
        directory: project,
        root,
        mounts: &mounts,
    };
    let mut blockers: Vec<Blocker> = Vec::new();
    for suspect in suspects {
        let key = suspect.subject.text();
        let known = |one: &&Blocker| one.missing.as_ref().is_some_and(|one| one.text() == key);
        let same =
            |one: &&Blocker| one.who.program == suspect.program && one.state != State::Complained;
        if blockers.len() < BLOCKERS
            && blockers.iter().find(known).is_none()
            && blockers.iter().filter(same).count() < OF_ONE
        {
            blockers.push(blocker(run, &project, suspect)?);
        }
    }
    Ok(blockers)
}

fn blocker(
    run: &impl RunResults,
    project: &Project<impl RootFilesystem>,
    suspect: Suspect,
) -> Result<Blocker> {
    let subject = match project.root {
        Some(root) => refine(root, suspect.subject),
        None => suspect.subject,
    };
    let place = traced(run, base(subject.text()))?;
    let cause = Cause {
        process: usize::MAX,
        state: suspect.state,
        subject: Some(subject),
        failure: None,
        weight: suspect.weight,
    };
    let fix = fix(project, &cause, None);
    let surest = match suspect.state {
        State::Complained => Sure::Low,
        _ => Sure::Medium,
    };
    let evidence = suspect.evidence.iter();
    Ok(Blocker {
        blocker: words::sentence(&cause),
        who: Who {
            program: words::cut(&suspect.program, NAME),
            pid: suspect.pid,
            started_by: Vec::new(),
        },
        missing: cause.subject,
        place: place.map(|place| words::cut(&place, NAME)),
        evidence: evidence.map(|line| words::cut(line, words::LINE)).collect(),
        sure: (!fix.calls.is_empty()).then_some(fix.sure.max(surest)),
        fix: fix.calls,
        hint: fix.hint,
        state: suspect.state,
    })
}

impl<'a, R: RunResults> Known<'a, R> {
    fn of(run: &'a R) -> Result<Self> {
        let file = readable(run.read_yaml("crashes.yaml"))?.unwrap_or_default();
        let mut records = Crash::read_all(&file).unwrap_or_default();
        records.sort_by_key(|crash| crash.count);
        let crashed = records.into_iter().map(|crash| {
            let how = format!("received {} ({} times)", crash.signame, crash.count);
            (short_name(&crash.proc).to_owned(), how)
        });
        Ok(Self {
            run,
            crashed: crashed.collect(),
            ended: bad_ends(run)?,
        })
    }

    /// How a program came to grief; none where nothing says that it did.
    fn grief(&self, program: &str) -> Option<(State, String)> {
        let short = short_name(program);
        if let Some(how) = self.crashed.get(short).filter(|_| !short.is_empty()) {
            return Some((State::Crashed, format!("{short} {how}")));
        }
        let how = self.ended.get(short);
        let how = how.filter(|_| !only_asks(&Process::of(program)))?;
        let state = if how.starts_with("died") {
            State::Crashed
        } else {
            State::Ended
        };
        Some((state, format!("{short} {how}")))
    }

    /// The console's newest line that names something and says that it is not as it should be.
    fn complaint(&self, name: &str) -> Result<Option<String>> {
        let Some(name) = literally(name) else {
            return Ok(None);
        };
        let pattern = format!("(?i)(?:{COMPLAINTS}).*{name}|{name}.*(?:{COMPLAINTS})");
        let options = files::of_console(1, 160);
        let found = readable(self.run.search("console.log", &pattern, &options))?;
        let line = found.and_then(|found| found.matches.into_iter().next());
        Ok(line.map(|line| format!("console line {}: {}", line.line, line.text)))
    }
}

fn weight(state: State, strength: i32) -> i32 {
    let of_state = match state {
        State::Crashed => 72,
        State::Ended => 56,
        _ => 50,
    };
    of_state + 2 * strength
}

fn of_devices(known: &Known<impl RunResults>) -> Result<Vec<Suspect>> {
    let mut suspects = Vec::new();
    for device in devices(known.run)?.into_iter().take(SEARCHED) {
        let subject = match device.ioctls.first() {
            Some(command) if !device.opened => {
                Subject::Ioctl(format!("{} {command:#x}", device.path))
            }
            _ => Subject::Device(device.path.clone()),
        };
        let caller = device.callers.first().map_or("", String::as_str);
        let (program, pid) = caller.rsplit_once(':').unwrap_or((caller, ""));
        if is_usual(program, &subject, &device.path) {
            continue;
        }
        let said = known.complaint(&device.path)?;
        let grief = if device.crashing {
            let line = format!("a program that used {} crashed", device.path);
            Some((State::Crashed, line))
        } else {
            known.grief(program)
        };
        let (state, mut evidence) = match (grief, &said) {
            (Some((state, line)), _) => (state, vec![line]),
            (None, Some(_)) => (State::Complained, Vec::new()),
            (None, None) => continue,
        };
        // What is complained of matters more than what is not.
        let weight = weight(state, 2) + 2 * i32::from(said.is_some());
        evidence.extend(said);
        suspects.push(Suspect {
            program: program.to_owned(),
            pid: pid.parse().ok(),
            state,
            subject,
            weight,
            evidence,
        });
    }
    Ok(suspects)
}

/// The strongest failure of each program that came to grief.
fn of_calls(known: &Known<impl RunResults>) -> Result<Vec<Suspect>> {
    let mut programs: BTreeMap<String, Vec<(Failure, Subject)>> = BTreeMap::new();
    for failed in failures(known.run)? {
        let Some(subject) = Subject::of(&failed.failure) else {
            continue;
        };
        if !is_noise(&Process::of(&failed.program), &failed.failure, &subject) {
            let of_program = programs.entry(failed.program).or_default();
            of_program.push((failed.failure, subject));
        }
    }
    let mut suspects = Vec::new();
    for (program, failures) in programs.into_iter().take(SEARCHED) {
        let strongest = failures
            .into_iter()
            .max_by_key(|(failure, subject)| (strength(failure, subject), failure.last_id));
        let Some((failure, subject)) = strongest else {
            continue;
        };
        let grief = match known.grief(&program) {
            Some(grief) => Some(grief),
            None => known
                .complaint(subject.text())?
                .map(|line| (State::Complained, line)),
        };
        let Some((state, grief)) = grief else {
            continue;
        };
        let name = base(&program);
        let times = match failure.times {
            1 => String::new(),
            times => format!(", {times} times"),
        };
        suspects.push(Suspect {
            weight: weight(state, strength(&failure, &subject)),
            evidence: vec![format!("{}{times}", words::called(&failure, name)), grief],
            program: name.to_owned(),
            pid: None,
            state,
            subject,
        });
    }
    Ok(suspects)
}

fn of_boot_arguments(known: &Known<impl RunResults>) -> Result<Vec<Suspect>> {
    let mut suspects = Vec::new();
    for name in missing_env(known.run)?.into_iter().take(SEARCHED) {
        if let Some(line) = known.complaint(&name)? {
            suspects.push(of_line(Subject::BootArgument(name), line, 62));
        }
    }
    Ok(suspects)
}

fn of_nvram_keys(known: &Known<impl RunResults>) -> Result<Vec<Suspect>> {
    let keys = readable(nvram::missed(known.run))?.unwrap_or_default();
    let mut suspects = Vec::new();
    for key in keys.into_iter().take(SEARCHED) {
        if let Some(line) = known.complaint(&key)? {
            suspects.push(of_line(Subject::NvramKey(key), line, 61));
        }
    }
    Ok(suspects)
}

fn of_interfaces(known: &Known<impl RunResults>) -> Result<Vec<Suspect>> {
    let mut suspects = Vec::new();
    for (name, is_there) in interfaces(known.run)?.into_iter().take(SEARCHED) {
        let (line, weight) = match known.complaint(&name)? {
            Some(line) => (line, 60),
            None if is_there => continue,
            None => (format!("a call that named {name} failed"), 54),
        };
        let subject = if is_there {
            Subject::InterfaceAddress(name)
        } else {
            Subject::Interface(name)
        };
        suspects.push(of_line(subject, line, weight));
    }
    Ok(suspects)
}

/// Paths below `/dev`, `/proc` and `/sys` that the console complains of.
fn of_console(known: &Known<impl RunResults>) -> Result<Vec<Suspect>> {
    let pattern =
        format!("(?i)(?:{COMPLAINTS}).*/(?:dev|proc|sys)/|/(?:dev|proc|sys)/.*(?:{COMPLAINTS})");
    let options = files::of_console(LINES, 160);
    let found = readable(known.run.search("console.log", &pattern, &options))?.unwrap_or_default();
    let mut suspects = Vec::new();
    for line in &found.matches {
        // What cannot be mounted is another's to find.
        if let Some(path) = machine_path(&line.text).filter(|_| !line.text.contains("mount")) {
            let subject = Subject::Device(path.to_owned());
            if !is_usual("", &subject, path) {
                let text = format!("console line {}: {}", line.line, line.text);
                suspects.push(of_line(subject, text, 52));
            }
        }
    }
    Ok(suspects)
}

/// The first path below `/dev`, `/proc` or `/sys` in a line.
fn machine_path(line: &str) -> Option<&str> {
    let places = ["/dev/", "/proc/", "/sys/"];
    let start = places.iter().filter_map(|place| line.find(place)).min()?;
    let rest = &line[start..];
    let part = |c: char| c.is_ascii_alphanumeric() || "_./-".contains(c);
    let end = rest.find(|c| !part(c)).unwrap_or(rest.len());
    Some(rest[..end].trim_end_matches(['.', '/', '-']))
}

/// Whether programs look for this on every boot.
fn is_usual(program: &str, subject: &Subject, path: &str) -> bool {
    let failure = Failure {
        path: path.to_owned(),
        ..Failure::default()
    };
    is_noise(&Process::of(program), &failure, subject)
}

/// What a line of the console tells of. The program is the word before its colon, where there is
/// one.
fn of_line(subject: Subject, evidence: String, weight: i32) -> Suspect {
    let line = evidence.split_once(": ").map_or("", |(_, line)| line);
    let word = line.split_once(':').map(|(word, _)| word);
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let program = word.filter(|word| !word.is_empty() && word.chars().all(is_name));
    Suspect {
        program: program.unwrap_or("unknown").to_owned(),
        pid: None,
        state: State::Complained,
        subject,
        weight,
        evidence: vec![evidence],
    }
}

#[cfg(test)]
mod tests;
