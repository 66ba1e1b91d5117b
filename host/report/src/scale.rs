//! Where a moment of a run stands on an axis.

/// Units of an axis from its left to its right end.
pub const WIDTH: i64 = 1000;
/// Steps between the ticks of an axis, in milliseconds.
const STEPS: [i64; 16] = [
    100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 30_000, 60_000, 120_000, 300_000, 600_000,
    1_800_000, 3_600_000, 36_000_000,
];
/// The most ticks of an axis: as many labels fit on a phone.
const TICKS: i64 = 5;

/// An axis from the start of init to the end of the run.
#[derive(Clone, Copy)]
pub struct Scale {
    over: i64,
}

impl Scale {
    /// For a run of so many milliseconds.
    pub fn of(over: i64) -> Self {
        Self { over: over.max(1) }
    }

    /// When the run was over, in milliseconds.
    pub fn over(self) -> i64 {
        self.over
    }

    /// The place of a moment, from 0 to [`WIDTH`].
    pub fn at(self, moment: i64) -> i64 {
        moment.clamp(0, self.over).saturating_mul(WIDTH) / self.over
    }

    /// The moments that have a label.
    pub fn ticks(self) -> Vec<i64> {
        let fits = |step: &&i64| self.over / **step < TICKS;
        let step = STEPS.iter().find(fits).copied().unwrap_or(self.over);
        (0..=self.over / step).take(10).map(|n| n * step).collect()
    }
}

/// `1.25 s`, `48 s`, `3 min 5 s`
pub fn time(milliseconds: i64) -> String {
    match milliseconds {
        ms if ms < 10_000 => format!("{}.{:02} s", ms / 1000, ms % 1000 / 10),
        ms if ms < 120_000 => format!("{} s", ms / 1000),
        ms => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1000),
    }
}

/// The same of a tick, where a round number is written short.
pub fn tick(milliseconds: i64) -> String {
    match milliseconds {
        0 => "0".to_owned(),
        ms if ms % 60_000 == 0 => format!("{} min", ms / 60_000),
        ms if ms % 1000 == 0 => format!("{} s", ms / 1000),
        ms => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_run_has_a_few_ticks_within_its_time() {
        for over in [0, 1, 99, 450, 3080, 60_000, 604_800_000, i64::MAX] {
            let scale = Scale::of(over);
            let ticks = scale.ticks();
            assert!((1..=10).contains(&ticks.len()), "{over}: {ticks:?}");
            assert!(ticks.iter().all(|tick| *tick <= scale.over()), "{over}");
        }
        assert_eq!(Scale::of(3080).ticks(), [0, 1000, 2000, 3000]);
    }

    #[test]
    fn what_was_before_or_after_the_run_stands_at_an_end_of_the_axis() {
        let scale = Scale::of(2000);
        assert_eq!(
            [-5, 0, 500, 9000].map(|at| scale.at(at)),
            [0, 0, 250, WIDTH]
        );
    }

    #[test]
    fn a_time_has_the_digits_that_matter() {
        assert_eq!(
            [1234, 48_700, 185_000].map(time),
            ["1.23 s", "48 s", "3 min 5 s"]
        );
        assert_eq!(
            [0, 500, 2000, 120_000].map(tick),
            ["0", "0.5 s", "2 s", "2 min"]
        );
    }
}
