//! The guest asks for another start.

use rookery_records::Outcome;

use crate::process::call::Call;

/// How often init is started again; the next reboot ends the run.
pub const REBOOTS_MAX: u32 = 3;

/// One `reboot`, which its caller waits for.
#[derive(Debug)]
pub struct Reboot {
    what: String,
    program: String,
    call: Call,
}

impl Reboot {
    /// `what` says which kind it is and who asked for it, `program` is who asked.
    pub fn new(what: String, program: String, call: Call) -> Self {
        Self {
            what,
            program,
            call,
        }
    }

    /// As the end of a run, `because` it is not carried out.
    pub fn as_end(&self, because: &str) -> Outcome {
        Outcome::Rebooted {
            how: format!("{}{because}", self.what),
            program: self.program.clone(),
        }
    }

    /// In words.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// The program that asked.
    pub fn program(&self) -> &str {
        &self.program
    }

    /// The caller's.
    pub fn call(&self) -> &Call {
        &self.call
    }
}
