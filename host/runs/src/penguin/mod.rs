//! The backend `penguin`: real Penguin, through its host wrapper and a container engine, or
//! directly inside the Penguin image.
//!
//! Penguin numbers and fills result directories itself; here it is given one, watched, and stopped
//! in the way that lets it finish its files.

mod asking;
mod engine;
mod invocation;
mod live;
mod making;
mod output;
mod watch;

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rookery_contract::options::StartOptions;
use rookery_project::{Error, Result};
use rustix::event::{PollFd, PollFlags};

use crate::backend::{Availability, Backend, Check, Control, Live, Outcome, Request};
use crate::penguin::engine::on_path;
use crate::penguin::invocation::{Invocation, Place};
use crate::penguin::live::LiveControl;
use crate::penguin::output::Output;
use crate::penguin::watch::Watch;
use crate::plan::Plan;

pub use making::make_project;

/// A stop is tried again until Penguin is there to be told, for so long: an image may have to be
/// fetched before its container is made.
const ARRIVES_WITHIN: Duration = Duration::from_mins(1);
const TRIED_EVERY: Duration = Duration::from_secs(1);
/// Penguin needs about half a minute to end in good order, from when it was told.
const INTERRUPT_GRACE: Duration = Duration::from_mins(1);
const SECOND_INTERRUPT_GRACE: Duration = Duration::from_secs(10);
/// Beyond the run's own time: building the image on the first run, booting, and Penguin's own
/// backstops.
const OVERTIME: Duration = Duration::from_mins(20);
const TURN: rustix::time::Timespec = rustix::time::Timespec {
    tv_sec: 0,
    tv_nsec: 500_000_000,
};

/// Real Penguin.
#[derive(Debug, Default)]
pub struct PenguinBackend {
    /// Where Penguin is; looked for where it is not given.
    place: Option<Place>,
}

impl PenguinBackend {
    /// Nothing is looked for yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn place(&self) -> Option<Place> {
        self.place.clone().or_else(Place::find)
    }
}

impl Backend for PenguinBackend {
    fn name(&self) -> &'static str {
        "penguin"
    }

    fn probe(&self) -> Availability {
        let checks = match &self.place {
            Some(place) => vec![Check {
                name: "penguin".into(),
                ok: true,
                needed: true,
                detail: format!("{place:?}"),
                fix: None,
            }],
            None => invocation::checks(),
        };
        Availability {
            backend: "penguin",
            available: checks.iter().all(|check| check.ok || !check.needed),
            checks,
        }
    }

    fn run(&self, plan: &Plan, control: &mut dyn Control) -> Result<Outcome> {
        let place = self.place().ok_or_else(|| {
            Error::Backend(
                "Penguin is not on this machine; `rookery doctor` says what is missing".into(),
            )
        })?;
        let invocation = Invocation::new(place, plan)?;
        let mut run = Run::start(&invocation, plan)?;
        let ended = run.watch(control);
        // However the watch ended, nothing of the run stays.
        if run.child.try_wait().ok().flatten().is_none() {
            invocation.kill(&mut run.child);
            let _ = run.child.wait();
        }
        let text = run.output.finish(&plan.results_dir);
        let (status, why) = ended?;
        output::outcome(&plan.results_dir, &text, status, why)
    }

    fn writes_results(&self) -> bool {
        true
    }

    fn reads_the_project(&self) -> bool {
        true
    }

    fn open_ended_s(&self) -> Option<u64> {
        Some(StartOptions::PENGUIN_S.into())
    }

    fn live(&self) -> Live {
        Live {
            command: true,
            reach: true,
            hook: true,
            // Penguin reads them when a run begins.
            model: false,
            plugin: true,
            snapshot: true,
        }
    }

    fn may_be_here(&self) -> bool {
        self.place.is_some() || on_path("penguin".as_ref()).is_some()
    }

    fn stop_grace(&self) -> Duration {
        ARRIVES_WITHIN + INTERRUPT_GRACE + SECOND_INTERRUPT_GRACE + Duration::from_mins(1)
    }

    fn sweep(&self, plan: &Plan) {
        if let Some(invocation) = self
            .place()
            .and_then(|place| Invocation::new(place, plan).ok())
        {
            invocation.sweep();
        }
    }
}

