//! Modelled files: memory whose name tells the path that it stands for, and what their reads and
//! writes do beyond that.
//!
//! A file that is both read and written, or where one of both fails, gets a descriptor whose reads
//! and writes come to the supervisor. A copy of such a descriptor under a low number is plain
//! memory: what is written there is kept, and read again.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::rc::Rc;

use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};
use rustix::io::Errno;

use crate::files::devices;
use crate::guest::changeable;
use crate::guest::state::Guest;
use crate::handlers::behind::{MEMORY_FILE, model_of, pieces_of};
use crate::kernel::shortage;
use crate::process::call::{Action, Call};
use crate::process::table::Record;
use crate::sandbox::filter::WATCHED_FDS;
use rookery_records::event::{Operation, Process, What};
use rookery_runs::plan::{Pseudofile, Read, Write};

/// What the kernel transfers in one call at most.
const TRANSFER_MAX: u64 = 0x7FFF_F000;

/// What one write to a stateful model may leave.
const STATE_MAX: usize = 64 * 1024;

/// A memory file for `path` that holds `contents`, which nobody can change: its memory is nobody's,
/// and a guest would fill it.
pub fn memory_file(path: &str, contents: &[u8]) -> Result<Rc<OwnedFd>, Errno> {
    let file = open_to_change(path, contents)?;
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&file, seals)?;
    Ok(file)
}

/// As [`memory_file`], but it can be changed: who makes one sees to it that it does not grow.
fn open_to_change(path: &str, contents: &[u8]) -> Result<Rc<OwnedFd>, Errno> {
    let mut end = path.len().min(200);
    while !path.is_char_boundary(end) {
        end -= 1;
    }
    let name = format!("{MEMORY_FILE}{}", path.get(..end).unwrap_or_default());
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let fd = rustix::fs::memfd_create(name, flags).map_err(shortage::of)?;
    let mut written = 0;
    while let Some(rest) = contents.get(written..).filter(|rest| !rest.is_empty()) {
        written += rustix::io::pwrite(&fd, rest, written as u64)?;
    }
    Ok(Rc::new(fd))
}

/// An open of its own of a memory file, as the guest's `flags` say.
pub fn reopen(file: &OwnedFd, flags: i32) -> Result<Rc<OwnedFd>, Errno> {
    let kept = libc::O_ACCMODE | libc::O_NONBLOCK | libc::O_APPEND;
    let flags = OFlags::from_bits_retain((flags & kept).cast_unsigned()) | OFlags::CLOEXEC;
    let path = format!("/proc/self/fd/{}", file.as_fd().as_raw_fd());
    let opened = rustix::fs::open(path, flags, Mode::empty()).map_err(shortage::of);
    opened.map(Rc::new)
}

/// `open` of the model `index`. Its contents are private to this open, unless it is stateful.
pub fn open(guest: &mut Guest<'_>, call: &Call, path: &str, index: usize, flags: i32) -> Action {
    let plan = guest.plan;
    let Some((_, model)) = plan.pseudofiles.get(index) else {
        return Errno::NXIO.into();
    };
    let access = flags & libc::O_ACCMODE;
    let (reads, writes) = (access != libc::O_WRONLY, access != libc::O_RDONLY);
    let fails_reads = reads && devices::contents(model).is_none();
    let fails_writes =
        writes && matches!(model.write, Write::Unhandled | Write::Return(i32::MIN..0));
    let unhandled = writes && model.write == Write::Unhandled;
    for (fails, operation) in [
        (fails_reads, Operation::Read),
        (unhandled, Operation::Write),
    ] {
        if fails {
            let path = path.to_owned();
            guest.report_call(call, What::Unmodelled { path, operation });
        }
    }
    // Fails by whatever number the guest knows it.
    if fails_reads && !writes && model.ioctl.is_empty() {
        let unreadable = rustix::event::epoll::create(rustix::event::epoll::CreateFlags::CLOEXEC);
        return give(unreadable.map(Rc::new), None, flags);
    }
    let watched = fails_reads || writes;
    let number = watched.then(|| free_number(guest, call)).flatten();
    give(file(guest, path, model, flags, fails_writes), number, flags)
}

fn give(file: Result<Rc<OwnedFd>, Errno>, number: Option<u32>, flags: i32) -> Action {
    match file {
        Ok(fd) => Action::Give {
            fd,
            number,
            close_on_exec: flags & libc::O_CLOEXEC != 0,
        },
        Err(errno) => errno.into(),
    }
}

fn file(
    guest: &mut Guest<'_>,
    path: &str,
    model: &Pseudofile,
    flags: i32,
    fails_writes: bool,
) -> Result<Rc<OwnedFd>, Errno> {
    let contents = devices::contents(model).unwrap_or_default();
    if matches!(model.read, Read::Stateful(_)) {
        return kept(guest, path, contents, flags);
    }
    match flags & libc::O_ACCMODE {
        libc::O_WRONLY if !fails_writes => sink(path, flags),
        libc::O_RDWR if !fails_writes => {
            let file = open_to_change(path, contents)?;
            guest.changeable.add(Rc::clone(&file));
            reopen(&file, flags)
        }
        _ => reopen(&*memory_file(path, contents)?, flags),
    }
}

/// What one copy of a descriptor that is only written to takes, where its writes do not come to the
/// supervisor.
const SINK: u64 = 1 << 20;

/// A file that is only written to.
fn sink(path: &str, flags: i32) -> Result<Rc<OwnedFd>, Errno> {
    let file = open_to_change(path, &[])?;
    rustix::fs::ftruncate(&file, SINK)?;
    let seals = SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&file, seals)?;
    // There is room before its end only.
    reopen(&file, flags & !libc::O_APPEND)
}

