//! The program that a process of the supervisor's own is to become in the guest.
//!
//! Until it executes something, such a process holds a copy of the supervisor's memory, into which
//! nobody in the guest may look. So the supervisor does not look there either: it lets the process
//! execute the launcher, and answers this with what it knows itself.

use std::cell::{Cell, RefCell};

use rustix::io::Errno;

/// Where a program is looked for that is named without a directory.
pub const SEARCH: &[&str] = &["/sbin", "/bin", "/usr/sbin", "/usr/bin"];

/// A program with its arguments and its environment.
#[derive(Debug)]
pub struct FirstProgram {
    /// Its name, and what it is called with.
    pub argv: Vec<Vec<u8>>,
    /// Its environment.
    pub envp: Vec<Vec<u8>>,
    waits: Cell<bool>,
    failure: RefCell<Option<Errno>>,
}

impl FirstProgram {
    /// What a process is yet to execute. `argv` is not empty.
    pub fn new(argv: &[String], envp: &[String]) -> Self {
        let bytes = |all: &[String]| all.iter().map(|text| text.as_bytes().to_vec()).collect();
        Self {
            argv: bytes(argv),
            envp: bytes(envp),
            waits: Cell::new(true),
            failure: RefCell::new(None),
        }
    }

    /// Whether the launcher was not told yet.
    pub fn waits(&self) -> bool {
        self.waits.get()
    }

    /// The launcher is told now.
    pub fn take(&self) {
        self.waits.set(false);
    }

    /// It could not be executed.
    pub fn fail(&self, errno: Errno) {
        self.failure.replace(Some(errno));
    }

    /// What a shell would say of it, where it could not be executed.
    pub fn complaint(&self) -> Option<String> {
        let errno = (*self.failure.borrow())?;
        let name = String::from_utf8_lossy(self.argv.first().map_or(b"", Vec::as_slice));
        Some(format!("{name}: {errno}\n"))
    }
}