/// A running Penguin.
struct Run<'a> {
    invocation: &'a Invocation,
    child: Child,
    output: Output,
    watch: Watch,
    live: LiveControl,
    deadline: Instant,
    /// When to end a run that nobody gave a length: Penguin does not.
    bound: Option<Instant>,
    stop: Stop,
    why: Option<Why>,
}

/// How far stopping has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stop {
    NotAsked,
    /// Nobody was there to be told yet.
    Trying {
        since: Instant,
        tried: Instant,
    },
    Interrupted(Instant),
    InterruptedAgain(Instant),
}

/// Why a run ends that Penguin was told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Asked,
    /// Nobody gave it a length, and it had the most that such a run may have.
    Bound,
}

impl<'a> Run<'a> {
    fn start(invocation: &'a Invocation, plan: &Plan) -> Result<Self> {
        let failed = |error: io::Error| Error::Backend(format!("cannot start Penguin: {error}"));
        let (output, writer) = Output::pipe().map_err(failed)?;
        let live = LiveControl::new(&plan.project_dir, &plan.results_dir, invocation.way())?;
        let mut command = invocation.command();
        let child = command
            .stdin(Stdio::null())
            .stdout(writer.try_clone().map_err(failed)?)
            .stderr(writer)
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        // `command` holds the ends for writing; with it, the pipe would never end.
        drop(command);
        let end = Instant::now() + Duration::from_secs(plan.timeout_s);
        Ok(Self {
            invocation,
            child,
            output,
            watch: Watch::new(&plan.results_dir),
            live,
            deadline: end + OVERTIME,
            bound: plan.is_open_ended().then_some(end),
            stop: Stop::NotAsked,
            why: None,
        })
    }

    /// Until Penguin has ended; why, where it was told to.
    fn watch(&mut self, control: &mut dyn Control) -> Result<(ExitStatus, Option<Why>)> {
        loop {
            {
                let requests = [control.requests(), self.live.descriptor()];
                let mut fds: Vec<_> = requests
                    .into_iter()
                    .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
                    .collect();
                fds.extend(
                    self.output
                        .descriptor()
                        .map(|output| PollFd::from_borrowed_fd(output, PollFlags::IN)),
                );
                let asked = self.watch.sockets();
                fds.extend(asked.map(|(fd, flags)| PollFd::from_borrowed_fd(fd, flags)));
                let _ = rustix::event::poll(&mut fds, Some(&TURN));
            }
            self.output.read();
            while let Some(request) = control.next_request() {
                self.answer(request);
            }
            self.live.advance();
            self.watch.advance(control);
            if let Some(status) = self
                .child
                .try_wait()
                .map_err(|error| Error::Internal(format!("cannot watch Penguin: {error}")))?
            {
                self.output.read();
                return Ok((status, self.why));
            }
            self.escalate()?;
        }
    }

    fn answer(&mut self, request: Request) {
        match request {
            Request::Stop => self.end(Why::Asked),
            request => self.live.take(request),
        }
    }

    fn end(&mut self, why: Why) {
        if self.stop == Stop::NotAsked {
            self.why = Some(why);
            self.interrupt(Instant::now());
        }
    }

    /// Penguin's grace begins once it was told.
    fn interrupt(&mut self, since: Instant) {
        let tried = Instant::now();
        self.stop = if self.invocation.interrupt(&self.child) {
            Stop::Interrupted(Instant::now())
        } else {
            Stop::Trying { since, tried }
        };
    }

    fn escalate(&mut self) -> Result<()> {
        match self.stop {
            Stop::Trying { since, .. } if since.elapsed() > ARRIVES_WITHIN => {
                self.invocation.kill(&mut self.child);
            }
            Stop::Trying { since, tried } if tried.elapsed() > TRIED_EVERY => {
                self.interrupt(since);
            }
            Stop::Interrupted(since) if since.elapsed() > INTERRUPT_GRACE => {
                self.invocation.interrupt(&self.child);
                self.stop = Stop::InterruptedAgain(Instant::now());
            }
            Stop::InterruptedAgain(since) if since.elapsed() > SECOND_INTERRUPT_GRACE => {
                self.invocation.kill(&mut self.child);
            }
            Stop::NotAsked if self.bound.is_some_and(|bound| Instant::now() > bound) => {
                self.end(Why::Bound);
            }
            Stop::NotAsked if Instant::now() > self.deadline => {
                return Err(Error::Backend(format!(
                    "Penguin did not end within {} s of its deadline, and was killed",
                    OVERTIME.as_secs()
                )));
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
