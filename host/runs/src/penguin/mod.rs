//! The backend `penguin`: real Penguin, through its host wrapper and a container engine, or
//! directly inside the Penguin image.
//!
//! Penguin numbers and fills result directories itself; here it is given one, watched, and stopped
//! in the way that lets it finish its files.

mod asking;
mod invocation;
mod output;
mod watch;

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rookery_project::{Error, Result, Unavailable};
use rustix::event::{PollFd, PollFlags};

use crate::backend::{Availability, Backend, Check, Control, Live, Outcome, Request};
use crate::penguin::invocation::{Invocation, Place};
use crate::penguin::output::Output;
use crate::penguin::watch::Watch;
use crate::plan::Plan;

/// Penguin needs about half a minute to end in good order.
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
            invocation.kill(&run.child);
            let _ = run.child.wait();
        }
        invocation.clean();
        let text = run.output.finish(&plan.results_dir);
        let (status, stopped) = ended?;
        output::outcome(&plan.results_dir, &text, status, stopped)
    }

    fn writes_results(&self) -> bool {
        true
    }

    fn live(&self) -> Live {
        Live {
            command: false,
            reach: false,
        }
    }

    fn stop_grace(&self) -> Duration {
        INTERRUPT_GRACE + SECOND_INTERRUPT_GRACE + Duration::from_secs(30)
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
    deadline: Instant,
    stop: Stop,
}

/// How far stopping has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stop {
    NotAsked,
    Interrupted(Instant),
    InterruptedAgain(Instant),
}

impl<'a> Run<'a> {
    fn start(invocation: &'a Invocation, plan: &Plan) -> Result<Self> {
        let failed = |error: io::Error| Error::Backend(format!("cannot start Penguin: {error}"));
        let (output, writer) = Output::pipe().map_err(failed)?;
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
        let deadline = Instant::now() + Duration::from_secs(plan.timeout_s) + OVERTIME;
        Ok(Self {
            invocation,
            child,
            output,
            watch: Watch::new(&plan.results_dir),
            deadline,
            stop: Stop::NotAsked,
        })
    }

    /// Until Penguin has ended; whether it was asked to.
    fn watch(&mut self, control: &mut dyn Control) -> Result<(ExitStatus, bool)> {
        loop {
            {
                let requests = control.requests();
                let mut fds = vec![PollFd::new(&requests, PollFlags::IN)];
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
            self.watch.advance(control);
            if let Some(status) = self
                .child
                .try_wait()
                .map_err(|error| Error::Internal(format!("cannot watch Penguin: {error}")))?
            {
                self.output.read();
                return Ok((status, self.stop != Stop::NotAsked));
            }
            self.escalate()?;
        }
    }

    fn answer(&mut self, request: Request) {
        match request {
            Request::Stop => {
                if self.stop == Stop::NotAsked {
                    self.invocation.interrupt(&self.child);
                    self.stop = Stop::Interrupted(Instant::now());
                }
            }
            Request::Command(_, reply) => reply.send(Err(no_live_control())),
            Request::Reach(_, reply) => reply.send(Err(no_live_control())),
        }
    }

    fn escalate(&mut self) -> Result<()> {
        match self.stop {
            Stop::Interrupted(since) if since.elapsed() > INTERRUPT_GRACE => {
                self.invocation.interrupt(&self.child);
                self.stop = Stop::InterruptedAgain(Instant::now());
            }
            Stop::InterruptedAgain(since) if since.elapsed() > SECOND_INTERRUPT_GRACE => {
                self.invocation.kill(&self.child);
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

fn no_live_control() -> Error {
    Error::Unavailable(Unavailable {
        what: "live control of this run".into(),
        why: "the backend penguin does not offer it yet".into(),
        how_to_enable: "Reach the guest's ports at the run's endpoints, or call run with \
                        \"backend\":\"user\""
            .into(),
    })
}

/// Run a helper program to its end, for at most `limit`; its exit code.
fn run_bounded(command: &mut Command, limit: Duration) -> Option<i32> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let deadline = Instant::now() + limit;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.code(),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(10)),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests;
