//! When a run's loop wakes by itself. Each waking costs more than what is done then, so what is due
//! at nearly the same time is done at once.

use std::time::{Duration, Instant};

/// How often processes and sockets that ended unseen are looked for.
const TICK: Duration = Duration::from_millis(500);
/// And so often while the guest makes no calls.
const QUIET_TICK: Duration = Duration::from_secs(1);
/// The tick comes so many hundredths of its length earlier or later where the loop wakes then
/// anyway: together they are a whole one, so that what comes as often as it is always joined.
const EARLIER: u32 = 40;
const LATER: u32 = 62;

/// The next tick.
pub struct Pace {
    tick: Instant,
    length: Duration,
}

impl Pace {
    /// The first tick comes after its usual time.
    pub fn new() -> Self {
        Self {
            tick: Instant::now() + TICK,
            length: TICK,
        }
    }

    /// Whether the tick is due. `is_quiet` is whether the guest has made no calls since the last.
    pub fn ticks(&mut self, now: Instant, is_quiet: bool) -> bool {
        let is_due = now >= self.tick;
        if is_due {
            self.length = if is_quiet { QUIET_TICK } else { TICK };
            self.tick = now + self.length;
        }
        is_due
    }

    /// Until when to wait, if something else is to be done at `due`.
    pub fn until(&mut self, due: Instant) -> Instant {
        let (later, earlier) = (
            due.saturating_duration_since(self.tick),
            self.tick.saturating_duration_since(due),
        );
        let part = self.length / 100;
        if later < part * LATER && earlier < part * EARLIER {
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
    fn woken(pause: Duration, first: Duration, is_quiet: bool) -> (usize, usize) {
        let mut pace = Pace::new();
        let mut now = Instant::now();
        let (end, mut due) = (now + Duration::from_secs(10), now + first);
        let (mut wakes, mut ticks) = (0, 0);
        while now < end {
            ticks += usize::from(pace.ticks(now, is_quiet));
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
            let each = |millis| woken(Duration::from_millis(millis), first, false);
            let (wakes, ticks) = each(500);
            assert!(wakes <= 22 && (18..=21).contains(&ticks), "{wakes} {ticks}");
            let (wakes, ticks) = each(250);
            assert!(wakes <= 43 && (14..=22).contains(&ticks), "{wakes} {ticks}");
            // A tick never waits for what comes much later, or all the time.
            let (_, ticks) = each(3000);
            assert!((18..=21).contains(&ticks), "{ticks}");
            let (_, ticks) = each(1);
            assert!((18..=60).contains(&ticks), "{ticks}");
        }
    }

    #[test]
    fn a_guest_that_does_nothing_is_looked_at_half_as_often() {
        for first in [0, 1, 300, 600, 999] {
            let first = Duration::from_millis(first);
            let (wakes, ticks) = woken(Duration::from_secs(1), first, true);
            assert!(wakes <= 12 && (9..=12).contains(&ticks), "{wakes} {ticks}");
        }
    }
}
