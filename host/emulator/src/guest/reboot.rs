//! The guest asks for another start.

use crate::process::call::Call;

/// How often init is started again; the next reboot ends the run.
pub const REBOOTS_MAX: u32 = 3;

/// One `reboot`, which its caller waits for.
#[derive(Debug)]
pub struct Reboot {
    what: String,
    call: Call,
}

impl Reboot {
    /// `what` says which kind it is and who asked for it.
    pub fn new(what: String, call: Call) -> Self {
        Self { what, call }
    }

    /// In words.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// The caller's.
    pub fn call(&self) -> &Call {
        &self.call
    }
}
