//! The clock: the host's is not the guest's to set, but the guest is told of the time that it has
//! set. Emulators read the clock without a system call, until the guest sets it; then each is made
//! to ask, when it is next seen.
//!
//! Times of files, and timers that were set to a time of day, stay the host's (docs/emulator.md).

use rookery_records::event::{Argument, What};
use rustix::io::Errno;
use rustix::time::{ClockId, Timespec};

use crate::guest::access::{Callers, HasClock, HasEmulators, Reports};
use crate::process::call::{Action, Call};
use crate::process::record::Capabilities;
use crate::qemu::clock::{ask_kernel, find};

const NANOSECONDS: i64 = 1_000_000_000;
const IN_MICROSECOND: i64 = 1000;

/// `settimeofday`.
pub fn set_time_of_day(guest: &mut (impl Reports + HasClock), call: &Call) -> Action {
    if call.arg(0) == 0 {
        // A time zone only, which the kernel keeps for nobody.
        return Action::Return(0);
    }
    let time = read(guest, call, call.arg(0)).map(|time| Timespec {
        tv_sec: time.tv_sec,
        tv_nsec: time.tv_nsec.saturating_mul(IN_MICROSECOND),
    });
    set(guest, call, "settimeofday", time)
}

/// `clock_settime`.
pub fn set_clock(guest: &mut (impl Reports + HasClock), call: &Call) -> Action {
    let time = match call.int(0) {
        libc::CLOCK_REALTIME => read(guest, call, call.arg(1)),
        _ => Err(Errno::INVAL),
    };
    set(guest, call, "clock_settime", time)
}

fn set(
    guest: &mut (impl Reports + HasClock),
    call: &Call,
    syscall: &'static str,
    time: Result<Timespec, Errno>,
) -> Action {
    let valid = |time: &Timespec| time.tv_sec >= 0 && (0..NANOSECONDS).contains(&time.tv_nsec);
    let time = match time {
        Ok(time) if valid(&time) => time,
        Ok(_) => return Errno::INVAL.into(),
        Err(errno) => return errno.into(),
    };
    if !may_set(guest, call) {
        return Errno::PERM.into();
    }
    guest.clock().set(time);
    let what = What::Call {
        syscall,
        arguments: vec![("tv_sec", Argument::Number(time.tv_sec))],
        result: Some(0),
    };
    guest.report_call(call, what);
    Action::Return(0)
}

/// Whether a caller is root, or a time server that has become another user and has kept this right
/// (`CAP_SYS_TIME`).
fn may_set(guest: &mut impl Callers, call: &Call) -> bool {
    let record = guest.caller(call);
    record.is_some_and(|record| record.is_root() || record.capabilities == Capabilities::Kept)
}

/// `struct timex` of `linux/timex.h`, as far as it is more than zeros.
const TIMEX: usize = 208;
const TIMEX_OFFSET: usize = 8;
const TIMEX_MAXIMAL_ERROR: usize = 24;
const TIMEX_ESTIMATED_ERROR: usize = 32;
const TIMEX_STATUS: usize = 40;
const TIMEX_CONSTANT: usize = 48;
const TIMEX_PRECISION: usize = 56;
const TIMEX_TOLERANCE: usize = 64;
const TIMEX_SECONDS: usize = 72;
const TIMEX_PART: usize = 80;
const TIMEX_TICK: usize = 88;
/// `ADJ_OFFSET`, `ADJ_SETOFFSET`, `ADJ_NANO`, and `ADJ_ADJTIME` with `ADJ_OFFSET_READONLY`.
const OFFSET: u32 = 0x0001;
const SET_OFFSET: u32 = 0x0100;
const NANO: u32 = 0x2000;
const ADJTIME: u32 = 0x8000;
const READ_ONLY: u32 = 0x2000;

