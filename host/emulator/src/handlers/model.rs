//! Opening a modelled file, and writes to it that come to the supervisor.
//!
//! Where the guest has a file system of models, each open is a file there, which does what its
//! model says. Else a stream is a socket, at whose other end the process answers that would serve
//! the file system. What else there is, is memory, whose name tells the path that it stands for: a
//! file that is both read and written, or where one of both fails, gets a descriptor whose reads
//! and writes come to the supervisor. A copy of that descriptor under a low number is plain memory.

use std::ops::RangeInclusive;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::io::Errno;

use crate::guest::access::{Callers, HasDevices, HasKept, Reports};
use crate::guest::kept::STATE_MAX;
use crate::handlers::behind::{model_of, pieces_of};
use crate::handlers::memory_file::{memory_file, open_to_change, refusing, reopen, sink};
use crate::models::{contents, is_stream, lacks_writing, refuses_writing};
use crate::process::call::{Action, Call};
use crate::sandbox::filter::WATCHED_FDS;
use rookery_records::event::{Operation, Process, What, Written};
use rookery_runs::plan::{Pseudofile, Read, Write};

/// What the kernel transfers in one call at most.
const TRANSFER_MAX: u64 = 0x7FFF_F000;

/// `open` of the model `index`. Its contents are private to this open, unless it is stateful.
pub fn open(
    guest: &mut (impl Reports + HasDevices + HasKept),
    call: &Call,
    path: &str,
    index: usize,
    flags: i32,
) -> Action {
    let Some(model) = guest.devices().model(index) else {
        return Errno::NXIO.into();
    };
    let model = &*model;
    let access = flags & libc::O_ACCMODE;
    let (reads, writes) = (access != libc::O_WRONLY, access != libc::O_RDONLY);
    let fails_reads = reads && contents(model, 0).is_none();
    let fails_writes = writes && refuses_writing(&model.write);
    if fails_reads {
        unmodelled(guest, call, path, Operation::Read);
    }
    if let Some((fd, is_stream)) = served(guest, path, model, flags) {
        let is_watched = if is_stream {
            fails_reads || (writes && matches!(model.write, Write::Unhandled | Write::Return(_)))
        } else {
            counts_itself(model, access)
        };
        let number = is_watched.then(|| free_number(guest, call));
        return give(Ok(fd), number.flatten(), flags);
    }
    if writes && model.write == Write::Unhandled {
        let unseen = Written::default();
        unmodelled(guest, call, path, Operation::Write(unseen));
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

fn unmodelled(guest: &mut impl Reports, call: &Call, path: &str, operation: Operation) {
    let path = path.to_owned();
    guest.report_call(call, What::Unmodelled { path, operation });
}

/// Report what the guest wrote to files of the models' file system, and to streams, that do not say
/// what writing does.
pub fn report_sent(guest: &mut (impl Reports + HasKept)) {
    let Some(models) = guest.kept().models() else {
        return;
    };
    let (all, are_streams) = (models.sent(), models.are_streams());
    for sent in all {
        // A socket tells the number that the process has here.
        let record = if are_streams {
            let known = guest.procs().identify(sent.pid).unwrap_or(sent.pid);
            guest.procs().get(known).map(|record| &*record)
        } else {
            guest.procs().by_guest_pid(sent.pid)
        };
        let who = record.map(|record| record.who.clone()).unwrap_or_default();
        let (path, operation) = (sent.path, Operation::Write(sent.written));
        guest.report(who, What::Unmodelled { path, operation });
    }
}

/// A file of the models' file system, where there is one, or else a stream; and whether it is that.
fn served(
    guest: &mut (impl Reports + HasDevices + HasKept),
    path: &str,
    model: &Pseudofile,
    flags: i32,
) -> Option<(Rc<OwnedFd>, bool)> {
    let models = guest.kept().models()?;
    let (begins, are_streams) = (models.begins(), models.are_streams());
    if are_streams && !is_stream(model, flags & libc::O_ACCMODE) {
        return None;
    }
    let files = if begins {
        guest.devices().models().to_vec()
    } else {
        Vec::new()
    };
    let note = match guest.kept().models()?.open(&files, path, flags) {
        Ok(Ok(fd)) => return Some((fd, are_streams)),
        Ok(Err(Errno::MFILE)) => MANY_STREAMS.to_owned(),
        Ok(Err(_)) => return None,
        Err(error) => format!(
            "the process that serves models could not be asked for {path} ({error}): from now on \
             each open of a model is a file in memory"
        ),
    };
    guest.report(Process::default(), What::Note(note.into()));
    None
}

const MANY_STREAMS: &str = "the guest has more device models open that are streams than there are \
                            sockets for: others are files in memory";

/// Whether the supervisor has to answer writes to a descriptor that is opened so. A file system
/// moves the position where reading goes on, which a device leaves as it is, and can return no
/// count above that of the bytes that are written.
fn counts_itself(model: &Pseudofile, access: i32) -> bool {
    match model.write {
        Write::Record if matches!(model.read, Read::Stateful(_)) => false,
        Write::Record | Write::Discard => access == libc::O_RDWR,
        Write::Return(value) => value > 0 && access != libc::O_RDONLY,
        Write::Unhandled | Write::ToFile(_) => false,
    }
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
    guest: &mut (impl Reports + HasDevices + HasKept),
    path: &str,
    model: &Pseudofile,
    flags: i32,
    fails_writes: bool,
) -> Result<Rc<OwnedFd>, Errno> {
    let turn = match &model.read {
        Read::Sequence { .. } if flags & libc::O_ACCMODE != libc::O_WRONLY => {
            guest.kept().next_turn(path)
        }
        _ => 0,
    };
    let contents = contents(model, turn).unwrap_or_default();
    if matches!(model.read, Read::Stateful(_)) {
        return kept(guest, path, contents, flags);
    }
    match flags & libc::O_ACCMODE {
        _ if fails_writes && contents.is_empty() => {
            let refusing = refusing(path).or_else(|_| memory_file(path, contents));
            reopen(&*refusing?, flags)
        }
        libc::O_WRONLY if !fails_writes => sink(path, flags),
        libc::O_RDWR if !fails_writes => {
            let file = open_to_change(path, contents)?;
            guest.kept().add_changeable(Rc::clone(&file));
            reopen(&file, flags)
        }
        _ => reopen(&*memory_file(path, contents)?, flags),
    }
}

/// The one file of a path that remembers what is written. Whoever opens it to write only, means to
/// replace what it holds.
pub fn kept(
    guest: &mut (impl Reports + HasDevices + HasKept),
    path: &str,
    initial: &[u8],
    flags: i32,
) -> Result<Rc<OwnedFd>, Errno> {
    let file = if let Some(file) = guest.kept().get(path) {
        Rc::clone(file)
    } else if guest.kept().len() >= kept_max(guest) {
        guest.report(Process::default(), What::Note(NOT_KEPT.into()));
        let file = open_to_change(path, initial)?;
        guest.kept().add_changeable(Rc::clone(&file));
        file
    } else {
        let file = open_to_change(path, initial)?;
        guest.kept().insert(path, Rc::clone(&file));
        file
    };
    if flags & libc::O_ACCMODE == libc::O_WRONLY || flags & libc::O_TRUNC != 0 {
        rustix::fs::ftruncate(&file, 0)?;
    }
    reopen(&file, flags)
}

/// Settings that are kept beside the models of the plan: each is a descriptor of the supervisor's,
/// of which it needs most for else.
fn kept_max(guest: &mut impl HasDevices) -> usize {
    const SETTINGS_MAX: u64 = 256;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let settings = limit.map_or(SETTINGS_MAX, |limit| SETTINGS_MAX.min(limit / 8));
    guest.devices().models().len() + usize::try_from(settings).unwrap_or(0)
}

const NOT_KEPT: &str = "the guest wrote to more settings of the kernel than are kept: what it \
                        wrote to the others is lost";

/// A watched number that the caller does not use yet.
pub fn free_number(guest: &mut impl Callers, call: &Call) -> Option<u32> {
    number_of(guest, call, WATCHED_FDS)
}

/// A number of a range that the caller does not use yet.
pub fn number_of(
    guest: &mut impl Callers,
    call: &Call,
    mut range: RangeInclusive<u32>,
) -> Option<u32> {
    let used = guest.caller(call)?.descriptors();
    range.find(|fd| !used.contains(fd))
}

/// A read from a watched descriptor.
pub fn read(guest: &mut (impl Callers + HasDevices + HasKept), call: &Call) -> Action {
    match model_of(guest, call, call.int(0)) {
        Some((_, model)) if contents(&model, 0).is_none() => Errno::INVAL.into(),
        _ => Action::Continue,
    }
}

/// A write to a watched descriptor: where reading goes on is left as it is, unlike in a file.
pub fn write(guest: &mut (impl Reports + HasDevices + HasKept), call: &Call) -> Action {
    let Some((path, model)) = model_of(guest, call, call.int(0)) else {
        return Action::Continue;
    };
    if !is_writable(guest, call) {
        return Action::Continue;
    }
    match model.write {
        Write::Return(value) => return Action::Return(value.into()),
        // A stream's other end writes to the file.
        Write::ToFile(_) if is_stream(&model, libc::O_RDWR) => return Action::Continue,
        _ => {}
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
    if lacks_writing(&model.read, &model.write) {
        let payload = bytes_of(guest, call, &pieces, Written::PAYLOAD_MAX);
        let written = Written {
            payload: payload.unwrap_or_default(),
            bytes: total,
        };
        unmodelled(guest, call, &path, Operation::Write(written));
    }
    if model.write == Write::Unhandled {
        return Errno::INVAL.into();
    }
    if matches!(model.read, Read::Stateful(_)) && !remember(guest, call, &path, &pieces) {
        return Errno::FAULT.into();
    }
    Action::Return(i64::try_from(total).unwrap_or(i64::MAX))
}

/// A copy within the kernel, from the descriptor that is the argument `from`. Of a model the caller
/// is told that it cannot be made so, as a driver would say that has no such copies: it reads.
pub fn copy(guest: &mut (impl Callers + HasDevices + HasKept), call: &Call, from: usize) -> Action {
    match model_of(guest, call, call.int(from)) {
        Some(_) => Errno::INVAL.into(),
        None => Action::Continue,
    }
}

/// Whether the caller opened its descriptor for writing; else the kernel refuses better.
fn is_writable(guest: &mut impl Callers, call: &Call) -> bool {
    let mut flags = || {
        let flags = guest.caller(call)?.descriptor_info(call.int(0), "flags:")?;
        i32::from_str_radix(&flags, 8).ok()
    };
    flags().is_some_and(|flags| flags & libc::O_ACCMODE != libc::O_RDONLY)
}

/// What is written becomes what a stateful model holds.
fn remember(
    guest: &mut (impl Callers + HasKept),
    call: &Call,
    path: &str,
    pieces: &[(u64, u64)],
) -> bool {
    let Some(file) = guest.kept().get(path).map(Rc::clone) else {
        return false;
    };
    let Some(contents) = bytes_of(guest, call, pieces, STATE_MAX) else {
        return false;
    };
    call.is_valid()
        && rustix::fs::ftruncate(&file, 0).is_ok()
        && rustix::io::pwrite(&file, &contents, 0).is_ok()
}

/// At most so many bytes of the caller's memory.
fn bytes_of(
    guest: &mut impl Callers,
    call: &Call,
    pieces: &[(u64, u64)],
    most: usize,
) -> Option<Vec<u8>> {
    let memory = guest.memory(call)?;
    let mut bytes = Vec::new();
    for (address, length) in pieces {
        let room = most - bytes.len();
        let mut piece = vec![0; usize::try_from(*length).unwrap_or(room).min(room)];
        memory.read(*address, &mut piece).ok()?;
        bytes.extend(piece);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd as _;

    use super::*;
    use crate::guest::testing::Part;

    fn panel(change: impl FnOnce(&mut Pseudofile)) -> Part {
        let mut model = Pseudofile::default();
        change(&mut model);
        Part::new(|plan| plan.pseudofiles.push(("/dev/panel".into(), model)))
    }

    #[test]
    fn a_model_that_is_not_there_for_an_operation_is_reported_when_it_is_opened_for_it() {
        let mut guest = panel(|model| model.write = Write::Unhandled);
        let call = guest.call(libc::SYS_openat, &[]);
        for (flags, operation) in [
            (libc::O_RDONLY, Operation::Read),
            (libc::O_WRONLY, Operation::Write(Written::default())),
        ] {
            let action = open(&mut guest, &call, "/dev/panel", 0, flags);
            assert!(matches!(action, Action::Give { .. }));
            let what = guest.reported.pop();
            assert!(
                matches!(&what, Some(What::Unmodelled { operation: o, .. }) if *o == operation),
                "{what:?}"
            );
        }
        assert!(matches!(
            open(&mut guest, &call, "/dev/x", 7, 0),
            Action::Fail(Errno::NXIO)
        ));
    }

    #[test]
    fn what_is_written_to_a_model_is_counted_as_its_kind_says() {
        let write_to = |kind: Write| {
            let mut guest = panel(|model| model.write = kind);
            let file = open_to_change("/dev/panel", b"").unwrap();
            let fd = u64::from(file.as_raw_fd().cast_unsigned());
            let call = guest.call(libc::SYS_write, &[fd, 0, 12]);
            write(&mut guest, &call)
        };
        assert!(matches!(write_to(Write::Discard), Action::Return(12)));
        assert!(matches!(write_to(Write::Return(-5)), Action::Return(-5)));
        assert!(matches!(
            write_to(Write::Unhandled),
            Action::Fail(Errno::INVAL)
        ));
    }

    #[test]
    fn a_sequence_gives_the_next_entry_at_each_open() {
        let told = |wraps| {
            let read = Read::Sequence {
                entries: vec![b"down".to_vec(), b"up".to_vec()],
                wraps,
            };
            let mut guest = panel(|model| model.read = read);
            let call = guest.call(libc::SYS_openat, &[]);
            let mut turn = || match open(&mut guest, &call, "/dev/panel", 0, libc::O_RDONLY) {
                Action::Give { fd, .. } => {
                    let mut text = [0; 8];
                    let length = rustix::io::pread(&*fd, &mut text, 0).unwrap();
                    String::from_utf8_lossy(&text[..length]).into_owned()
                }
                action => panic!("{action:?}"),
            };
            [turn(), turn(), turn()].join(" ")
        };
        assert_eq!(told(false), "down up up");
        assert_eq!(told(true), "down up down");
    }

    #[test]
    fn a_setting_keeps_what_is_written_until_it_is_replaced() {
        let mut guest = panel(|_| ());
        let mut of = |flags| kept(&mut guest, "/proc/sys/x", b"1\n", flags).unwrap();
        let contents = |file: &OwnedFd| {
            let mut text = [0; 8];
            let length = rustix::io::pread(file, &mut text, 0).unwrap();
            text[..length].to_vec()
        };
        assert_eq!(contents(&of(libc::O_RDONLY)), b"1\n");
        rustix::io::pwrite(of(libc::O_WRONLY), b"22", 0).unwrap();
        assert_eq!(contents(&of(libc::O_RDONLY)), b"22");
        assert_eq!(contents(&of(libc::O_RDWR | libc::O_TRUNC)), b"");
    }
}
