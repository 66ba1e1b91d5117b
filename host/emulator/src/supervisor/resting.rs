//! Whether a guest rests, so that its supervisor may hold as little as that needs.

/// Ticks without a call after which a guest rests: what its programs do every few seconds is not
/// worth to fetch anew each time.
const TICKS: u32 = 3;

/// How many ticks there was no call.
#[derive(Default)]
pub struct Resting(u32);

impl Resting {
    /// Whether a rest begins at this tick. `is_quiet` is whether the guest has made no calls since
    /// the last.
    pub fn begins(&mut self, is_quiet: bool) -> bool {
        self.0 = if is_quiet {
            self.0.saturating_add(1)
        } else {
            0
        };
        self.0 == TICKS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_begins_once_and_anew_after_work() {
        let quiet = "qqqqqqwqqwqqqq";
        let mut resting = Resting::default();
        let begins: String = quiet
            .chars()
            .map(|tick| {
                if resting.begins(tick == 'q') {
                    'R'
                } else {
                    '.'
                }
            })
            .collect();
        assert_eq!(begins, "..R.........R.");
    }
}
