//! qemu's log, line by line as it is written: unsupported ioctls, and with models of any command
//! the ioctls that are about to be made.

use rustix::io::Errno;

use crate::guest::access::{Callers, HasDevices, HasEmulators, HasKept, HasPlan, Reports};
use crate::handlers::behind::{self, pieces_of};
use crate::process::call::{Action, Call};
use crate::qemu::ioctl_table;
use rookery_records::event::{Argument, Operation, What};

/// More than any line that matters.
const LINE_MAX: usize = 4096;

/// A write to the log's descriptor: taken, never carried out.
pub fn write<'a>(
    guest: &mut (impl Reports + HasPlan<'a> + HasDevices + HasKept + HasEmulators<'a>),
    call: &Call,
) -> Action {
    let pieces: Vec<(u64, u64)> = if call.number() == libc::SYS_write {
        vec![(call.arg(1), call.arg(2))]
    } else {
        match pieces_of(guest, call) {
            Some(pieces) => pieces,
            None => return Errno::FAULT.into(),
        }
    };
    let mut total = 0;
    for (address, length) in pieces {
        total += i64::try_from(length).unwrap_or(0);
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX).min(LINE_MAX)];
        let Some(memory) = guest.memory(call) else {
            return Errno::FAULT.into();
        };
        if memory.read(address, &mut bytes).is_err() {
            return Errno::FAULT.into();
        }
        take(guest, call, &String::from_utf8_lossy(&bytes));
    }
    Action::Return(total)
}

fn take<'a>(
    guest: &mut (impl Reports + HasPlan<'a> + HasDevices + HasKept + HasEmulators<'a>),
    call: &Call,
    text: &str,
) {
    let Some(record) = guest.caller(call) else {
        return;
    };
    let room = LINE_MAX.saturating_sub(record.log_line.len());
    record.log_line.extend(text.chars().take(room));
    let line = record.log_line.clone();
    if line.ends_with('\n') || line.len() >= LINE_MAX {
        record.log_line.clear();
    }
    if let Some(command) = unsupported_ioctl(&line).filter(|_| line.ends_with('\n')) {
        refused(guest, call, command);
    } else if let Some(what) = unsupported(&line).filter(|_| line.ends_with('\n')) {
        guest.report_call(call, what);
    } else if let Some((fd, command)) = ioctl_ahead(&line) {
        learn(guest, call, fd, command);
    }
}

/// `Unsupported ioctl: cmd=0x40046e01`, `Unsupported ioctl type: cmd=0x40046e01 type=9`
fn unsupported_ioctl(line: &str) -> Option<u32> {
    let (_, rest) = line.split_once("Unsupported ioctl")?;
    let (_, rest) = rest.split_once(": cmd=0x")?;
    u32::from_str_radix(rest.split_whitespace().next()?, 16).ok()
}

/// How the emulator begins a line about a call that it refuses, which call that is, the kernel's
/// names for the numbers in the line, and the errno (qemu's `linux-user/syscall.c`).
const UNSUPPORTED: &[(&str, &str, &[&str], i32)] = &[
    (
        "Unsupported setsockopt ",
        "setsockopt",
        &["level", "optname"],
        libc::ENOPROTOOPT,
    ),
    (
        "getsockopt level=",
        "getsockopt",
        &["level", "optname"],
        libc::EOPNOTSUPP,
    ),
    ("Unsupported prctl: ", "prctl", &["option"], libc::EINVAL),
    (
        "Unsupported ipc call: ",
        "ipc",
        &["call", "version"],
        libc::ENOSYS,
    ),
    ("Unsupported syscall: ", "ni_syscall", &["nr"], libc::ENOSYS),
];

/// Another call that no kernel has seen, because the emulator refused it.
fn unsupported(line: &str) -> Option<What> {
    let of = |(start, ..): &&(&str, _, _, _)| line.contains(start);
    let (start, syscall, names, errno) = UNSUPPORTED.iter().find(of)?;
    let rest = line.get(line.find(start)?..)?;
    let numbers = rest
        .split(|character: char| !character.is_ascii_digit() && character != '-')
        .filter_map(|number| number.parse().ok().map(Argument::Number));
    Some(What::Call {
        syscall,
        arguments: names.iter().copied().zip(numbers).collect(),
        result: Some(-errno),
    })
}

