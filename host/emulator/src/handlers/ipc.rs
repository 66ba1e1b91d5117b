//! System V IPC: the kernel carries it out, in a namespace of the guest's own. What fails for want
//! of an object is reported.

use rookery_records::event::{Argument, What};
use rustix::io::Errno;

use crate::guest::access::{Callers, HasEmulators, HasIpc, HasNamespaces, Reports};
use crate::kernel::ipc::{Kind, objects};
use crate::kernel::maps::{self, mappings};
use crate::process::call::{Action, Call};

/// The names that the kernel has for the arguments.
type Names = &'static [&'static str];

/// `shmget` and its kin: `key` first, the flags last.
pub fn get(
    guest: &mut (impl Reports + HasIpc + HasNamespaces),
    call: &Call,
    syscall: &'static str,
    kind: Kind,
    names: Names,
) -> Action {
    let (key, flags) = (call.int(0), call.int(names.len().saturating_sub(1)));
    let exists = table(guest, kind).map(|table| objects(&table).any(|object| object.key == key));
    let makes = key == libc::IPC_PRIVATE || flags & libc::IPC_CREAT != 0;
    let exclusively = flags & libc::IPC_CREAT != 0 && flags & libc::IPC_EXCL != 0;
    let error = match exists {
        Some(false) if !makes => Some(Errno::NOENT),
        Some(true) if exclusively && key != libc::IPC_PRIVATE => Some(Errno::EXIST),
        _ => None,
    };
    guest.report_numbers(call, syscall, names, error);
    Action::Continue
}

/// `shmat`, `semctl` and their kin: the object's number first.
pub fn of_object(
    guest: &mut (impl Reports + HasIpc + HasNamespaces),
    call: &Call,
    syscall: &'static str,
    kind: Kind,
    names: Names,
) -> Action {
    let command = names.iter().position(|name| *name == "cmd");
    let is_of_object = command.is_none_or(|index| kind.is_of_object(call.int(index)));
    let number = call.int(0);
    let gone = is_of_object
        && table(guest, kind)
            .is_some_and(|table| !objects(&table).any(|object| object.number == number));
    guest.report_numbers(call, syscall, names, gone.then_some(Errno::INVAL));
    Action::Continue
}

/// `semop` and `semtimedop`, which programs make all the time: only what fails is reported. An
/// emulator makes the second, without a time, for the first.
pub fn operate(guest: &mut (impl Reports + HasIpc + HasNamespaces), call: &Call) -> Action {
    /// `SEMOPM` of `linux/sem.h`.
    const OPERATIONS_MAX: u64 = 500;
    let number = call.int(0);
    let exists = |table: String| objects(&table).any(|object| object.number == number);
    let error = match call.arg(2) {
        0 => Some(Errno::INVAL),
        operations if operations > OPERATIONS_MAX => Some(Errno::TOOBIG),
        _ if table(guest, Kind::Semaphores).is_some_and(|table| !exists(table)) => {
            Some(Errno::INVAL)
        }
        _ => None,
    };
    if let Some(errno) = error {
        let timed = call.number() == libc::SYS_semtimedop && call.arg(3) != 0;
        let count = Argument::Number(call.int(2).into());
        let what = What::Call {
            syscall: if timed { "semtimedop" } else { "semop" },
            arguments: vec![("semid", Argument::Number(number.into())), ("nsops", count)],
            result: Some(-errno.raw_os_error()),
        };
        guest.report_call(call, what);
    }
    Action::Continue
}

/// `shmat`. Where an older emulator cannot attach at the address that the caller wants, a note says
/// so. One that was changed so that it can would also replace what the caller has there.
pub fn attach<'a>(
    guest: &mut (impl Reports + HasIpc + HasNamespaces + HasEmulators<'a>),
    call: &Call,
    names: Names,
) -> Action {
    // As the emulator passes it on; what it chooses itself it attaches by this flag.
    let at_fixed = call.arg(1) != 0 && call.int(2) & libc::SHM_REMAP == 0;
    if at_fixed && !guest.emulators().attaches_anywhere() {
        let program = guest.who(call).program;
        let note = format!(
            "{} attaches shared memory at a fixed address, which failed: this emulator is older \
             than qemu 9.0, and its code has an unknown layout",
            program.escape_debug()
        );
        guest.report_call(call, What::Note(note.into()));
        guest.report_numbers(call, "shmat", names, Some(Errno::INVAL));
        return Action::Continue;
    }
    if guest.emulators().attaches_over() && is_in_use(guest, call) {
        guest.report_numbers(call, "shmat", names, Some(Errno::INVAL));
        return Errno::INVAL.into();
    }
    of_object(guest, call, "shmat", Kind::SharedMemory, names)
}

/// Whether the caller has something where it wants to attach, which its emulator only set aside
/// else.
fn is_in_use(guest: &mut impl Callers, call: &Call) -> bool {
    let maps = guest
        .caller(call)
        .and_then(|record| record.process.text(maps::FILE).ok());
    let at = call.arg(1);
    maps.is_some_and(|maps| {
        mappings(&maps).any(|mapping| mapping.range.contains(&at) && mapping.is_used())
    })
}

fn table(guest: &mut (impl HasIpc + HasNamespaces), kind: Kind) -> Option<String> {
    let namespaces = guest.namespaces();
    guest.ipc().table(kind, &namespaces)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::testing::Part;

    const GET: Names = &["key", "size", "shmflg"];

    fn gets(guest: &mut Part, key: i32, flags: i32) -> Option<i32> {
        let arguments = [key, 4096, flags].map(|argument| u64::from(argument.cast_unsigned()));
        let call = guest.call(libc::SYS_shmget, &arguments);
        get(guest, &call, "shmget", Kind::SharedMemory, GET);
        match guest.reported.pop() {
            Some(What::Call { result, .. }) => result,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn shared_memory_that_nobody_made_is_reported_as_missing() {
        let mut guest = Part::new(|_| ());
        let table = "key shmid perms\n 17 4 600\n";
        guest.ipc.answer(Kind::SharedMemory, table);
        assert_eq!(gets(&mut guest, 18, 0), Some(-libc::ENOENT));
        assert_eq!(gets(&mut guest, 17, 0), None);
        assert_eq!(gets(&mut guest, 18, libc::IPC_CREAT), None);
        let exclusive = libc::IPC_CREAT | libc::IPC_EXCL;
        assert_eq!(gets(&mut guest, 17, exclusive), Some(-libc::EEXIST));
        assert_eq!(gets(&mut guest, libc::IPC_PRIVATE, 0), None);
        guest
            .ipc
            .answer(Kind::Semaphores, "key semid perms\n 17 6 600\n");
        let mut operates = |number: u64, operations: u64| {
            let call = guest.call(libc::SYS_semop, &[number, 0, operations]);
            operate(&mut guest, &call);
            match guest.reported.pop() {
                Some(What::Call { result, .. }) => result,
                _ => None,
            }
        };
        assert_eq!(operates(6, 1), None);
        assert_eq!(operates(5, 1), Some(-libc::EINVAL));
        assert_eq!(operates(6, 501), Some(-libc::E2BIG));
        let mut attach = |number: u64| {
            let call = guest.call(libc::SYS_shmat, &[number]);
            let names = &["shmid", "shmaddr", "shmflg"];
            of_object(&mut guest, &call, "shmat", Kind::SharedMemory, names);
            guest.reported.pop()
        };
        let gone = Some(-libc::EINVAL);
        assert!(matches!(attach(5), Some(What::Call { result, .. }) if result == gone));
        assert!(matches!(attach(4), Some(What::Call { result: None, .. })));
    }
}