fn bytes(file: &OwnedFd) -> u64 {
    rustix::fs::fstat(file).map_or(0, |status| status.st_blocks.unsigned_abs() * 512)
}

/// What the guest has written into files that the supervisor has given it.
pub fn written(guest: &Guest<'_>) -> u64 {
    let files = guest.changeable.iter().chain(guest.kept.values());
    files.map(|file| bytes(file)).sum()
}

/// Cut off what is more than such files are for.
pub fn trim(guest: &Guest<'_>) {
    let kept = guest
        .kept
        .values()
        .map(|file| (file, STATE_MAX as u64, STATE_MAX as u64));
    let changeable = guest
        .changeable
        .iter()
        .map(|file| (file, changeable::SIZE, 0));
    for (file, most, left) in kept.chain(changeable) {
        if bytes(file) > most {
            let _ = rustix::fs::ftruncate(file, left);
        }
    }
}

/// The one file of a path that remembers what is written. Whoever opens it to write only, means to
/// replace what it holds.
pub fn kept(
    guest: &mut Guest<'_>,
    path: &str,
    initial: &[u8],
    flags: i32,
) -> Result<Rc<OwnedFd>, Errno> {
    let file = if let Some(file) = guest.kept.get(path) {
        Rc::clone(file)
    } else if guest.kept.len() >= kept_max(guest) {
        guest.report(Process::default(), What::Note(NOT_KEPT.into()));
        let file = open_to_change(path, initial)?;
        guest.changeable.add(Rc::clone(&file));
        file
    } else {
        let file = open_to_change(path, initial)?;
        guest.kept.insert(path.to_owned(), Rc::clone(&file));
        file
    };
    if flags & libc::O_ACCMODE == libc::O_WRONLY || flags & libc::O_TRUNC != 0 {
        rustix::fs::ftruncate(&file, 0)?;
    }
    reopen(&file, flags)
}

/// Settings that are kept beside the models of the plan: each is a descriptor of the supervisor's,
/// of which it needs most for else.
fn kept_max(guest: &Guest<'_>) -> usize {
    const SETTINGS_MAX: u64 = 256;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let settings = limit.map_or(SETTINGS_MAX, |limit| SETTINGS_MAX.min(limit / 8));
    guest.plan.pseudofiles.len() + usize::try_from(settings).unwrap_or(0)
}

const NOT_KEPT: &str = "the guest wrote to more settings of the kernel than are kept: what it \
                        wrote to the others is forgotten";

/// A watched number that the caller does not use yet.
fn free_number(guest: &mut Guest<'_>, call: &Call) -> Option<u32> {
    let used = guest.caller(call)?.descriptors();
    WATCHED_FDS.clone().find(|fd| !used.contains(fd))
}

/// A read from a watched descriptor.
pub fn read(guest: &mut Guest<'_>, call: &Call) -> Action {
    match model_of(guest, call, call.int(0)) {
        Some((_, model)) if devices::contents(model).is_none() => Errno::INVAL.into(),
        _ => Action::Continue,
    }
}

/// A write to a watched descriptor: where reading goes on is left as it is, unlike in a file.
pub fn write(guest: &mut Guest<'_>, call: &Call) -> Action {
    let Some((path, model)) = model_of(guest, call, call.int(0)) else {
        return Action::Continue;
    };
    if !is_writable(guest, call) {
        return Action::Continue;
    }
    match model.write {
        Write::Unhandled => return Errno::INVAL.into(),
        Write::Return(value) => return Action::Return(value.into()),
        Write::Discard => {}
    }
    let pieces = if matches!(call.number(), libc::SYS_write | libc::SYS_pwrite64) {
        Some(vec![(call.arg(1), call.arg(2))])
    } else {
        pieces_of(guest, call)
    };
    let Some(pieces) = pieces else {
        return Errno::FAULT.into();
    };
    let total = pieces
        .iter()
        .fold(0_u64, |sum, (_, length)| sum.saturating_add(*length))
        .min(TRANSFER_MAX);
    if matches!(model.read, Read::Stateful(_)) && !remember(guest, call, &path, &pieces) {
        return Errno::FAULT.into();
    }
    Action::Return(i64::try_from(total).unwrap_or(i64::MAX))
}

/// Whether the caller opened its descriptor for writing; else the kernel refuses better.
fn is_writable(guest: &mut Guest<'_>, call: &Call) -> bool {
    let mut flags = || {
        let flags = guest.caller(call)?.descriptor_info(call.int(0), "flags:")?;
        i32::from_str_radix(&flags, 8).ok()
    };
    flags().is_some_and(|flags| flags & libc::O_ACCMODE != libc::O_RDONLY)
}

/// What is written becomes what a stateful model holds.
fn remember(guest: &mut Guest<'_>, call: &Call, path: &str, pieces: &[(u64, u64)]) -> bool {
    let (Some(file), Some(memory)) = (
        guest.kept.get(path).map(Rc::clone),
        guest.caller(call).and_then(Record::memory),
    ) else {
        return false;
    };
    let mut contents = Vec::new();
    for (address, length) in pieces {
        let room = STATE_MAX - contents.len();
        let mut piece = vec![0; usize::try_from(*length).unwrap_or(room).min(room)];
        if memory.read(*address, &mut piece).is_err() {
            return false;
        }
        contents.extend(piece);
    }
    call.is_valid()
        && rustix::fs::ftruncate(&file, 0).is_ok()
        && rustix::io::pwrite(&file, &contents, 0).is_ok()
}
