//! Signals: those that the plan blocks go nowhere, and qemu's way to die of one shows a crash.

use super::super::guest::Guest;
use super::super::notify::{Action, Call};
use crate::event::What;

/// Signals that a program dies of by its own fault.
const FAULTS: &[i32] = &[
    libc::SIGILL,
    libc::SIGTRAP,
    libc::SIGABRT,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGSEGV,
    libc::SIGSYS,
];

/// `kill`.
pub fn kill(guest: &mut Guest<'_>, call: &Call, target: i32, signal: i32) -> Action {
    // qemu ends a guest that dies of a signal by sending that signal to itself with its own `kill`.
    let itself = guest
        .caller(call)
        .is_some_and(|record| i64::from(record.who.pid) == i64::from(target));
    if itself && FAULTS.contains(&signal) {
        let first = guest
            .caller(call)
            .is_some_and(|record| record.fatal.replace(signal).is_none());
        if first {
            guest.report_call(call, What::Crash { signal, pc: None });
        }
        return Action::Continue;
    }
    send(guest, call, target, signal)
}

/// `tkill` and `tgkill`: threads signal themselves with these all the time, which is no event.
pub fn kill_thread(guest: &mut Guest<'_>, call: &Call, thread: i32, signal: i32) -> Action {
    let blocked = guest.plan.blocked_signals.contains(&signal);
    if !blocked {
        return Action::Continue;
    }
    send(guest, call, thread, signal)
}

fn send(guest: &mut Guest<'_>, call: &Call, target: i32, signal: i32) -> Action {
    if signal == 0 {
        return Action::Continue;
    }
    let blocked = guest.plan.blocked_signals.contains(&signal);
    guest.report_call(
        call,
        What::Signal {
            signal,
            target,
            blocked,
        },
    );
    if blocked {
        Action::Return(0)
    } else {
        Action::Continue
    }
}
