//! How long a run lasts: what was asked for, or, where nobody said, longer while its services are
//! still being started, or while it computes.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rookery_runs::plan::Plan;

use crate::supervisor::asking::Asking;

/// A run that is still starting goes on for so long at once.
const STEP: Duration = Duration::from_secs(10);
/// A guest that has done nothing new for so long has started all that it starts.
const SETTLED: Duration = Duration::from_secs(15);
/// How a guest computes is looked at for so long before the run's end, and at least for so long.
const WATCHED: Duration = Duration::from_secs(12);
const WATCHED_MIN: Duration = Duration::from_secs(4);
/// One that computes for at least a tenth of that is at work. A guest that waits needs a hundredth;
/// one that makes keys on a busy machine gets no whole processor.
const AT_WORK: u32 = 10;

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
    /// How long the guest had computed at the last looks, the oldest first.
    computed: VecDeque<(Instant, Duration)>,
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
            computed: VecDeque::new(),
        }
    }

    /// Keep how long the guest has `computed` until now, where that may matter.
    pub fn watch(&mut self, now: Instant, computed: impl FnOnce() -> Duration) {
        let is_near = self.end_begins.saturating_duration_since(now) <= WATCHED;
        if self.deadline >= self.bound || !is_near {
            return;
        }
        self.computed.push_back((now, computed()));
        let old = |(at, _): &(Instant, Duration)| now.saturating_duration_since(*at) > WATCHED;
        while self.computed.front().is_some_and(old) {
            self.computed.pop_front();
        }
    }

    /// Whether the guest is at work, whatever else it does.
    fn computes(&self) -> bool {
        let (Some((since, before)), Some((until, now))) =
            (self.computed.front(), self.computed.back())
        else {
            return false;
        };
        let watched = until.saturating_duration_since(*since);
        watched >= WATCHED_MIN && now.saturating_sub(*before) >= watched / AT_WORK
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
        let busy = starting || now.saturating_duration_since(news) < SETTLED || self.computes();
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
            computed: VecDeque::new(),
        }
    }

    /// A guest of which nothing is new and that computed so many milliseconds of each second.
    fn settled(each: u64) -> (Lasting, Instant) {
        let mut run = lasting(5, 120);
        let long_ago = run.began.checked_sub(Duration::from_secs(20));
        for second in 0..10 {
            let now = run.began + Duration::from_secs(second);
            run.watch(now, || Duration::from_millis(9000 + second * each));
        }
        (run, long_ago.expect("the machine is up for longer"))
    }

    #[test]
    fn a_guest_that_computes_goes_on_and_one_that_only_waits_does_not() {
        for (each, goes_on) in [(900, true), (200, true), (20, false), (0, false)] {
            let (mut run, news) = settled(each);
            assert_eq!(run.goes_on(false, false, news).is_some(), goes_on, "{each}");
        }
        let (mut run, news) = settled(900);
        assert_eq!(run.goes_on(true, false, news), None, "a service answers");
        // Seen for a moment only, it may just have begun something short.
        let mut run = lasting(5, 120);
        for moment in 0..2 {
            let now = run.began + Duration::from_secs(moment);
            run.watch(now, || Duration::from_secs(moment));
        }
        assert_eq!(run.goes_on(false, false, news), None);
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
