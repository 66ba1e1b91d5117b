//! The file that an exec means: by path, by descriptor, or one without a name.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::guest::access::{Callers, Paths};
use crate::kernel::paths;
use crate::process::call::{Action, Call};
use crate::process::path_arg::PathArg;
use crate::process::record::Record;
use crate::process::view::View;
use crate::process::{memory, view};
use crate::qemu::program;
use crate::qemu::program::{HEADER, Kind};

/// What the emulator opens for a program that has no name, such as a memory file: only the
/// supervisor answers this path.
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
    /// The file itself, where `path` is longer than any path may be.
    pub found: Option<Rc<OwnedFd>>,
}

impl ProgramFile {
    /// The one with this absolute path.
    pub fn at(path: String) -> Self {
        Self {
            raw: path.clone().into_bytes(),
            path,
            image: None,
            found: None,
        }
    }

    /// Open it for a look, as the caller would.
    pub fn open(&self, view: &View) -> Result<OwnedFd, Errno> {
        match self.image.as_ref().or(self.found.as_ref()) {
            Some(image) => Ok(image.try_clone().map_err(|_| Errno::MFILE)?),
            None => view.find(&self.path),
        }
    }
}

/// The program that `raw`, the call's path, stands for.
pub fn named(
    guest: &mut impl Paths,
    call: &Call,
    argument: PathArg,
    raw: &[u8],
) -> Result<ProgramFile, Errno> {
    let own = guest.caller(call).ok_or(Errno::SRCH)?.who.pid;
    if raw.is_empty() {
        let by_descriptor = argument.directory.is_some() && call.int(4) & libc::AT_EMPTY_PATH != 0;
        return if by_descriptor {
            of_descriptor(guest, call, own, call.int(0))
        } else {
            Err(Errno::NOENT)
        };
    }
    let from_working_directory = argument.directory.is_none() || call.int(0) == libc::AT_FDCWD;
    if let Some(record) = guest.caller(call)
        && from_working_directory
        && !raw.starts_with(b"/")
        && record.is_too_deep()
    {
        return below_deep_directory(record, raw);
    }
    let path = guest.path(call, argument)?;
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
                found: None,
            });
        }
        if itself {
            return Ok(ProgramFile::at(record.who.program.clone()));
        }
    }
    let relative_to_descriptor =
        argument.directory.is_some() && !raw.starts_with(b"/") && call.int(0) != libc::AT_FDCWD;
    let raw = if relative_to_descriptor {
        path.clone().into_bytes()
    } else {
        raw.to_vec()
    };
    Ok(ProgramFile {
        raw,
        path,
        image: None,
        found: None,
    })
}

/// A program below a working directory that is deeper than any path may be: only the path from
/// there names it, and links of it would have to be followed from a root that is out of reach.
fn below_deep_directory(record: &Record, raw: &[u8]) -> Result<ProgramFile, Errno> {
    let found = rustix::fs::openat2(
        record.held(libc::AT_FDCWD)?,
        raw,
        OFlags::PATH | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
    )?;
    Ok(ProgramFile {
        raw: raw.to_vec(),
        path: paths::join("/", &memory::text(raw)),
        image: None,
        found: Some(Rc::new(found)),
    })
}

/// The process and the descriptor in `/proc/PID/fd/NUMBER`.
fn descriptor_of(path: &str) -> Option<(u32, i32)> {
    let (pid, fd) = path.strip_prefix("/proc/")?.split_once("/fd/")?;
    Some((pid.parse().ok()?, fd.parse().ok()?))
}

/// What a process holds open: by its path, which also serves where the descriptor closes on exec,
/// else as it is.
fn of_descriptor(
    guest: &mut impl Callers,
    call: &Call,
    pid: u32,
    fd: i32,
) -> Result<ProgramFile, Errno> {
    let record = guest.procs().by_guest_pid(pid).ok_or(Errno::NOENT)?;
    let file = record.held(fd)?;
    let path = record.base(fd).unwrap_or_default();
    let identity = |file: &OwnedFd| {
        paths::status(file).map(|status| (status.st_dev, status.st_ino, status.st_mode))
    };
    let held = identity(&file)?;
    let view = guest.view(call).ok_or(Errno::SRCH)?;
    if view.find(&path).and_then(|named| identity(&named)) == Ok(held) {
        return Ok(ProgramFile::at(path));
    }
    executable(held.2)?;
    Ok(ProgramFile {
        raw: IMAGE.into(),
        path: paths::join("/", path.trim_end_matches(" (deleted)")),
        image: Some(Rc::new(file)),
        found: None,
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
    let length = rustix::io::pread(view::read(file)?, &mut header, 0)?;
    let kind = program::recognise(header.get(..length).unwrap_or_default());
    Ok((kind, mode))
}

/// The emulator opens a program without a name. Every opening has a position of its own.
pub fn open_image(guest: &mut impl Callers, call: &Call) -> Action {
    let image = guest.caller(call).and_then(|record| record.image.clone());
    match image
        .ok_or(Errno::NOENT)
        .and_then(|(_, image)| view::read(image))
    {
        Ok(file) => Action::Give {
            fd: Rc::new(file.into()),
            number: None,
            close_on_exec: true,
        },
        Err(errno) => errno.into(),
    }
}