/// `adjtimex` and `clock_adjtime`, whose structure is the argument `at`. A clock that is to come
/// nearer to a time by and by is there at once.
pub fn adjust(guest: &mut (impl Callers + HasClock), call: &Call, at: usize) -> Action {
    match adjusted(guest, call, call.arg(at)) {
        Ok(state) => Action::Return(state),
        Err(errno) => errno.into(),
    }
}

fn adjusted(
    guest: &mut (impl Callers + HasClock),
    call: &Call,
    address: u64,
) -> Result<i64, Errno> {
    /// `TIME_ERROR`, and `STA_UNSYNC`, which is why.
    const ERROR: i64 = 5;
    const UNSYNCHRONISED: i64 = 0x40;
    let memory = guest.memory(call).ok_or(Errno::FAULT)?;
    let mut timex = [0_u8; TIMEX];
    memory.read(address, &mut timex).map_err(|_| Errno::FAULT)?;
    let modes = match timex.first_chunk() {
        Some(modes) => u32::from_ne_bytes(*modes),
        None => 0,
    };
    let number = |at: usize| {
        let bytes = timex
            .get(at..at + 8)
            .and_then(|bytes| bytes.try_into().ok());
        i128::from(bytes.map_or(0, i64::from_ne_bytes))
    };
    let once = modes & ADJTIME != 0;
    let reads = modes == 0 || (once && modes & READ_ONLY != 0);
    if !reads {
        if !may_set(guest, call) {
            return Err(Errno::PERM);
        }
        let unit = if modes & NANO != 0 && !once {
            1
        } else {
            i128::from(IN_MICROSECOND)
        };
        if modes & SET_OFFSET != 0 && !once {
            let by = number(TIMEX_SECONDS) * i128::from(NANOSECONDS) + number(TIMEX_PART) * unit;
            guest.clock().move_by(by);
        } else if modes & OFFSET != 0 {
            guest.clock().move_by(number(TIMEX_OFFSET) * unit);
        }
    }
    let now = guest.clock().now();
    let now = now.unwrap_or_else(|| rustix::time::clock_gettime(ClockId::Realtime));
    let mut told = [0_u8; TIMEX];
    for (at, value) in [
        (TIMEX_MAXIMAL_ERROR, 16_000_000),
        (TIMEX_ESTIMATED_ERROR, 16_000_000),
        (TIMEX_STATUS, UNSYNCHRONISED),
        (TIMEX_CONSTANT, 2),
        (TIMEX_PRECISION, 1),
        (TIMEX_TOLERANCE, 32_768_000),
        (TIMEX_SECONDS, now.tv_sec),
        (TIMEX_PART, now.tv_nsec / IN_MICROSECOND),
        (TIMEX_TICK, 10_000),
    ] {
        if let Some(place) = told.get_mut(at..at + 8) {
            place.copy_from_slice(&value.to_ne_bytes());
        }
    }
    if let (Some(place), Some(modes)) = (told.get_mut(..4), timex.get(..4)) {
        place.copy_from_slice(modes);
    }
    memory.write(call, address, &told)?;
    Ok(ERROR)
}

/// Whether a clock shows the time of day, which may be set. Leap seconds are left out of account.
fn is_time_of_day(clock: i32) -> bool {
    matches!(
        clock,
        libc::CLOCK_REALTIME
            | libc::CLOCK_REALTIME_COARSE
            | libc::CLOCK_REALTIME_ALARM
            | libc::CLOCK_TAI
    )
}

/// `clock_gettime`.
pub fn get_clock(guest: &mut (impl Callers + HasClock), call: &Call) -> Action {
    let now = guest.clock().now().filter(|_| is_time_of_day(call.int(0)));
    give(guest, call, call.arg(1), now, 1)
}

/// `gettimeofday`.
pub fn get_time_of_day(guest: &mut (impl Callers + HasClock), call: &Call) -> Action {
    let wanted = call.arg(0) != 0;
    let now = guest.clock().now().filter(|_| wanted);
    give(guest, call, call.arg(0), now, IN_MICROSECOND)
}

