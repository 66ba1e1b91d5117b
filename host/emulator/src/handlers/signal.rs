//! Signals: those that the plan blocks go nowhere, and qemu's way to die of one shows a crash.

use crate::guest::access::{Callers, Ends, HasEmulators, HasPlan, Reports};
use crate::handlers::threads;
use crate::process::call::{Action, Call};
use crate::qemu::signals;
use rookery_records::event::What;

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

/// What an emulator holds of the host's signals, one bit each.
struct Held {
    blocked: u64,
    /// Caught or ignored.
    handled: u64,
}

impl Held {
    fn by(guest: &mut impl Callers, call: &Call) -> Option<Self> {
        let text = guest.caller(call)?.thread_status()?;
        let set = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            u64::from_str_radix(line.trim(), 16).ok()
        };
        Some(Self {
            blocked: set("SigBlk:")?,
            handled: set("SigCgt:")? | set("SigIgn:")?,
        })
    }

    fn handles(&self, signal: i32) -> bool {
        self.handled & bit(signal) != 0
    }

    /// qemu ends a guest that dies of a signal by sending that signal to itself, with no handler
    /// and everything blocked. It never blocks `SIGSEGV` for a guest.
    fn dies_of(&self, signal: i32) -> bool {
        !self.handles(signal) && self.blocked & bit(libc::SIGSEGV) != 0
    }
}

fn bit(signal: i32) -> u64 {
    u32::try_from(signal - 1)
        .ok()
        .and_then(|shift| 1_u64.checked_shl(shift))
        .unwrap_or(0)
}

/// `kill`.
pub fn kill<'a>(
    guest: &mut (impl Reports + Ends + HasPlan<'a> + HasEmulators<'a>),
    call: &Call,
) -> Action {
    let (target, signal) = (call.int(0), call.int(1));
    // A thread that is a process of its own to the guest names itself by that number.
    let itself = guest.caller(call).is_some_and(|record| {
        let is = |pid: u32| i64::from(pid) == i64::from(target);
        is(record.who.pid) || record.is_in_own_thread() && record.thread_number().is_some_and(is)
    });
    if itself && Held::by(guest, call).is_some_and(|held| held.dies_of(signal)) {
        died(guest, call, signal);
        return Action::Continue;
    }
    send(guest, call, "kill", target, signal)
}

fn died<'a>(
    guest: &mut (impl Reports + Ends + HasPlan<'a> + HasEmulators<'a>),
    call: &Call,
    signal: i32,
) {
    let init = guest.init().pid();
    let Some(record) = guest.caller(call) else {
        return;
    };
    let (first, is_init) = (
        record.fatal.replace(signal).is_none(),
        record.process.pid() == init,
    );
    let last = std::mem::take(&mut record.last).into();
    let fault = FAULTS.contains(&signal);
    if first && fault {
        let pc = None;
        guest.report_call(call, What::Crash { signal, pc, last });
    }
    if first && is_init {
        init_died(guest, call, signal, fault);
    }
}

/// The kernel keeps a namespace's init alive through what its emulator does to die, so the run is
/// ended here.
fn init_died<'a>(
    guest: &mut (impl Reports + Ends + HasPlan<'a> + HasEmulators<'a>),
    call: &Call,
    signal: i32,
    fault: bool,
) {
    let (code, death) = (None, Some(signal));
    guest.report_call(
        call,
        What::Exit {
            code,
            signal: death,
        },
    );
    let signal = in_guest(guest, signal);
    let how = if fault {
        let panic = format!(
            "Kernel panic - not syncing: Attempted to kill init! exitcode={signal:#010x}\r\n"
        );
        guest.report_call(call, What::Console(panic.into_bytes()));
        format!("init was killed by signal {signal}; a kernel would panic")
    } else {
        format!(
            "init was killed by signal {signal}, which it did not handle; a real kernel would have \
             ignored it; to ignore it here too, use block_signal {signal}"
        )
    };
    guest.end(how);
}

/// The number that the host's `signal` has in the guest, and in the configuration.
fn in_guest<'a>(guest: &(impl HasPlan<'a> + HasEmulators<'a>), signal: i32) -> i32 {
    signals::in_guest(&guest.plan().arch, guest.emulators().abort(), signal)
}

