//! Threads that are processes of their own to the guest (`LinuxThreads`): the emulator tells of
//! them, and what the kernel would do for processes is done here.

use rustix::io::Errno;

use crate::guest::access::{
    Callers, HasDevices, HasEmulators, HasKept, HasPlan, HasWaits, Reports,
};
use crate::guest::waits::Wait;
use crate::handlers::{log, options, stacks};
use crate::kernel::told;
use crate::process::call::{Action, Call};
use crate::process::table;
use crate::process::threads::{Thread, Wanted};
use crate::qemu::signals;

/// What the emulator tells (`qemu/told.rs`).
pub fn told<'a>(
    guest: &mut (impl Reports + HasPlan<'a> + HasDevices + HasEmulators<'a> + HasKept + HasWaits),
    call: &Call,
) -> Action {
    match call.int(0) {
        told::EXIT => will_end(guest, call),
        told::CLONING => {
            if let Some(record) = guest.caller(call)
                && let Some(parent) = record.thread_number()
            {
                record.threads.begin(parent);
            }
        }
        told::CLONED => made(guest, call),
        told::IOCTL => log::learn(guest, call, call.int(1), call.int(2).cast_unsigned()),
        told::OPTION => return options::set(guest, call),
        told::GROWS => return stacks::grows(guest, call),
        _ => {}
    }
    Action::Return(0)
}

fn will_end(guest: &mut impl Callers, call: &Call) {
    if let Some(record) = guest.caller(call)
        && record.is_in_own_thread()
        && let Some(number) = record.thread_number()
    {
        let [status, ..] = call.int(1).to_le_bytes();
        record.threads.will_end(number, status);
    }
}

fn made<'a>(
    guest: &mut (impl Callers + HasPlan<'a> + HasEmulators<'a> + HasKept + HasWaits),
    call: &Call,
) {
    let signal = call.int(1) & 0xFF;
    let signal = signals::on_host(&guest.plan().arch, guest.emulators().abort(), signal);
    let number = call.int(2).cast_unsigned();
    let Some(record) = guest.caller(call) else {
        return;
    };
    let Some(parent) = record.thread_number() else {
        return;
    };
    record.threads.add(Thread {
        number,
        parent,
        signal,
        ended: None,
    });
    let thread = record.threads.get(number).cloned();
    if let Some(thread) = thread.filter(|thread| thread.ended.is_some()) {
        tell_parent(guest, call, &thread);
    }
}

/// `exit`, by which one thread ends.
pub fn exit(guest: &mut (impl Callers + HasWaits), call: &Call) -> Action {
    if let Some(record) = guest.caller(call)
        && record.is_in_own_thread()
        && let Some(number) = record.thread_number()
        && let Some(thread) = record.threads.end(number)
    {
        tell_parent(guest, call, &thread);
    }
    Action::Continue
}

/// A thread has ended: its parent gets the signal that it asked for, and waits of its end.
fn tell_parent(guest: &mut (impl Callers + HasWaits), call: &Call, thread: &Thread) {
    let Some(record) = guest.caller(call) else {
        return;
    };
    if thread.signal != 0 {
        // A parent that ended before needs none.
        let _ = record.signal_thread(thread.parent, thread.signal);
    }
    let process = call.process.unwrap_or_default();
    for wait in guest.waits().take(process) {
        match find(guest, &wait) {
            Action::Later => {
                guest.waits().hold(wait);
            }
            action => wait.call().answer(&action),
        }
    }
}

/// `getpid`.
pub fn number(guest: &mut impl Callers, call: &Call) -> Action {
    let own = guest
        .caller(call)
        .filter(|record| record.is_in_own_thread());
    let number = own.and_then(|record| record.thread_number());
    number.map_or(Action::Continue, |number| Action::Return(number.into()))
}

/// `getppid`: of such a thread the thread that made it, and init where that has ended, by which a
/// manager of threads knows that its program is gone.
pub fn parent(guest: &mut impl Callers, call: &Call) -> Action {
    const INIT: i64 = 1;
    let Some(record) = guest
        .caller(call)
        .filter(|record| record.is_in_own_thread())
    else {
        return Action::Continue;
    };
    let made_by = record
        .thread_number()
        .and_then(|number| record.threads.parent_of(number));
    match made_by {
        Some(parent) if record.signal_thread(parent, 0).is_ok() => Action::Return(parent.into()),
        Some(_) => Action::Return(INIT),
        None => Action::Return(record.who.pid.into()),
    }
}

