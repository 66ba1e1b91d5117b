//! Which of the guest's services answer: they are asked while it runs, and again before it ends.
//!
//! What a service does to answer (it opens a file, starts a program) is in the results as
//! everything that the guest does. The question itself is no event: it comes from outside.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rookery_contract::shapes::ServiceAnswer;
use rookery_records::event::{Process, What};
use rookery_runs::asking::Schedule;

use crate::guest::access::{HasServices, Reports};
use crate::network::asker::Asker;
use crate::network::forward::reachable;

/// The most that a question takes.
const LIMIT: Duration = Duration::from_secs(10);
/// How long before a run's deadline its services are asked again: a silent one needs this long.
const BEFORE_END: Duration = Duration::from_millis(3500);
/// A run that was asked to stop asks its services again for so long.
const AT_STOP: Duration = Duration::from_millis(1200);

/// Who is asked, who was, and who answered.
pub struct Asking {
    asker: Option<Asker>,
    schedule: Schedule<SocketAddr>,
    asked: HashMap<u32, Question>,
    numbers: u32,
    /// When the guest's init was started.
    started: Instant,
    /// The last questions were asked.
    last: bool,
    /// A service answered.
    answered: bool,
}

struct Question {
    at: SocketAddr,
    who: Process,
    asked: Instant,
    at_end: bool,
}

impl Asking {
    /// Nobody is asked yet. An error is why nobody will be.
    pub fn new(guest: &OwnedFd) -> (Self, Option<std::io::Error>) {
        let (asker, error) = match Asker::start(guest) {
            Ok(asker) => (Some(asker), None),
            Err(error) => (None, Some(error)),
        };
        let asking = Self {
            asker,
            schedule: Schedule::default(),
            asked: HashMap::new(),
            numbers: 0,
            started: Instant::now(),
            last: false,
            answered: false,
        };
        (asking, error)
    }

    /// The guest's init starts now.
    pub fn start(&mut self) {
        self.started = Instant::now();
    }

    /// Readable while answers are there.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.asker.as_ref().map(AsFd::as_fd)
    }

    /// Ask those whose time has come.
    pub fn tick(&mut self, guest: &mut (impl Reports + HasServices)) {
        if self.last {
            return;
        }
        let now = Instant::now();
        self.schedule.listen(now, guest.services().tcp());
        for at in self.schedule.take_due(now) {
            self.ask(guest, at, LIMIT, false);
        }
    }

    /// How long before a deadline the services are asked again, for a run that lasts so long.
    pub fn before_end(lasts: Duration) -> Duration {
        BEFORE_END.min(lasts / 4)
    }

    /// The run ends, and its services are asked a last time, for at most `limit`. Gives when it can
    /// end.
    pub fn ask_at_end(
        &mut self,
        guest: &mut (impl Reports + HasServices),
        limit: Duration,
    ) -> Instant {
        let now = Instant::now();
        if !std::mem::replace(&mut self.last, true) {
            self.schedule.listen(now, guest.services().tcp());
            for at in self.schedule.take_all() {
                self.ask(guest, at, limit, true);
            }
        }
        now + limit
    }

    /// As [`Self::ask_at_end`], for a run that was asked to stop.
    pub fn ask_at_stop(&mut self, guest: &mut (impl Reports + HasServices)) -> Instant {
        self.ask_at_end(guest, AT_STOP)
    }

    /// Whether all that were asked a last time have answered.
    pub fn is_over(&self) -> bool {
        self.last && !self.asked.values().any(|question| question.at_end)
    }

    /// Whether a service answered since the run began.
    pub fn has_answer(&self) -> bool {
        self.answered
    }

    /// Whether a service has yet to be asked, or is being asked.
    pub fn is_waiting(&self) -> bool {
        self.asker.is_some() && (self.schedule.is_waiting() || !self.asked.is_empty())
    }

    /// Take the answers that are there.
    pub fn advance(&mut self, guest: &mut impl Reports) {
        let Some(asker) = &self.asker else { return };
        let answers = asker.answers();
        if answers.is_empty() {
            // Readable and empty: the process is gone, and nobody answers any more.
            self.asked.clear();
            if let Some(asker) = self.asker.take() {
                asker.stop();
            }
        }
        for (number, answer) in answers {
            if let Some(question) = self.asked.remove(&number) {
                self.answered(guest, question, answer);
            }
        }
    }

    /// End the process that asks.
    pub fn stop(&mut self) {
        if let Some(asker) = self.asker.take() {
            asker.stop();
        }
    }

    fn ask(
        &mut self,
        guest: &mut (impl Reports + HasServices),
        at: SocketAddr,
        limit: Duration,
        at_end: bool,
    ) {
        let Some(asker) = &self.asker else { return };
        self.numbers = self.numbers.wrapping_add(1);
        if asker.ask(self.numbers, reachable(at), limit) {
            let question = Question {
                at,
                who: guest.services().who_listens(at),
                asked: Instant::now(),
                at_end,
            };
            self.asked.insert(self.numbers, question);
        }
    }

    fn answered(&mut self, guest: &mut impl Reports, of: Question, answer: ServiceAnswer) {
        self.schedule.answered(&of.at, &answer.kind);
        self.answered |= answer.is_answer();
        let asked = of.asked.saturating_duration_since(self.started).as_millis();
        let answer = ServiceAnswer {
            asked_ms: u64::try_from(asked).unwrap_or(u64::MAX),
            ..answer
        };
        let what = What::Answered {
            ip: of.at.ip(),
            port: of.at.port(),
            at_end: of.at_end,
            answer,
        };
        guest.report(of.who, what);
    }
}
