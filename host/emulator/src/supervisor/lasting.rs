//! How long a run lasts: what was asked for, or, where nobody said, longer while its services are
//! still being started.

use std::time::{Duration, Instant};

use rookery_runs::plan::Plan;

use crate::supervisor::asking::Asking;

/// A run that is still starting goes on for so long at once.
const STEP: Duration = Duration::from_secs(10);
/// A guest that has done nothing new for so long has started all that it starts.
const SETTLED: Duration = Duration::from_secs(15);

/// The deadline of a run, which may move.
pub struct Lasting {
    began: Instant,
    deadline: Instant,
    /// The latest that the deadline can be.
    bound: Instant,
    /// When its services are asked a last time, or it is decided that it goes on.
    end_begins: Instant,
    /// A stop was asked for, and by when the services have to have answered a last time.
    stopping: Option<Instant>,
}

impl Lasting {
    /// The run of `plan` begins now.
    pub fn new(plan: &Plan) -> Self {
        let (began, timeout) = (Instant::now(), Duration::from_secs(plan.timeout_s));
        let extended = plan.extended_s.map_or(timeout, Duration::from_secs);
        let deadline = began + timeout;
        Self {
            began,
            deadline,
            bound: began + extended.max(timeout),
            end_begins: began + timeout.saturating_sub(Asking::before_end(timeout)),
            stopping: None,
        }
    }

    /// When the run is over.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// When something is to be done for its end.
    pub fn due(&self) -> Instant {
        let due = self.end_begins.min(self.deadline);
        self.stopping.map_or(due, |until| until.min(due))
    }

    /// Whether to call [`Self::goes_on`].
    pub fn end_begins(&self, now: Instant) -> bool {
        now >= self.end_begins
    }

    /// A stop was asked for: the run is over once all have answered, and at this time.
    pub fn stop_by(&mut self, until: Instant) {
        self.stopping.get_or_insert(until);
    }

    /// Whether a stop was asked for and it is over; `answered` is whether all have answered.
    pub fn has_stopped(&self, now: Instant, answered: bool) -> bool {
        self.stopping.is_some_and(|until| answered || now >= until)
    }

    /// The end begins now. Gives the seconds that the run has from its start where it goes on
    /// instead; `starting` is whether its services are still being started, and `news` when the
    /// guest last did something new.
    pub fn goes_on(&mut self, answered: bool, starting: bool, news: Instant) -> Option<u64> {
        let now = Instant::now();
        let busy = starting || now.saturating_duration_since(news) < SETTLED;
        if answered || !busy || self.deadline >= self.bound {
            self.end_begins = self.deadline;
            return None;
        }
        let later = (self.deadline + STEP).min(self.bound);
        let lasts = later.duration_since(self.began);
        self.end_begins = self.began + lasts.saturating_sub(Asking::before_end(lasts));
        self.deadline = later;
        Some(lasts.as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lasting(timeout: u64, extended: u64) -> Lasting {
        let began = Instant::now();
        let deadline = began + Duration::from_secs(timeout);
        Lasting {
            began,
            deadline,
            bound: began + Duration::from_secs(extended),
            end_begins: deadline,
            stopping: None,
        }
    }

    #[test]
    fn a_run_whose_length_was_asked_for_never_goes_on() {
        assert_eq!(lasting(60, 60).goes_on(false, true, Instant::now()), None);
    }

    #[test]
    fn a_run_that_answers_or_has_settled_ends_and_one_that_starts_goes_on_up_to_its_bound() {
        assert_eq!(lasting(60, 120).goes_on(true, true, Instant::now()), None);
        let long_ago = Instant::now().checked_sub(Duration::from_secs(20));
        let long_ago = long_ago.expect("the machine is up for longer");
        assert_eq!(lasting(60, 120).goes_on(false, false, long_ago), None);
        let mut run = lasting(60, 75);
        let end = run.deadline();
        assert_eq!(run.goes_on(false, false, Instant::now()), Some(70));
        assert!(run.due() > end && run.due() < run.deadline());
        assert_eq!(run.goes_on(false, true, long_ago), Some(75));
        assert_eq!(run.goes_on(false, true, Instant::now()), None);
        assert_eq!(run.due(), run.deadline());
    }
}
