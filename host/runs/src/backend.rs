//! What an emulation backend is.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use rookery_contract::shapes::{CommandOutput, Reached};
use rookery_project::{Error, Result};
pub use rookery_records::Outcome;
use serde::{Deserialize, Serialize};

use crate::plan::Plan;
use rookery_records::event::Event;

/// One way to run a project.
pub trait Backend {
    /// Its name in `--backend` and in results.
    fn name(&self) -> &'static str;

    /// Whether it can work on this machine, and what to do where it cannot.
    fn probe(&self) -> Availability;

    /// Run `plan` until the guest ends, the deadline passes, or a stop is asked for.
    ///
    /// Called in the supervisor process, which has a single thread. Nothing that it started is
    /// alive when it returns.
    fn run(&self, plan: &Plan, control: &mut dyn Control) -> Result<Outcome>;

    /// Whether it leaves Penguin's result files itself, so that no collector runs beside it.
    fn writes_results(&self) -> bool {
        false
    }

    /// Whether it reads the project's files itself, so that it cannot be given another
    /// configuration than theirs.
    fn reads_the_project(&self) -> bool {
        false
    }

    /// What the backend gives a run at most that nobody gave a length, where that is more than
    /// usual.
    fn open_ended_s(&self) -> Option<u64> {
        None
    }

    /// Which of the requests of `wit/live.wit` it answers.
    fn live(&self) -> Live {
        Live {
            command: true,
            reach: true,
            ..Live::default()
        }
    }

    /// Whether it may be on this machine, at no cost; [`Self::probe`] finds out.
    fn may_be_here(&self) -> bool {
        true
    }

    /// How long a run may take to end after a stop was asked for, before its supervisor is killed.
    fn stop_grace(&self) -> Duration {
        Duration::from_secs(8)
    }

    /// End whatever a run of `plan` left behind when its supervisor was killed. Called in another
    /// process.
    fn sweep(&self, _plan: &Plan) {}
}

/// The requests to a running guest that a backend answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools)] // each is a capability
pub struct Live {
    /// [`Request::Command`]
    pub command: bool,
    /// [`Request::Reach`]
    pub reach: bool,
    /// [`Request::Live`], of hooks.
    #[serde(default)]
    pub hook: bool,
    /// Of models of files.
    #[serde(default)]
    pub model: bool,
    /// Of analysis plugins.
    #[serde(default)]
    pub plugin: bool,
    /// Of snapshots.
    #[serde(default)]
    pub snapshot: bool,
}

impl Live {
    /// Whether it has what `live.capabilities` calls so.
    pub fn has(&self, capability: &str) -> bool {
        match capability {
            "command" => self.command,
            "reach" => self.reach,
            "hook" => self.hook,
            "model" => self.model,
            "plugin" => self.plugin,
            "snapshot" => self.snapshot,
            _ => false,
        }
    }

    /// What one of both has.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            command: self.command || other.command,
            reach: self.reach || other.reach,
            hook: self.hook || other.hook,
            model: self.model || other.model,
            plugin: self.plugin || other.plugin,
            snapshot: self.snapshot || other.snapshot,
        }
    }
}

/// How a backend speaks with the run's lifecycle.
pub trait Control {
    /// Record what happened in the guest. Never blocks for long and never fails: a flood is bounded
    /// and counted.
    fn event(&mut self, event: Event);

    /// Readable while a request waits: a backend polls it beside its own descriptors, and calls
    /// [`next_request`](Self::next_request) until that gives `None`. It becomes readable several
    /// times a second without a request, too, so that results are flushed.
    fn requests(&self) -> BorrowedFd<'_>;

    /// The next request, if one waits.
    fn next_request(&mut self) -> Option<Request>;

    /// The run goes on until so many seconds after its start. To be told before the time that was
    /// known until now is over: who waits for the run takes it for stuck then.
    fn lasts(&mut self, timeout_s: u64) {
        let _ = timeout_s;
    }

    /// What is being done before there is a guest, and how far it is.
    fn preparing(&mut self, what: &str) {
        let _ = what;
    }
}

/// What another process asks of a running supervisor.
#[derive(Debug)]
pub enum Request {
    /// End the run, keep its results.
    Stop,
    /// `live.command` of `wit/live.wit`, answered through the [`Reply`].
    Command(crate::live::CommandRequest, Reply<CommandOutput>),
    /// `live.reach` of `wit/live.wit`.
    Reach(crate::live::ReachRequest, Reply<Reached>),
    /// A connection to a TCP port of the guest, handed over once it stands. Nothing is sent, and
    /// its `timeout` is how long that may take.
    Connect(crate::live::ReachRequest, Reply<OwnedFd>),
    /// What watches or changes the guest from outside it.
    Live(crate::live::LiveRequest, Reply<crate::live::LiveAnswer>),
}

impl Request {
    /// Answer that it cannot be done now. Whoever asks for a stop waits for no answer.
    pub fn refuse(self, why: Error) {
        match self {
            Self::Stop => {}
            Self::Command(_, reply) => reply.send(Err(why)),
            Self::Reach(_, reply) => reply.send(Err(why)),
            Self::Connect(_, reply) => reply.send(Err(why)),
            Self::Live(_, reply) => reply.send(Err(why)),
        }
    }
}

/// Answers one request. A backend may keep it and answer later, from its poll loop.
pub struct Reply<T>(Box<dyn FnOnce(Result<T>)>);

impl<T> std::fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reply")
    }
}

impl<T> Reply<T> {
    /// A reply that calls `answer`.
    pub fn new(answer: impl FnOnce(Result<T>) + 'static) -> Self {
        Self(Box::new(answer))
    }

    /// Send the answer.
    pub fn send(self, answer: Result<T>) {
        (self.0)(answer);
    }
}

/// Whether a backend works here.
#[derive(Debug, Clone, Serialize)]
pub struct Availability {
    /// The backend's name.
    pub backend: &'static str,
    /// Whether every needed check passed.
    pub available: bool,
    /// Each check, in the order in which they are made.
    pub checks: Vec<Check>,
}

/// One thing that a backend needs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Check {
    /// What was looked at, for example `user namespaces`.
    pub name: String,
    /// Whether it is there.
    pub ok: bool,
    /// Whether the backend cannot work without it.
    pub needed: bool,
    /// What was seen.
    pub detail: String,
    /// What to do where it is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}
