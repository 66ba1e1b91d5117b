//! When a run's loop wakes by itself. Each waking costs more than what is done then, so what is due
//! at nearly the same time is done at once.

use std::time::{Duration, Instant};

/// How often processes and sockets that ended unseen are looked for.
const TICK: Duration = Duration::from_millis(500);
/// The tick comes so much earlier or later where the loop wakes then anyway: together they are as
/// long as a tick, so that what comes as often as it is always joined.
const EARLIER: Duration = Duration::from_millis(200);
const LATER: Duration = Duration::from_millis(310);

/// The next tick.
pub struct Pace {
    tick: Instant,
}

impl Pace {
    /// The first tick comes after its usual time.
    pub fn new() -> Self {
        Self {
            tick: Instant::now() + TICK,
        }
    }

    /// Whether the tick is due.
    pub fn ticks(&mut self, now: Instant) -> bool {
        let is_due = now >= self.tick;
        if is_due {
            self.tick = now + TICK;
        }
        is_due
    }

    /// Until when to wait, if something else is to be done at `due`.
    pub fn until(&mut self, due: Instant) -> Instant {
        let (later, earlier) = (
            due.saturating_duration_since(self.tick),
            self.tick.saturating_duration_since(due),
        );
        if later < LATER && earlier < EARLIER {
            self.tick = due;
        }
        self.tick.min(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often a loop wakes in ten seconds that has something to do after each `pause`, and how
    /// many of these times are ticks.
    fn woken(pause: Duration, first: Duration) -> (usize, usize) {
        let mut pace = Pace::new();
        let mut now = Instant::now();
        let (end, mut due) = (now + Duration::from_secs(10), now + first);
        let (mut wakes, mut ticks) = (0, 0);
        while now < end {
            ticks += usize::from(pace.ticks(now));
            if now >= due {
                // What it does takes a moment.
                due = now + pause + Duration::from_micros(300);
            }
            now = pace.until(due);
            wakes += 1;
        }
        (wakes, ticks)
    }

    #[test]
    fn what_is_due_at_nearly_the_same_time_is_done_at_once() {
        for first in [0, 1, 100, 190, 260, 400, 499] {
            let first = Duration::from_millis(first);
            let (wakes, ticks) = woken(Duration::from_millis(500), first);
            assert!(wakes <= 22 && (18..=21).contains(&ticks), "{wakes} {ticks}");
            let (wakes, ticks) = woken(Duration::from_millis(250), first);
            assert!(wakes <= 43 && (14..=22).contains(&ticks), "{wakes} {ticks}");
            // A tick never waits for what comes much later, or all the time.
            let (_, ticks) = woken(Duration::from_secs(3), first);
            assert!((18..=21).contains(&ticks), "{ticks}");
            let (_, ticks) = woken(Duration::from_millis(1), first);
            assert!((18..=60).contains(&ticks), "{ticks}");
        }
    }
}
