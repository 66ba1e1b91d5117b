//! The guest's System V IPC, as its namespace lists it.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::os::fd::OwnedFd;

use rustix::fs::{CWD, Mode, OFlags};

use crate::kernel::enter;
use crate::kernel::ipc::Kind;

/// What is read at most of a table.
const TABLE_MAX: u64 = 1 << 20;

/// Its tables: a file of `/proc/sysvipc` is that of the namespace in which it was opened.
#[derive(Debug, Default)]
pub struct Ipc {
    tables: Vec<(Kind, File)>,
}

impl Ipc {
    /// What the namespace lists now. `None` where it cannot be read.
    pub fn table(&mut self, kind: Kind, guest: &OwnedFd) -> Option<String> {
        if !self.tables.iter().any(|(known, _)| *known == kind) {
            let namespaces = libc::CLONE_NEWUSER | libc::CLONE_NEWIPC;
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            let open = || rustix::fs::openat(CWD, kind.table(), flags, Mode::empty());
            let file = enter::make(guest, namespaces, open).ok()?;
            self.tables.push((kind, file.into()));
        }
        let (_, file) = self.tables.iter_mut().find(|(known, _)| *known == kind)?;
        file.rewind().ok()?;
        let mut text = String::new();
        file.take(TABLE_MAX).read_to_string(&mut text).ok()?;
        Some(text)
    }

    /// Let a table be this text.
    #[cfg(test)]
    pub fn answer(&mut self, kind: Kind, table: &str) {
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, table.as_bytes()).unwrap();
        self.tables.push((kind, file));
    }
}