/// `wait4`.
pub fn wait4(guest: &mut (impl Callers + HasWaits), call: &Call) -> Action {
    let number = match call.int(0) {
        number @ 1.. => Some(number.cast_unsigned()),
        0 | -1 => None,
        _ => return Action::Continue,
    };
    let options = call.int(2);
    wait(guest, call, Wanted { number, options })
}

/// `waitid`.
pub fn waitid(guest: &mut (impl Callers + HasWaits), call: &Call) -> Action {
    let number = match call.int(0).cast_unsigned() {
        libc::P_ALL => None,
        libc::P_PID => Some(call.int(1).cast_unsigned()),
        _ => return Action::Continue,
    };
    let options = call.int(3);
    wait(guest, call, Wanted { number, options })
}

fn wait(guest: &mut (impl Callers + HasWaits), call: &Call, wanted: Wanted) -> Action {
    let Some(record) = guest
        .caller(call)
        .filter(|record| record.threads.are_made())
    else {
        return Action::Continue;
    };
    let Some(parent) = record.thread_number() else {
        return Action::Continue;
    };
    let wait = Wait::new(call.clone(), parent, wanted);
    match find(guest, &wait) {
        Action::Later if guest.waits().hold(wait) => Action::Later,
        Action::Later => Errno::AGAIN.into(),
        action => action,
    }
}

/// What a wait finds now; [`Action::Later`] where it has to wait.
fn find(guest: &mut impl Callers, wait: &Wait) -> Action {
    let (call, wanted) = (wait.call(), wait.wanted());
    let Some(record) = guest.caller(call) else {
        return Action::Continue;
    };
    let Some(thread) = record.threads.find(wait.parent(), wanted).cloned() else {
        let is_thread = |number| record.threads.get(number).is_some();
        return if wanted.number.is_some_and(is_thread) {
            Errno::CHILD.into()
        } else {
            Action::Continue
        };
    };
    if let Some(status) = thread.ended {
        return match give(guest, call, &thread, status) {
            Ok(value) => {
                keep_or_forget(guest, call, wanted, thread.number);
                Action::Return(value)
            }
            Err(errno) => errno.into(),
        };
    }
    // Of both kinds at once only the kernel's are waited for: no library asks for both.
    let processes = wanted.number.is_none() && wanted.takes_processes();
    if processes && !table::children(&record.process).is_empty() {
        return Action::Continue;
    }
    match wanted.options & libc::WNOHANG {
        0 => Action::Later,
        _ => Action::Return(0),
    }
}

fn keep_or_forget(guest: &mut impl Callers, call: &Call, wanted: Wanted, number: u32) {
    if wanted.options & libc::WNOWAIT == 0
        && let Some(record) = guest.caller(call)
    {
        record.threads.remove(number);
    }
}

/// Write what the caller wants to know of a thread that has ended. Gives what the call returns.
fn give(guest: &mut impl Callers, call: &Call, thread: &Thread, status: u8) -> Result<i64, Errno> {
    let memory = guest.memory(call).ok_or(Errno::FAULT)?;
    let put = |argument: usize, bytes: &[u8]| match call.arg(argument) {
        0 => Ok(()),
        address => memory.write(call, address, bytes),
    };
    if call.number() == libc::SYS_waitid {
        put(2, &told_by_waitid(thread, status))?;
        put(4, &[0; size_of::<libc::rusage>()])?;
        return Ok(0);
    }
    put(1, &(i32::from(status) << 8).to_ne_bytes())?;
    put(3, &[0; size_of::<libc::rusage>()])?;
    Ok(thread.number.into())
}

