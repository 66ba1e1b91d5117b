//! What each process of the guest did, and when: the recorded events put together.

pub mod rows;

use std::collections::HashMap;

use rookery_plugin::{Result, RootFilesystem, RunResults};

use crate::timeline::rows::{Exec, Id, Recorded};
pub use crate::timeline::rows::{Failure, Kill};

/// All processes that are known, in the order in which they were started.
#[derive(Default)]
pub struct Timeline {
    /// Those that are known.
    pub processes: Vec<Process>,
    /// When the newest event was, in milliseconds since init was started, as all times here.
    pub end: i64,
    /// When the run ended, or was looked at.
    pub over: i64,
    /// Signals that were sent.
    pub kills: Vec<Kill>,
}

/// One process, from its start to its end.
#[derive(Default)]
pub struct Process {
    /// Its number, which others may have had before.
    pub pid: i64,
    /// Its index in the timeline.
    pub parent: Option<usize>,
    /// When it was made.
    pub started: i64,
    /// What it executed last, or what its parent had.
    pub argv: Vec<String>,
    /// The event by which it became its program; none of a copy of its parent.
    pub executed: Option<Id>,
    /// None where it was there to the last.
    pub end: Option<End>,
    /// Its newest event.
    pub newest: i64,
    /// The number of that.
    pub newest_id: Id,
    /// The oldest first.
    pub failures: Vec<Failure>,
    name: String,
    script: Option<String>,
}

/// Programs whose beginning is looked at.
const SCRIPTS: usize = 300;

/// How a process ended.
#[derive(Clone)]
pub struct End {
    /// When.
    pub at: i64,
    /// Its exit code.
    pub code: i64,
    /// `SIGSEGV`
    pub signal: Option<String>,
}

impl Process {
    /// One of which nothing but its program is known.
    pub fn of(program: &str) -> Self {
        Self {
            argv: vec![program.to_owned()],
            ..Self::default()
        }
    }

    /// Its program's name without directories; of a script, its interpreter's.
    pub fn name(&self) -> &str {
        let path = self.argv.first().map_or(&*self.name, String::as_str);
        // A shell that was started for a login has a dash before its name.
        base(path).trim_start_matches('-')
    }

    /// Whether its program is a shell.
    pub fn is_shell(&self) -> bool {
        matches!(self.name(), "sh" | "ash" | "bash" | "dash" | "hush" | "rc")
    }

    /// The script that it runs.
    pub fn script(&self) -> Option<&str> {
        self.script.as_deref()
    }
}

/// The script that the interpreter of a process was given: the last of the leading arguments that
/// are paths, since some scripts are run by others (`/bin/sh /etc/rc.common /etc/init.d/x start`).
fn named_script(process: &Process) -> Option<&str> {
    let arguments = process.argv.get(1..).filter(|_| process.is_shell())?;
    let paths = arguments.iter().take_while(|text| text.starts_with('/'));
    paths.last().map(String::as_str)
}

/// A path without its directories.
pub fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

impl Timeline {
    /// None where nothing is known with its time.
    pub fn read(run: &impl RunResults, guest_ms: Option<i64>) -> Result<Option<Self>> {
        Ok(Recorded::read(run)?.map(|recorded| Self::of(recorded, guest_ms)))
    }

