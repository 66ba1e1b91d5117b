//! The guest's clock, which may be another than the host's.

use std::collections::HashMap;

use rustix::time::{ClockId, Timespec};

use crate::qemu::clock::Functions;

const NANOSECONDS: i128 = 1_000_000_000;

/// By how much it differs.
#[derive(Debug, Default)]
pub struct Clock {
    /// In nanoseconds; `None` until the guest has set it.
    ahead: Option<i128>,
    /// Where emulators, by their paths in the guest, keep what they read the clock by.
    functions: HashMap<String, Option<Functions>>,
}

impl Clock {
    /// The guest has set it to this time.
    pub fn set(&mut self, to: Timespec) {
        self.ahead = Some(nanoseconds(to) - nanoseconds(hosts()));
    }

    /// The guest has moved it by so many nanoseconds.
    pub fn move_by(&mut self, by: i128) {
        self.ahead = Some(self.ahead.unwrap_or(0) + by);
    }

    /// Whether the guest has set it.
    pub fn is_set(&self) -> bool {
        self.ahead.is_some()
    }

    /// What it shows. `None` where that is what the host's shows.
    pub fn now(&self) -> Option<Timespec> {
        let ahead = self.ahead?;
        Some(timespec(nanoseconds(hosts()) + ahead))
    }

    /// When on the host's clock it is this time on the guest's.
    pub fn on_host(&self, time: Timespec) -> Option<Timespec> {
        let ahead = self.ahead?;
        Some(timespec(nanoseconds(time) - ahead))
    }

    /// Where the emulator at this path in the guest keeps what it reads the clock by; `find` is
    /// asked once.
    pub fn functions(
        &mut self,
        emulator: &str,
        find: impl FnOnce() -> Option<Functions>,
    ) -> Option<Functions> {
        let known = self.functions.entry(emulator.to_owned());
        *known.or_insert_with(find)
    }
}

fn hosts() -> Timespec {
    rustix::time::clock_gettime(ClockId::Realtime)
}

fn nanoseconds(time: Timespec) -> i128 {
    i128::from(time.tv_sec) * NANOSECONDS + i128::from(time.tv_nsec)
}

/// A time before the first one is the first one.
fn timespec(nanoseconds: i128) -> Timespec {
    let nanoseconds = nanoseconds.max(0);
    Timespec {
        tv_sec: i64::try_from(nanoseconds / NANOSECONDS).unwrap_or(i64::MAX),
        tv_nsec: i64::try_from(nanoseconds % NANOSECONDS).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(tv_sec: i64) -> Timespec {
        Timespec { tv_sec, tv_nsec: 0 }
    }

    #[test]
    fn a_clock_that_was_set_goes_on_from_there() {
        let mut clock = Clock::default();
        assert!(clock.now().is_none() && clock.on_host(at(5)).is_none());
        clock.set(at(1000));
        let now = clock.now().unwrap();
        assert!((1000..1100).contains(&now.tv_sec), "{now:?}");
        clock.move_by(500 * NANOSECONDS);
        let now = clock.now().unwrap();
        assert!((1500..1600).contains(&now.tv_sec), "{now:?}");
        let host = clock.on_host(at(1500)).unwrap();
        let real = hosts();
        assert!((real.tv_sec - host.tv_sec).abs() < 100, "{host:?}");
        assert_eq!(clock.on_host(at(-1 << 40)).unwrap(), at(0));
    }
}
