//! The kernel's log as the guest has it: the host's is none of its business, so nothing is ever
//! logged there, and who reads it waits.

use std::time::{Duration, Instant};

use rustix::io::Errno;

use crate::process::call::{Action, Call};

/// How long a reader waits before it is asked to call again: a signal would not end its wait.
const WAIT: Duration = Duration::from_secs(3);
/// Readers that wait at most.
const READERS: usize = 64;

/// Readers, and since when they wait.
#[derive(Debug, Default)]
pub struct KernelLog(Vec<(Instant, Call)>);

impl KernelLog {
    /// Let the caller wait, as a reader of an empty log does.
    pub fn read(&mut self, call: &Call) -> Action {
        if self.0.len() >= READERS {
            return Errno::INTR.into();
        }
        self.0.push((Instant::now(), call.clone()));
        Action::Later
    }

    /// Let all call again.
    pub fn wake_all(&mut self) {
        for (_, call) in self.0.drain(..) {
            call.answer(&Errno::INTR.into());
        }
    }

    /// Let those who have waited call again.
    pub fn wake(&mut self) {
        self.0.retain(|(since, call)| {
            let waits = since.elapsed() < WAIT && call.is_valid();
            if !waits {
                call.answer(&Errno::INTR.into());
            }
            waits
        });
    }
}