/// `time`.
pub fn get_time(guest: &mut (impl Callers + HasClock), call: &Call) -> Action {
    let Some(now) = guest.clock().now() else {
        return Action::Continue;
    };
    if call.arg(0) != 0
        && let Err(errno) = write(guest, call, call.arg(0), &now.tv_sec.to_ne_bytes())
    {
        return errno.into();
    }
    Action::Return(now.tv_sec)
}

/// Answer with a time, whose part of a second is in so many nanoseconds. The kernel has the host's.
fn give(
    guest: &mut impl Callers,
    call: &Call,
    address: u64,
    now: Option<Timespec>,
    unit: i64,
) -> Action {
    let Some(now) = now else {
        return Action::Continue;
    };
    let words = [now.tv_sec, now.tv_nsec / unit].map(i64::to_ne_bytes);
    match write(guest, call, address, words.as_flattened()) {
        Ok(()) => Action::Return(0),
        Err(errno) => errno.into(),
    }
}

/// `futex`, which waits until a time of day.
pub fn wait(guest: &mut (impl Callers + HasClock), call: &Call) -> Action {
    on_host(guest, call, call.arg(3))
}

/// `clock_nanosleep`, which may sleep until a time of day.
pub fn sleep(guest: &mut (impl Callers + HasClock), call: &Call) -> Action {
    if is_time_of_day(call.int(0)) {
        on_host(guest, call, call.arg(2))
    } else {
        Action::Continue
    }
}

/// The kernel waits until the guest's clock shows the time that is at `address`: a copy of the
/// emulator's. Who does not yet know of the guest's clock has taken it from the host's.
fn on_host(guest: &mut (impl Callers + HasClock), call: &Call, address: u64) -> Action {
    let knows = guest.caller(call).is_some_and(|record| record.asks_time);
    if address != 0
        && knows
        && let Ok(time) = read(guest, call, address)
        && let Some(time) = guest.clock().on_host(time)
    {
        let words = [time.tv_sec, time.tv_nsec].map(i64::to_ne_bytes);
        // Where it cannot be written, it cannot be read either.
        let _ = write(guest, call, address, words.as_flattened());
    }
    Action::Continue
}

/// Once the guest has set its clock, let the caller's emulator ask for the time.
pub fn follow<'a>(guest: &mut (impl Callers + HasClock + HasEmulators<'a>), call: &Call) {
    let becomes_another = matches!(call.number(), libc::SYS_execve | libc::SYS_execveat);
    if becomes_another || !guest.clock().is_set() {
        return;
    }
    let Some(record) = guest.caller(call).filter(|record| !record.asks_time) else {
        return;
    };
    let (process, Some(memory)) = (std::rc::Rc::clone(&record.process), record.memory()) else {
        return;
    };
    let asks = ask_kernel(&process, &memory, call, |emulator| {
        let qemu = guest.emulators().at(emulator).cloned();
        guest.clock().functions(emulator, || {
            let file = std::fs::read(qemu?.path).ok()?;
            find(&file)
        })
    });
    if let Some(record) = guest.caller(call) {
        record.asks_time = asks;
    }
}

fn read(guest: &mut impl Callers, call: &Call, address: u64) -> Result<Timespec, Errno> {
    let memory = guest.memory(call).ok_or(Errno::FAULT)?;
    let mut words = [[0_u8; 8]; 2];
    let read = memory.read(address, words.as_flattened_mut());
    read.map_err(|_| Errno::FAULT)?;
    let [seconds, part] = words.map(i64::from_ne_bytes);
    Ok(Timespec {
        tv_sec: seconds,
        tv_nsec: part,
    })
}

fn write(guest: &mut impl Callers, call: &Call, address: u64, bytes: &[u8]) -> Result<(), Errno> {
    let memory = guest.memory(call).ok_or(Errno::FAULT)?;
    memory.write(call, address, bytes)
}