    fn of(recorded: Recorded, guest_ms: Option<i64>) -> Self {
        let mut timeline = Self {
            kills: recorded.kills,
            ..Self::default()
        };
        // Every process that a number has stood for, with the event that began it.
        let mut lives: HashMap<i64, Vec<(Id, usize)>> = HashMap::new();
        let mut execs = recorded.execs.into_iter().peekable();
        for start in recorded.starts {
            // A copy runs what its parent ran then.
            while let Some(exec) = execs.next_if(|exec| exec.id < start.id) {
                timeline.executed(&lives, exec);
            }
            let index = timeline.processes.len();
            let parent = life(&lives, start.ppid, start.id);
            let argv = parent.and_then(|parent| timeline.processes.get(parent));
            timeline.processes.push(Process {
                pid: start.pid,
                argv: argv.map(|parent| parent.argv.clone()).unwrap_or_default(),
                parent,
                started: start.at,
                newest: start.at,
                newest_id: start.id,
                name: start.name,
                ..Process::default()
            });
            lives.entry(start.pid).or_default().push((start.id, index));
            timeline.end = timeline.end.max(start.at);
        }
        for exec in execs {
            timeline.executed(&lives, exec);
        }
        for exit in recorded.exits {
            timeline.end = timeline.end.max(exit.at);
            if let Some(process) = timeline.of_event(&lives, exit.pid, exit.id) {
                process.end = Some(End {
                    at: exit.at,
                    code: exit.code,
                    signal: exit.reason.strip_prefix("signal:").map(str::to_owned),
                });
            }
        }
        for newest in recorded.newest {
            timeline.end = timeline.end.max(newest.at);
            if let Some(process) = timeline.of_event(&lives, newest.pid, newest.id) {
                process.newest = newest.at;
                process.newest_id = newest.id;
            }
        }
        for failure in recorded.failures {
            if let Some(process) = timeline.of_event(&lives, failure.pid, failure.last_id)
                // What it did while it still was its parent says nothing of its program.
                && process.executed.is_none_or(|since| since <= failure.last_id)
            {
                process.failures.push(failure);
            }
        }
        timeline.over = guest_ms.unwrap_or(0).max(timeline.end);
        timeline
    }

    fn executed(&mut self, lives: &HashMap<i64, Vec<(Id, usize)>>, exec: Exec) {
        if let Some(process) = self.of_event(lives, exec.pid, exec.id) {
            process.argv = exec.argv;
            process.executed = Some(exec.id);
        }
    }

    /// Find out which processes run scripts: a file that begins so is no program of its own.
    pub fn find_scripts(&mut self, root: Option<&impl RootFilesystem>) {
        let mut known: HashMap<String, bool> = HashMap::new();
        for process in &mut self.processes {
            process.script = named_script(process).map(str::to_owned).or_else(|| {
                let path = process.argv.first().filter(|path| path.starts_with('/'))?;
                if !known.contains_key(path) && known.len() < SCRIPTS {
                    let start = root.and_then(|root| root.read(path, 0, 2).ok());
                    known.insert(path.clone(), start.is_some_and(|start| start == b"#!"));
                }
                known
                    .get(path)
                    .copied()
                    .unwrap_or(false)
                    .then(|| path.clone())
            });
        }
    }

    fn of_event(
        &mut self,
        lives: &HashMap<i64, Vec<(Id, usize)>>,
        pid: i64,
        id: Id,
    ) -> Option<&mut Process> {
        self.processes.get_mut(life(lives, pid, id)?)
    }

    /// Its parent, its parent's parent, and so on.
    pub fn ancestors(&self, of: usize) -> impl Iterator<Item = &Process> {
        let parent = |index: &usize| self.processes.get(*index)?.parent;
        let chain = std::iter::successors(parent(&of), parent);
        // A parent was there before its child, so the chain has an end.
        chain.filter_map(|index| self.processes.get(index))
    }

    /// The names of all programs that were executed.
    pub fn programs(&self) -> impl Iterator<Item = String> {
        let executed = self
            .processes
            .iter()
            .filter(|process| process.executed.is_some());
        executed.map(|process| process.script().unwrap_or(process.name()).to_owned())
    }

    /// Whether the guest's first process has started others.
    pub fn init_started_programs(&self) -> bool {
        let by_init = |process: &Process| process.executed.is_some() && process.parent == Some(0);
        let is_first = self.processes.first().is_some_and(|first| first.pid == 1);
        is_first && self.processes.iter().any(by_init)
    }

    /// The processes that it made, with their indices.
    pub fn children(&self, of: usize) -> impl Iterator<Item = (usize, &Process)> {
        let all = self.processes.iter().enumerate();
        all.filter(move |(_, process)| process.parent == Some(of))
    }
}

/// The process that a number stood for at an event.
fn life(lives: &HashMap<i64, Vec<(Id, usize)>>, pid: i64, at: Id) -> Option<usize> {
    let of_pid = lives.get(&pid)?;
    let before = of_pid.iter().rev().find(|(id, _)| *id <= at);
    before.map(|(_, index)| *index)
}

#[cfg(test)]
pub mod tests;