/// `tkill` and its kin: threads signal themselves with these all the time, which is no event.
pub fn kill_thread<'a>(
    guest: &mut (impl Reports + HasPlan<'a> + HasEmulators<'a>),
    call: &Call,
    syscall: &'static str,
    thread: i32,
    signal: i32,
) -> Action {
    let number = in_guest(guest, signal);
    if !guest.plan().blocked_signals.contains(&number) {
        return Action::Continue;
    }
    send(guest, call, syscall, thread, signal)
}

/// `pidfd_send_signal`.
pub fn send_by_descriptor<'a>(
    guest: &mut (impl Reports + HasPlan<'a> + HasEmulators<'a>),
    call: &Call,
) -> Action {
    let target = guest.caller(call).and_then(|record| {
        let pids = record.descriptor_info(call.int(0), "NSpid:")?;
        pids.split_whitespace().last()?.parse().ok()
    });
    match target {
        Some(target) => send(guest, call, "pidfd_send_signal", target, call.int(1)),
        None => Action::Continue,
    }
}

/// A signal to a process, or to several.
pub fn send<'a>(
    guest: &mut (impl Reports + HasPlan<'a> + HasEmulators<'a>),
    call: &Call,
    syscall: &'static str,
    target: i32,
    signal: i32,
) -> Action {
    let by_number = syscall == "kill";
    if signal == 0 {
        let thread = by_number.then(|| threads::kill(guest, target, 0)).flatten();
        return thread.unwrap_or(Action::Continue);
    }
    let sent = signal;
    let signal = in_guest(guest, signal);
    let blocked = guest.plan().blocked_signals.contains(&signal);
    guest.report_call(
        call,
        What::Signal {
            syscall,
            signal,
            target,
            blocked,
        },
    );
    if blocked {
        return Action::Return(0);
    }
    if signal == libc::SIGKILL {
        let by = guest.who(call);
        guest.procs().killed(&by, target);
    }
    if by_number && let Some(action) = threads::kill(guest, target, sent) {
        return action;
    }
    Action::Continue
}

/// `rt_sigaction` with a new action.
///
/// qemu before 8.2 catches every signal that ends a process, to end it in its own way. As init it
/// must not: what init has no handler for comes to nothing. So it is only told that it does, while
/// it starts.
pub fn action(guest: &mut impl Callers, call: &Call) -> Action {
    let (init, signal) = (guest.init().pid(), call.int(0));
    let caller = guest.caller(call).map(|record| record.process.pid());
    if caller != Some(init) {
        return Action::Continue;
    }
    let Some(held) = Held::by(guest, call) else {
        return Action::Continue;
    };
    let Some(record) = guest.caller(call) else {
        return Action::Continue;
    };
    // In the order of their numbers: the first is SIGHUP, which newer ones leave alone; SIGSEGV is
    // among those that all catch.
    let begins = !held.handles(libc::SIGSEGV);
    record.catches_all |= begins && signal == libc::SIGHUP;
    let ends = held.handles(libc::SIGSYS) && held.handles(libc::SIGXFSZ);
    if begins || (record.catches_all && !ends) {
        Action::Return(0)
    } else {
        Action::Continue
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::testing::Part;

    #[test]
    fn a_signal_that_the_plan_blocks_is_reported_and_not_sent() {
        let mut guest = Part::new(|plan| plan.blocked_signals = vec![15]);
        let mut send_one = |signal: i32| {
            let call = guest.call(libc::SYS_kill, &[77, u64::from(signal.cast_unsigned())]);
            (kill(&mut guest, &call), guest.reported.pop())
        };
        let (action, what) = send_one(libc::SIGTERM);
        assert!(matches!(action, Action::Return(0)));
        assert!(
            matches!(what, Some(What::Signal { blocked: true, .. })),
            "{what:?}"
        );
        let (action, what) = send_one(libc::SIGHUP);
        assert!(matches!(action, Action::Continue));
        assert!(
            matches!(what, Some(What::Signal { blocked: false, .. })),
            "{what:?}"
        );
        // Only whether somebody is there is asked.
        assert!(matches!(send_one(0), (Action::Continue, None)));
    }

    #[test]
    fn threads_that_signal_each_other_are_no_event() {
        let mut guest = Part::new(|_| ());
        let call = guest.call(libc::SYS_tkill, &[77, 32]);
        let action = kill_thread(&mut guest, &call, "tkill", 77, 32);
        assert!(matches!(action, Action::Continue) && guest.reported.is_empty());
    }
}
