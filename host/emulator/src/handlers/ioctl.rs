//! ioctl: models answer for their files; interfaces that are missing are noted; the rest is the
//! kernel's.

use chrono::{DateTime, Datelike as _, Timelike as _, Utc};
use rustix::io::Errno;
use rustix::time::ClockId;

use crate::guest::access::{
    Callers, HasDevices, HasEmulators, HasImages, HasKept, HasPlan, HasServices, Reports,
};
use crate::handlers::behind::model_of;
use crate::handlers::nvram::driver::Driven;
use crate::handlers::{flash, flash_chip, loops, network, nvram, ppp, tunnel};
use crate::process::call::{Action, Call};
use crate::qemu::arch::Arch;
use crate::qemu::emulator::GUEST_BASE;
use rookery_records::event::{Operation, What};
use rookery_runs::plan::{Ioctl, IoctlCommand, Pseudofile};

/// What an `ioctl` may reach.
pub trait Controls<'a>: Driven<'a> + HasPlan<'a> + HasKept + HasServices + HasImages {}

impl<'a, T: Driven<'a> + HasPlan<'a> + HasKept + HasServices + HasImages> Controls<'a> for T {}

/// `ioctl`.
pub fn ioctl<'a>(guest: &mut impl Controls<'a>, call: &Call) -> Action {
    let command = call.int(1).cast_unsigned();
    if let Some((path, model)) = model_of(guest, call, call.int(0)) {
        return answer_model(guest, call, &path, &model, command);
    }
    if let Some(action) = nvram::driver::control(guest, call) {
        return action;
    }
    if let Some(action) = loops::ioctl(guest, call, command) {
        return action;
    }
    if let Some(action) = tunnel::control(guest, call, command) {
        return action;
    }
    let taught = is_taught(guest, call, command);
    let address = if taught {
        argument(guest, call)
    } else {
        call.arg(2)
    };
    if let Some(action) = flash::ioctl(guest, call, command, address) {
        return action;
    }
    if let Some(action) = ppp::control(guest, call, command, address) {
        return action;
    }
    if taught && let Some(action) = network::ioctl(guest, call, command, address) {
        return action;
    }
    if !taught && let Some(action) = network::wireless(guest, call, command) {
        return action;
    }
    if let Some((name, errno)) = interface(guest, call, command) {
        guest.report_call(
            call,
            What::InterfaceMissing {
                name,
                command,
                result: -errno.raw_os_error(),
            },
        );
    }
    // A command that was taught to the emulator for a model's sake carries a guest pointer: never
    // the kernel's business.
    if taught {
        Errno::NOTTY.into()
    } else {
        Action::Continue
    }
}

fn answer_model<'a>(
    guest: &mut (impl Reports + HasDevices + HasEmulators<'a>),
    call: &Call,
    path: &str,
    model: &Pseudofile,
    command: u32,
) -> Action {
    let find = |wanted| {
        model
            .ioctl
            .iter()
            .find(|(known, _)| *known == wanted)
            .map(|(_, answer)| answer)
    };
    match find(IoctlCommand::Number(command)).or_else(|| find(IoctlCommand::Any)) {
        Some(Ioctl::Return(value)) => Action::Return(*value),
        Some(Ioctl::WriteData(data, value)) => write_data(guest, call, command, data, *value),
        Some(Ioctl::Time) => match guest.emulators().first().map(|qemu| qemu.arch) {
            Some(arch) => write_data(guest, call, command, &rtc_time(arch), 0),
            None => Errno::NOTTY.into(),
        },
        Some(Ioctl::FlashChip(does)) => flash_chip::control(guest, call, model, *does),
        Some(Ioctl::Unhandled) | None => {
            guest.report_call(
                call,
                What::Unmodelled {
                    path: path.to_owned(),
                    operation: Operation::Ioctl { command },
                },
            );
            Errno::NOTTY.into()
        }
    }
}

/// The host's time as a clock chip's (`struct rtc_time`).
fn rtc_time(arch: &Arch) -> Vec<u8> {
    let seconds = rustix::time::clock_gettime(ClockId::Realtime).tv_sec;
    let now = DateTime::<Utc>::from_timestamp(seconds, 0).unwrap_or_default();
    let fields = [
        now.second(),
        now.minute(),
        now.hour(),
        now.day(),
        now.month0(),
        now.year().saturating_sub(1900).unsigned_abs(),
        now.weekday().num_days_from_sunday(),
        now.ordinal0(),
        0, // no daylight saving time
    ];
    let bytes = fields.into_iter().map(|field| arch.bytes_of(field));
    bytes.flatten().collect()
}

fn write_data<'a>(
    guest: &mut (impl Callers + HasEmulators<'a>),
    call: &Call,
    command: u32,
    data: &[u8],
    value: i64,
) -> Action {
    let address = if is_taught(guest, call, command) {
        argument(guest, call)
    } else {
        call.arg(2)
    };
    let memory = guest.memory(call);
    match memory {
        Some(memory) if memory.write(call, address, data).is_ok() => Action::Return(value),
        _ => Errno::FAULT.into(),
    }
}

