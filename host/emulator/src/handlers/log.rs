//! qemu's log, line by line as it is written: unsupported ioctls, and with models of any command
//! the ioctls that are about to be made.

use rustix::io::Errno;

use crate::guest::access::{Callers, HasDevices, HasEmulators, HasPlan, Reports};
use crate::handlers::behind::{self, pieces_of};
use crate::process::call::{Action, Call};
use crate::qemu::ioctl_table;
use rookery_records::event::{Operation, What};

/// More than any line that matters.
const LINE_MAX: usize = 4096;

/// A write to the log's descriptor: taken, never carried out.
pub fn write<'a>(
    guest: &mut (impl Reports + HasPlan<'a> + HasDevices + HasEmulators<'a>),
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
    guest: &mut (impl Reports + HasPlan<'a> + HasDevices + HasEmulators<'a>),
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
    } else if let Some((fd, command)) = ioctl_ahead(&line) {
        learn(guest, call, fd, command);
    }
}

/// `Unsupported ioctl: cmd=0x40046e01`
fn unsupported_ioctl(line: &str) -> Option<u32> {
    let (_, rest) = line.split_once("Unsupported ioctl: cmd=0x")?;
    u32::from_str_radix(rest.trim_end(), 16).ok()
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
    guest: &mut (impl Reports + HasPlan<'a> + HasDevices + HasEmulators<'a>),
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
    guest: &mut (impl Reports + HasPlan<'a> + HasDevices + HasEmulators<'a>),
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
        assert_eq!(unsupported_ioctl("17 write(1,0x4080,3) = 3\n"), None);
        assert_eq!(
            ioctl_ahead("17 ioctl(3,0x40046e01,"),
            Some((3, 0x4004_6e01))
        );
        assert_eq!(ioctl_ahead("17 ioctl(3,"), None);
        assert_eq!(ioctl_ahead("17 ioctl(3,0x40046e01,0x40800,"), None);
        assert_eq!(ioctl_ahead("17 ioctl(3,TCGETS,"), None);
    }
}