/// `siginfo_t` as `waitid(2)` fills it.
fn told_by_waitid(thread: &Thread, status: u8) -> [u8; size_of::<libc::siginfo_t>()] {
    let mut info = [0; size_of::<libc::siginfo_t>()];
    let number = thread.number.cast_signed();
    for (at, value) in [
        (0, libc::SIGCHLD),
        (8, libc::CLD_EXITED),
        (16, number),
        (24, status.into()),
    ] {
        if let Some(field) = info.get_mut(at..at + 4) {
            field.copy_from_slice(&i32::to_ne_bytes(value));
        }
    }
    info
}

/// Send a signal to the thread with this number in the guest, or to the first thread of a process
/// that makes such threads: to the host, `kill` would mean all of them. `None` where it is neither.
pub fn kill(guest: &mut impl Callers, target: i32, signal: i32) -> Option<Action> {
    let target = u32::try_from(target).ok()?;
    let record = guest.procs().with_thread(target)?;
    let has_ended = |thread: &Thread| thread.ended.is_some();
    // What has ended and was not waited for takes signals.
    if record.threads.get(target).is_some_and(has_ended) {
        return Some(Action::Return(0));
    }
    Some(match record.signal_thread(target, signal) {
        Ok(()) => Action::Return(0),
        Err(errno) => errno.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::testing::Part;

    /// A part of a guest one of whose threads, which is this one, was made so.
    fn guest() -> (Part, u32) {
        let mut guest = Part::new(|_| ());
        let call = guest.call(libc::SYS_getpid, &[]);
        let record = guest.caller(&call).unwrap();
        let number = record.thread_number().unwrap();
        record.threads.add(Thread {
            number,
            parent: record.process.pid(),
            signal: 0,
            ended: None,
        });
        (guest, number)
    }

    #[test]
    fn such_a_thread_has_a_number_and_a_parent_of_its_own() {
        // Tests run in threads of their own, never in the first.
        let (mut guest, own) = guest();
        let call = guest.call(libc::SYS_getpid, &[]);
        let first = i64::from(std::process::id());
        assert!(matches!(number(&mut guest, &call), Action::Return(n) if n == i64::from(own)));
        assert!(matches!(parent(&mut guest, &call), Action::Return(n) if n == first));
    }

    #[test]
    fn a_process_without_such_threads_is_left_to_the_kernel() {
        let mut guest = Part::new(|_| ());
        let call = guest.call(libc::SYS_wait4, &[u64::MAX, 0, 0]);
        for action in [
            number(&mut guest, &call),
            parent(&mut guest, &call),
            wait4(&mut guest, &call),
            exit(&mut guest, &call),
        ] {
            assert!(matches!(action, Action::Continue));
        }
        assert!(kill(&mut guest, 77, 9).is_none());
    }

    #[test]
    fn a_wait_of_a_thread_waits_until_it_has_ended() {
        let (mut guest, own) = guest();
        // Of processes this one may have some: those of other tests.
        let threads = u64::from(libc::__WCLONE.cast_unsigned());
        let call = guest.call(libc::SYS_wait4, &[u64::MAX, 0, threads]);
        let made = Thread {
            number: 99,
            parent: own,
            signal: 0,
            ended: None,
        };
        guest.caller(&call).unwrap().threads.add(made);
        assert!(matches!(wait4(&mut guest, &call), Action::Later));
        assert_eq!(guest.waits().take(call.process.unwrap()).len(), 1);
        let now = guest.call(libc::SYS_wait4, &[u64::MAX, 0, threads | 1]);
        assert!(matches!(wait4(&mut guest, &now), Action::Return(0)));
        let threads = &mut guest.caller(&call).unwrap().threads;
        threads.will_end(99, 3);
        threads.end(99);
        assert!(matches!(wait4(&mut guest, &call), Action::Return(99)));
        assert!(guest.caller(&call).unwrap().threads.get(99).is_none());
    }

    #[test]
    fn waitid_fills_what_the_kernel_fills() {
        let thread = Thread {
            number: 12,
            parent: 1,
            signal: 17,
            ended: Some(3),
        };
        let info = told_by_waitid(&thread, 3);
        let field = |at: usize| i32::from_ne_bytes(info[at..at + 4].try_into().unwrap());
        assert_eq!([field(0), field(8), field(16), field(24)], [17, 1, 12, 3]);
    }
}
