//! Waits for threads that are processes to the guest: the kernel knows of no such children, so the
//! supervisor lets the caller wait.

use crate::process::call::{Action, Call};
use crate::process::threads::Wanted;

/// Calls that wait at most.
const WAITS_MAX: usize = 4096;

/// One of them.
#[derive(Debug)]
pub struct Wait {
    call: Call,
    parent: u32,
    wanted: Wanted,
}

impl Wait {
    /// The thread that has the number `parent` in the guest waits with `call`.
    pub fn new(call: Call, parent: u32, wanted: Wanted) -> Self {
        Self {
            call,
            parent,
            wanted,
        }
    }

    pub fn call(&self) -> &Call {
        &self.call
    }

    pub fn parent(&self) -> u32 {
        self.parent
    }

    pub fn wanted(&self) -> Wanted {
        self.wanted
    }
}

/// All of them.
#[derive(Debug, Default)]
pub struct Waits(Vec<Wait>);

impl Waits {
    /// Let a call wait; whether there was room.
    pub fn hold(&mut self, wait: Wait) -> bool {
        let room = self.0.len() < WAITS_MAX;
        if room {
            self.0.push(wait);
        }
        room
    }

    /// Those of one process: they are answered, or held again.
    pub fn take(&mut self, process: u32) -> Vec<Wait> {
        let own = |wait: &mut Wait| wait.call.process == Some(process);
        self.0.extract_if(.., own).collect()
    }

    /// Let callers go on that a signal waits for: they call again when they have handled it. Who is
    /// gone is forgotten.
    pub fn interrupt(&mut self, is_signalled: impl Fn(&Call) -> bool) {
        self.0.retain(|wait| {
            if !wait.call.is_valid() {
                return false;
            }
            let signalled = is_signalled(&wait.call);
            if signalled {
                wait.call.answer(&Action::Restart);
            }
            !signalled
        });
    }
}
