//! A process of the guest, held by its directory in the host's `/proc`.
//!
//! A number may come to mean another process at any moment, also one that is not the guest's. A
//! directory of `/proc` stays that of the process for which it was opened: once this has ended,
//! everything below it fails (`proc_pid(5)`). What the supervisor reads from a process of the
//! guest, or writes into it, it reaches from here and in no other way.
//!
//! Invariant 8: nothing from a guest is a path, a number or advice.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::kernel::{self, shortage};

/// What is read at most of one file of `/proc`: a guest decides how long many of them are.
const TEXT_MAX: u64 = 1 << 20;

/// The pid namespace of a guest: who is in it is the guest's, and nobody else is.
#[derive(Debug)]
pub struct PidNamespace {
    id: (u64, u64),
    /// While it is open, no other namespace gets the same numbers.
    _held: OwnedFd,
}

impl PidNamespace {
    /// The one that the process `pid` of the host is in, which the caller keeps from being reaped.
    pub fn of(pid: u32) -> Result<Self, Errno> {
        let path = format!("/proc/{pid}/ns/pid");
        let held = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let status = rustix::fs::fstat(&held)?;
        Ok(Self {
            id: (status.st_dev, status.st_ino),
            _held: held,
        })
    }
}

/// The directory of one process.
#[derive(Debug)]
pub struct ProcDir {
    directory: OwnedFd,
    pid: u32,
}

impl ProcDir {
    /// The directory of the process to which the thread `thread` of the host belongs. `SRCH` where
    /// it is gone, `PERM` where it is not in `namespace`.
    pub fn of_thread(thread: u32, namespace: &PidNamespace) -> Result<Self, Errno> {
        Self::with_status(thread, namespace).map(|(found, _)| found)
    }

    /// As [`ProcDir::of_thread`], and what `/proc/PID/status` tells of the thread.
    pub fn with_status(thread: u32, namespace: &PidNamespace) -> Result<(Self, String), Errno> {
        let mut found = Self::open(CWD, &format!("/proc/{thread}"), thread)?;
        let status = found.text("status").map_err(|_| Errno::SRCH)?;
        let process = number(&status, "Tgid:").ok_or(Errno::SRCH)?;
        if process != thread {
            found = Self::open(CWD, &format!("/proc/{process}"), process)?;
        }
        // What the number meant when it was read, it may mean no more.
        if !found.has_thread(thread) {
            return Err(Errno::SRCH);
        }
        let its = rustix::fs::statat(&found.directory, "ns/pid", AtFlags::empty())?;
        if (its.st_dev, its.st_ino) != namespace.id {
            return Err(Errno::PERM);
        }
        Ok((found, status))
    }