/// Where the argument of a command is that the emulator passes on as it is. A 32-bit guest's
/// pointer may come sign-extended.
pub fn argument<'a>(guest: &impl HasEmulators<'a>, call: &Call) -> u64 {
    address(guest, call.arg(2))
}

/// Where a pointer of the guest's leads.
pub fn address<'a>(guest: &impl HasEmulators<'a>, pointer: u64) -> u64 {
    let first = guest.emulators().first();
    if first.is_some_and(|qemu| qemu.arch.is_32_bit()) {
        GUEST_BASE + (pointer & 0xFFFF_FFFF)
    } else {
        pointer
    }
}

fn is_taught<'a>(guest: &mut (impl Callers + HasEmulators<'a>), call: &Call, command: u32) -> bool {
    guest.emulators().knows(command)
        || guest
            .caller(call)
            .is_some_and(|record| record.learned.contains(&command))
}

/// Commands of `struct ifreq` that need the interface.
const INTERFACE_COMMANDS: std::ops::RangeInclusive<u64> = libc::SIOCGIFFLAGS..=libc::SIOCDIFADDR;

/// Commands that ask for an address of IPv4.
const ADDRESS_COMMANDS: [u64; 4] = [
    libc::SIOCGIFADDR,
    libc::SIOCGIFDSTADDR,
    libc::SIOCGIFBRDADDR,
    libc::SIOCGIFNETMASK,
];

/// The name of an interface that the command is about, and why the command fails: the guest has
/// none of that name, or it has no address.
fn interface<'a>(
    guest: &mut (impl Callers + HasEmulators<'a> + HasServices),
    call: &Call,
    command: u32,
) -> Option<(String, Errno)> {
    if !INTERFACE_COMMANDS.contains(&command.into()) || is_taught(guest, call, command) {
        return None;
    }
    let memory = guest.memory(call)?;
    let mut name = [0_u8; 16];
    memory.read(call.arg(2), &mut name).ok()?;
    let name = name.split(|byte| *byte == 0).next()?;
    // An alias belongs to its interface.
    let name = std::str::from_utf8(name)
        .ok()
        .map(|name| name.split(':').next().unwrap_or(name))
        .filter(|name| !name.is_empty())?;
    let known = guest.init().text("net/dev").ok()?;
    let exists = known
        .lines()
        .filter_map(|line| line.split_once(':'))
        .any(|(known, _)| known.trim() == name);
    let errno = if !exists {
        Errno::NODEV
    } else if ADDRESS_COMMANDS.contains(&command.into())
        && matches!(guest.services().network()?.has_ipv4(name), Ok(false))
    {
        Errno::ADDRNOTAVAIL
    } else {
        return None;
    };
    Some((name.to_owned(), errno))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::testing::Part;
    use crate::handlers::memory_file::memory_file;
    use std::os::fd::{AsFd, AsRawFd};

    #[test]
    fn a_model_answers_its_commands_and_what_it_lacks_is_reported() {
        let mut model = Pseudofile::default();
        let known = IoctlCommand::Number(0x4004_6e01);
        model.ioctl.push((known, Ioctl::Return(5)));
        let mut guest = Part::new(|plan| plan.pseudofiles.push(("/dev/panel".into(), model)));
        let file = memory_file("/dev/panel", b"").unwrap();
        let fd = u64::from(file.as_fd().as_raw_fd().cast_unsigned());
        let mut command = |number: u64| {
            let call = guest.call(libc::SYS_ioctl, &[fd, number]);
            (ioctl(&mut guest, &call), guest.reported.pop())
        };
        assert!(matches!(command(0x4004_6e01), (Action::Return(5), None)));
        let (action, what) = command(0x4004_6e02);
        assert!(matches!(action, Action::Fail(Errno::NOTTY)));
        assert!(
            matches!(&what, Some(What::Unmodelled { path, .. }) if path == "/dev/panel"),
            "{what:?}"
        );
    }

    #[test]
    fn an_interface_that_is_not_there_is_named() {
        let mut guest = Part::new(|_| ());
        let mut ask = |name: &[u8; 16]| {
            let address = name.as_ptr().addr() as u64;
            let call = guest.call(libc::SYS_ioctl, &[3, libc::SIOCGIFFLAGS, address]);
            let action = ioctl(&mut guest, &call);
            assert!(matches!(action, Action::Continue));
            guest.reported.pop()
        };
        assert!(ask(b"lo\0\0\0\0\0\0\0\0\0\0\0\0\0\0").is_none());
        let what = ask(b"br77:1\0\0\0\0\0\0\0\0\0\0");
        assert!(
            matches!(&what, Some(What::InterfaceMissing { name, .. }) if name == "br77"),
            "{what:?}"
        );
    }
}
