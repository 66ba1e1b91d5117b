//! The file that an exec means: by path, by descriptor, or one without a name.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::super::guest::Guest;
use super::super::notify::{Action, Call};
use super::super::paths;
use super::super::program::{self, HEADER, Kind};

/// What the emulator opens for a program that has no name, such as a memory file: only the supervisor answers this path.
pub const IMAGE: &str = "/.rookery/image";

/// A program as an exec names it.
#[derive(Debug)]
pub struct ProgramFile {
    /// As the program will be told.
    pub raw: Vec<u8>,
    /// Absolute and normalised.
    pub path: String,
    /// What is behind [`IMAGE`], where that is `raw`.
    pub image: Option<Rc<OwnedFd>>,
}

impl ProgramFile {
    /// Open it for a look, as the caller would.
    pub fn open(&self, root: &std::fs::File, pid: u32) -> Result<OwnedFd, Errno> {
        match &self.image {
            Some(image) => Ok(image.try_clone().map_err(|_| Errno::MFILE)?),
            None => paths::open(root, &self.path, pid, OFlags::PATH),
        }
    }
}

/// The program that `raw`, the call's path, stands for.
pub fn named(
    guest: &mut Guest<'_>,
    call: &Call,
    directory: Option<usize>,
    raw: &[u8],
) -> Result<ProgramFile, Errno> {
    let own = guest.caller(call).ok_or(Errno::SRCH)?.who.pid;
    if raw.is_empty() {
        let by_descriptor = directory.is_some() && call.int(4) & libc::AT_EMPTY_PATH != 0;
        return if by_descriptor {
            of_descriptor(guest, call, own, call.int(0))
        } else {
            Err(Errno::NOENT)
        };
    }
    let path = guest.path(call, directory, usize::from(directory.is_some()))?;
    let spelled = paths::own_proc(&path.replacen("/dev/fd/", "/proc/self/fd/", 1), own);
    if let Some((pid, fd)) = descriptor_of(&spelled) {
        return of_descriptor(guest, call, pid, fd);
    }
    if let Some(record) = guest.caller(call) {
        // The emulator is what really runs; the guest means its own program.
        let itself = spelled == format!("/proc/{own}/exe") && !record.who.program.is_empty();
        if let Some((name, image)) = record.image.clone()
            && (path == IMAGE || (itself && name == record.who.program))
        {
            return Ok(ProgramFile {
                raw: IMAGE.into(),
                path: name,
                image: Some(image),
            });
        }
        if itself {
            let path = record.who.program.clone();
            return Ok(ProgramFile {
                raw: path.clone().into_bytes(),
                path,
                image: None,
            });
        }
    }
    let relative_to_descriptor =
        directory.is_some() && !raw.starts_with(b"/") && call.int(0) != libc::AT_FDCWD;
    let raw = if relative_to_descriptor {
        path.clone().into_bytes()
    } else {
        raw.to_vec()
    };
    Ok(ProgramFile {
        raw,
        path,
        image: None,
    })
}

/// The process and the descriptor in `/proc/PID/fd/NUMBER`.
fn descriptor_of(path: &str) -> Option<(u32, i32)> {
    let (pid, fd) = path.strip_prefix("/proc/")?.split_once("/fd/")?;
    Some((pid.parse().ok()?, fd.parse().ok()?))
}

/// What a process holds open: by its path, which also serves where the descriptor closes on exec, else as it is.
fn of_descriptor(
    guest: &mut Guest<'_>,
    call: &Call,
    pid: u32,
    fd: i32,
) -> Result<ProgramFile, Errno> {
    let record = guest.procs.by_guest_pid(pid).ok_or(Errno::NOENT)?;
    let link = format!("/proc/{}/fd/{fd}", record.host_pid);
    let file = rustix::fs::open(link, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let path = record.base(fd).unwrap_or_default();
    let identity = |file: &OwnedFd| {
        paths::status(file).map(|status| (status.st_dev, status.st_ino, status.st_mode))
    };
    let held = identity(&file)?;
    let (root, own) = guest.view(call).ok_or(Errno::SRCH)?;
    if paths::open(&root, &path, own, OFlags::PATH).and_then(|named| identity(&named)) == Ok(held) {
        return Ok(ProgramFile {
            raw: path.clone().into_bytes(),
            path,
            image: None,
        });
    }
    executable(held.2)?;
    Ok(ProgramFile {
        raw: IMAGE.into(),
        path: paths::join("/", path.trim_end_matches(" (deleted)")),
        image: Some(Rc::new(file)),
    })
}

fn executable(mode: u32) -> Result<(), Errno> {
    if mode & libc::S_IFMT == libc::S_IFREG && mode & 0o111 != 0 {
        Ok(())
    } else {
        Err(Errno::ACCESS)
    }
}

/// What a file is, with its mode, and with the kernel's errors where it cannot be executed at all.
pub fn recognise(file: &OwnedFd) -> Result<(Kind, u32), Errno> {
    let mode = paths::status(file)?.st_mode;
    // Only what is certainly a file is opened: a device may act on it.
    executable(mode)?;
    let mut header = [0_u8; HEADER];
    let length = rustix::io::pread(paths::reopen(file)?, &mut header, 0)?;
    let kind = program::recognise(header.get(..length).unwrap_or_default());
    Ok((kind, mode))
}

/// The emulator opens a program without a name. Every opening has a position of its own.
pub fn open_image(guest: &mut Guest<'_>, call: &Call) -> Action {
    let image = guest.caller(call).and_then(|record| record.image.clone());
    match image
        .ok_or(Errno::NOENT)
        .and_then(|(_, image)| paths::reopen(image))
    {
        Ok(fd) => Action::Give {
            fd: Rc::new(fd),
            number: None,
            close_on_exec: true,
        },
        Err(errno) => errno.into(),
    }
}