    /// Not by `O_PATH`: it stands for its process like a pidfd (`pidfd_send_signal(2)`).
    fn open(proc: impl AsFd, name: &str, pid: u32) -> Result<Self, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory =
            rustix::fs::openat(proc, name, flags, Mode::empty()).map_err(|errno| match errno {
                Errno::NOENT => Errno::SRCH,
                errno => shortage::of("openat")(errno),
            })?;
        Ok(Self { directory, pid })
    }

    /// As another `/proc` shows it: that of a pid namespace in which it has this number. Its files
    /// there have the numbers of that namespace.
    pub fn in_other(&self, proc: &OwnedFd, number: u32) -> Result<Self, Errno> {
        let found = Self::open(proc, &number.to_string(), self.pid)?;
        // As long as it lives, nobody else has its number.
        if !self.is_alive() {
            return Err(Errno::SRCH);
        }
        Ok(found)
    }

    /// Its number on the host, for messages and for comparing: it may be another's by now.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether its number is its own, and no other process can have got it: it may have ended, but
    /// nobody has waited for that.
    pub fn keeps_number(&self) -> bool {
        kernel::process::keeps_number(self.directory.as_fd())
    }

    /// Whether a thread of the host is one of this process now.
    pub fn has_thread(&self, thread: u32) -> bool {
        if thread == self.pid {
            return self.keeps_number();
        }
        let name = format!("task/{thread}");
        rustix::fs::statat(&self.directory, name, AtFlags::empty()).is_ok()
    }

    /// Open a file below it.
    pub fn file(&self, name: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        rustix::fs::openat(
            &self.directory,
            name,
            flags | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY,
            Mode::empty(),
        )
        .map_err(shortage::of("openat"))
    }

    /// Look at what a link below it leads to: nothing is opened that could act on it.
    pub fn target(&self, name: &str) -> Result<OwnedFd, Errno> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        rustix::fs::openat(&self.directory, name, flags, Mode::empty())
            .map_err(shortage::of("openat"))
    }

    /// The status of what a link below it leads to.
    pub fn target_status(&self, name: &str) -> Result<Stat, Errno> {
        rustix::fs::statat(&self.directory, name, AtFlags::empty())
    }

    /// What a link below it says.
    pub fn link(&self, name: &str) -> Result<String, Errno> {
        let link = rustix::fs::readlinkat(&self.directory, name, Vec::new())?;
        Ok(link.to_string_lossy().into_owned())
    }

    /// The text of a file below it. A file of more than 1 MiB is an error.
    pub fn text(&self, name: &str) -> io::Result<String> {
        Ok(String::from_utf8_lossy(&self.bytes(name)?).into_owned())
    }

    /// As [`ProcDir::text`], not decoded.
    pub fn bytes(&self, name: &str) -> io::Result<Vec<u8>> {
        // Most are shorter, and then read at once.
        let mut bytes = Vec::with_capacity(4096);
        let file = File::from(self.file(name, OFlags::RDONLY)?);
        let length = file.take(TEXT_MAX + 1).read_to_end(&mut bytes)?;
        if length as u64 > TEXT_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(bytes)
    }

    /// The last number after `field` in a file of lines such as `status`.
    pub fn number(&self, name: &str, field: &str) -> Option<u32> {
        number(&self.text(name).ok()?, field)
    }

    /// The names in a directory below it that are numbers: threads, descriptors.
    pub fn numbers(&self, name: &str) -> Vec<u32> {
        let listed = self
            .file(name, OFlags::RDONLY | OFlags::DIRECTORY)
            .and_then(rustix::fs::Dir::new);
        listed
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().to_str().ok()?.parse().ok())
            .collect()
    }

    /// Whether it has not ended. Its first thread may have, while others go on.
    pub fn is_alive(&self) -> bool {
        self.text("stat").is_ok_and(|stat| lives(&stat))
    }
}

/// The last number after `field` in a text of lines such as `/proc/PID/status`.
pub fn number(text: &str, field: &str) -> Option<u32> {
    text.lines().find_map(|line| {
        line.strip_prefix(field)?
            .split_whitespace()
            .last()?
            .parse()
            .ok()
    })
}

/// Whether `/proc/PID/stat` is that of a process with a thread that has not ended
/// (`proc_pid_stat(5)`: `state`, `num_threads`).
fn lives(stat: &str) -> bool {
    let (_, rest) = stat.rsplit_once(')').unwrap_or_default();
    let mut fields = rest.split_whitespace();
    let has_ended = matches!(fields.next(), Some("Z" | "X") | None);
    !has_ended || fields.nth(16).and_then(|count| count.parse().ok()) > Some(1_u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn nothing_is_reached_below_the_directory_of_a_process_that_has_ended() {
        let namespace = PidNamespace::of(std::process::id()).unwrap();
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = child.id();
        let directory = ProcDir::of_thread(pid, &namespace).unwrap();
        assert!(directory.is_alive() && directory.has_thread(pid));
        assert!(!directory.has_thread(std::process::id()));
        assert_eq!(directory.pid(), pid);
        assert_eq!(directory.number("status", "Tgid:"), Some(pid));
        assert!(directory.link("cwd").unwrap().starts_with('/'));
        child.kill().unwrap();
        while directory.is_alive() {}
        // Until somebody waits for it, nobody else gets its number.
        assert!(directory.keeps_number());
        child.wait().unwrap();
        assert!(!directory.has_thread(pid) && !directory.keeps_number());
        assert!(directory.file("mem", OFlags::RDWR).is_err());
        assert!(directory.text("status").is_err() && directory.target("root").is_err());
        assert_eq!(ProcDir::of_thread(pid, &namespace).err(), Some(Errno::SRCH));
    }

    #[test]
    fn a_process_outside_of_the_guests_namespace_is_nobodys() {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let other = PidNamespace {
            id: (0, 0),
            _held: rustix::fs::open("/dev/null", flags, Mode::empty()).unwrap(),
        };
        let refused = ProcDir::of_thread(std::process::id(), &other);
        assert_eq!(refused.err(), Some(Errno::PERM));
    }

    #[test]
    fn a_process_lives_while_any_thread_of_it_does() {
        let stat = |state, threads| {
            format!("7 (a) b) {state} 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 {threads} 0 5")
        };
        assert!(lives(&stat("S", 1)) && lives(&stat("Z", 2)));
        assert!(!lives(&stat("Z", 1)) && !lives(&stat("X", 0)) && !lives(""));
    }
}
