//! Programs that fail as soon as they were started, or that cannot be executed, and are started
//! again without a pause: a machine would do nothing else. Their starts are held back.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::process::call::Call;
use crate::process::start::{Key, Start};

/// From so many failures in a row on, starts wait.
pub const FAILURES: u32 = 20;
/// How long a program lives that did nothing.
const AT_ONCE: Duration = Duration::from_secs(1);
/// How long a start waits.
pub const PAUSE: Duration = Duration::from_millis(200);
/// Programs that are counted, and starts that wait at once.
const PROGRAMS_MAX: usize = 1024;

/// All that fail so.
#[derive(Debug, Default)]
pub struct Respawns {
    /// How often each failed at once since it last did not.
    failures: HashMap<Key, u32>,
    held: Vec<(Instant, Call)>,
}

impl Respawns {
    /// A program ended. Gives whether its starts wait from now on.
    pub fn ended(&mut self, start: Start, failed: bool) -> bool {
        if !failed || start.elapsed() > AT_ONCE {
            self.failures.remove(&start.key);
            return false;
        }
        if self.failures.len() >= PROGRAMS_MAX {
            self.failures.clear();
        }
        let failures = self.failures.entry(start.key).or_default();
        *failures = failures.saturating_add(1);
        *failures == FAILURES
    }

    /// Hold back the start of a program; whether it is one that has to wait.
    pub fn hold(&mut self, key: Key, call: &Call) -> bool {
        let often = self.failures.get(&key).is_some_and(|n| *n >= FAILURES);
        let holds = often && !call.was_held && self.held.len() < PROGRAMS_MAX;
        if holds {
            let mut call = call.clone();
            call.was_held = true;
            self.held.push((Instant::now() + PAUSE, call));
        }
        holds
    }

    /// When the next start has waited long enough.
    pub fn due(&self) -> Option<Instant> {
        self.held.iter().map(|(until, _)| *until).min()
    }

    /// The starts that have waited long enough: they are to be answered.
    pub fn take_due(&mut self) -> Vec<Call> {
        let now = Instant::now();
        let due = self.held.extract_if(.., |(until, _)| *until <= now);
        due.map(|(_, call)| call).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call() -> Call {
        Call::of_this_thread(libc::SYS_execve, [0; 6])
    }

    #[test]
    fn a_program_that_fails_again_and_again_waits_and_one_that_does_not_starts_at_once() {
        let mut respawns = Respawns::default();
        let key = Key::of(1, "/bin/web", &[b"web".to_vec()]);
        let other = Key::of(1, "/bin/web", &[b"web".to_vec(), b"-f".to_vec()]);
        for _ in 1..FAILURES {
            assert!(!respawns.ended(Start::now(key), true));
            assert!(!respawns.hold(key, &call()));
        }
        assert!(respawns.ended(Start::now(key), true));
        assert!(respawns.hold(key, &call()) && !respawns.hold(other, &call()));
        assert!(respawns.take_due().is_empty());
        std::thread::sleep(PAUSE);
        let waited = respawns.take_due().pop().unwrap();
        assert!(!respawns.hold(key, &waited) && respawns.due().is_none());
        respawns.ended(Start::now(key), false);
        assert!(!respawns.hold(key, &call()));
    }
}