/// `17 ioctl(3,0x40046e01,`: written before the call is made.
fn ioctl_ahead(line: &str) -> Option<(i32, u32)> {
    let (_, arguments) = line.rsplit_once(" ioctl(")?;
    let mut fields = arguments.strip_suffix(',')?.split(',');
    let fd = fields.next()?.trim().parse().ok()?;
    let command = u32::from_str_radix(fields.next()?.trim().strip_prefix("0x")?, 16).ok()?;
    fields.next().is_none().then_some((fd, command))
}

/// Commands of sockets, which are no model's.
const OF_SOCKETS: std::ops::RangeInclusive<u32> = 0x8900..=0x8BFF;

/// The emulator has refused a command and does not tell of which descriptor: it counts for every
/// model that the caller has open, usually one. The next time it comes to the supervisor, which
/// then knows.
fn refused<'a>(
    guest: &mut (impl Reports + HasPlan<'a> + HasDevices + HasKept + HasEmulators<'a>),
    call: &Call,
    command: u32,
) {
    let mut models = Vec::new();
    // Where ioctls are announced, one of a model was learned before it was made.
    if !guest.emulators().announces_ioctls() && !OF_SOCKETS.contains(&command) {
        models = behind::open_models(guest, call);
    }
    if models.is_empty() {
        models.push(String::new());
    } else {
        teach(guest, call, command);
    }
    for path in models {
        let operation = Operation::Ioctl { command };
        guest.report_call(call, What::Unmodelled { path, operation });
    }
}

/// An ioctl is about to be made.
pub fn learn<'a>(
    guest: &mut (impl Reports + HasPlan<'a> + HasDevices + HasKept + HasEmulators<'a>),
    call: &Call,
    fd: i32,
    command: u32,
) {
    if behind::model_of(guest, call, fd).is_some() {
        teach(guest, call, command);
    }
}

/// Give the process's emulator an entry for a command that it does not know, where a model waits
/// for it.
fn teach<'a>(guest: &mut (impl Callers + HasEmulators<'a>), call: &Call, command: u32) {
    let Some(table) = guest.emulators().ioctl_table().cloned() else {
        return;
    };
    if table.knows(command) || guest.emulators().knows(command) {
        return;
    }
    let Some(record) = guest.caller(call) else {
        return;
    };
    if record.learned.contains(&command) {
        return;
    }
    if ioctl_table::teach(record, call, &table, command) {
        record.learned.push(command);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_qemu_are_understood() {
        assert_eq!(
            unsupported_ioctl("Unsupported ioctl: cmd=0x40046e01\n"),
            Some(0x4004_6e01)
        );
        assert_eq!(
            unsupported_ioctl("Unsupported ioctl type: cmd=0x40046e01 type=9\n"),
            Some(0x4004_6e01)
        );
        assert_eq!(unsupported_ioctl("17 write(1,0x4080,3) = 3\n"), None);
        assert_eq!(
            ioctl_ahead("17 ioctl(3,0x40046e01,"),
            Some((3, 0x4004_6e01))
        );
        assert_eq!(ioctl_ahead("17 ioctl(3,"), None);
        assert_eq!(ioctl_ahead("17 ioctl(3,0x40046e01,0x40800,"), None);
        assert_eq!(ioctl_ahead("17 ioctl(3,TCGETS,"), None);
    }

    #[test]
    fn what_the_emulator_refuses_by_itself_is_told_with_its_numbers() {
        let told = |line: &str| match unsupported(line) {
            Some(What::Call {
                syscall,
                arguments,
                result: Some(result),
            }) => {
                let numbers = arguments.into_iter().map(|(_, number)| number);
                (syscall, numbers.collect::<Vec<_>>(), -result)
            }
            other => panic!("{line}: {other:?}"),
        };
        let numbers = |numbers: &[i64]| numbers.iter().copied().map(Argument::Number).collect();
        assert_eq!(
            told("Unsupported setsockopt level=0 optname=32\n"),
            ("setsockopt", numbers(&[0, 32]), libc::ENOPROTOOPT)
        );
        assert_eq!(
            told("getsockopt level=65535 optname=-2 not yet supported\n"),
            ("getsockopt", numbers(&[65535, -2]), libc::EOPNOTSUPP)
        );
        assert_eq!(
            told("Unsupported syscall: 4999\n"),
            ("ni_syscall", numbers(&[4999]), libc::ENOSYS)
        );
        assert!(unsupported("17 write(1,0x4080,3) = 3\n").is_none());
    }
}
