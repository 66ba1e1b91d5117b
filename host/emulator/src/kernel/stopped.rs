//! A thread that is stopped and made to do system calls (`ptrace(2)`).
#![allow(unsafe_code)]

use std::io;
use std::time::{Duration, Instant};

use rustix::io::Errno;

/// How often it is looked whether a thread has stopped.
const POLL: Duration = Duration::from_micros(200);

/// The first thread of a child process, which does nothing until this is dropped.
pub struct Stopped {
    pid: i32,
    registers: libc::user_regs_struct,
    until: Instant,
}

/// A thread that will stop as soon as it returns from the call that it makes.
pub struct Stopping {
    pid: i32,
    until: Instant,
}

impl Stopping {
    /// Ask a child to stop. Nobody waits for it longer than `until`.
    pub fn ask(pid: u32, until: Instant) -> Result<Self, Errno> {
        let pid = i32::try_from(pid).map_err(|_| Errno::SRCH)?;
        trace(libc::PTRACE_SEIZE, pid, 0)?;
        let stopping = Self { pid, until };
        trace(libc::PTRACE_INTERRUPT, pid, 0)?;
        Ok(stopping)
    }

    /// Whether it has stopped; else it is to be asked again.
    pub fn poll(self) -> Result<Result<Stopped, Self>, Errno> {
        if stop(self.pid)?.is_none() {
            let late = Instant::now() > self.until;
            return if late {
                Err(Errno::TIMEDOUT)
            } else {
                Ok(Err(self))
            };
        }
        let registers = registers(self.pid)?;
        let stopped = Stopped {
            pid: self.pid,
            registers,
            until: self.until,
        };
        // Those that come meanwhile are no stops of the calls that it will make.
        stopped.block_signals(u64::MAX)?;
        Ok(Ok(stopped))
    }
}

impl Stopped {
    /// Where its stack ends: below is memory that nobody needs.
    pub fn stack(&self) -> u64 {
        self.registers.rsp
    }

    /// Block these signals, one bit each, and no others.
    pub fn block_signals(&self, signals: u64) -> Result<(), Errno> {
        let (size, place) = (size_of_val(&signals), &raw const signals);
        // SAFETY: the kernel reads eight bytes, a whole set of signals.
        let result = unsafe { libc::ptrace(libc::PTRACE_SETSIGMASK, self.pid, size, place) };
        check(result)
    }

    /// Let it make a system call by the instruction at `at`, and stop again; `meanwhile` is done
    /// until it has.
    pub fn call(
        &mut self,
        at: u64,
        number: i64,
        arguments: [u64; 3],
        mut meanwhile: impl FnMut(),
    ) -> Result<i64, Errno> {
        self.prepare(at, number, arguments)?;
        trace(libc::PTRACE_SINGLESTEP, self.pid, 0)?;
        loop {
            let stop = stop(self.pid)?;
            if matches!(stop, Some(Stop::Step)) {
                break;
            }
            // Also of one that only ever stops: at an address where nothing is, it faults for ever.
            if Instant::now() > self.until {
                return Err(Errno::TIMEDOUT);
            }
            if stop.is_some() {
                // That of the request to stop, or of a signal that came before; nothing was done.
                trace(libc::PTRACE_SINGLESTEP, self.pid, 0)?;
            } else {
                meanwhile();
                std::thread::sleep(POLL);
            }
        }
        Ok(registers(self.pid)?.rax.cast_signed())
    }

    /// Let it go on with a system call by the instruction at `at`.
    pub fn go_on_with(mut self, at: u64, number: i64, arguments: [u64; 3]) -> Result<(), Errno> {
        self.prepare(at, number, arguments)
    }

    fn prepare(&mut self, at: u64, number: i64, arguments: [u64; 3]) -> Result<(), Errno> {
        let registers = &mut self.registers;
        registers.rip = at;
        registers.rax = number.cast_unsigned();
        // It is in no call that might be made again.
        registers.orig_rax = u64::MAX;
        [registers.rdi, registers.rsi, registers.rdx] = arguments;
        let place = &raw const *registers;
        trace(libc::PTRACE_SETREGS, self.pid, place.addr())
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = trace(libc::PTRACE_DETACH, self.pid, 0);
    }
}

/// `data` is the address of what the request reads or writes, where it does.
fn trace(request: libc::c_uint, pid: i32, data: usize) -> Result<(), Errno> {
    // SAFETY: every caller passes the address of a live structure of the kind that its request
    // wants, or 0 to one that wants none.
    check(unsafe { libc::ptrace(request, pid, 0_usize, data) })
}

fn check(result: libc::c_long) -> Result<(), Errno> {
    match result {
        -1 => Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)),
        _ => Ok(()),
    }
}

fn registers(pid: i32) -> Result<libc::user_regs_struct, Errno> {
    // SAFETY: it holds integers only, for which zero is a value.
    let mut registers: libc::user_regs_struct = unsafe { std::mem::zeroed() };
    trace(libc::PTRACE_GETREGS, pid, (&raw mut registers).addr())?;
    Ok(registers)
}

/// Why a thread has stopped.
enum Stop {
    /// One instruction was executed.
    Step,
    Other,
}

fn stop(pid: i32) -> Result<Option<Stop>, Errno> {
    let mut status = 0;
    // SAFETY: the kernel writes an integer.
    let found = unsafe { libc::waitpid(pid, &raw mut status, libc::__WALL | libc::WNOHANG) };
    match found {
        0 => Ok(None),
        found if found == pid && libc::WIFSTOPPED(status) => {
            let event = status >> 16;
            let step = event == 0 && libc::WSTOPSIG(status) == libc::SIGTRAP;
            Ok(Some(if step { Stop::Step } else { Stop::Other }))
        }
        _ => Err(Errno::SRCH),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_mins(1)
    }

    #[test]
    fn a_thread_makes_the_call_that_it_is_told_to() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        // `proc_pid_syscall(5)`
        let sleeps = format!("/proc/{}/syscall", child.id());
        let number = libc::SYS_clock_nanosleep.to_string();
        while !std::fs::read_to_string(&sleeps)
            .unwrap()
            .starts_with(&number)
        {
            std::thread::sleep(POLL);
        }
        let mut stopping = Stopping::ask(child.id(), soon()).unwrap();
        let mut stopped = loop {
            match stopping.poll().unwrap() {
                Ok(stopped) => break stopped,
                Err(still) => stopping = still,
            }
        };
        // Behind that call's own instruction.
        let at = stopped.registers.rip - 2;
        let pid = stopped.call(at, libc::SYS_getpid, [0; 3], || ()).unwrap();
        assert_eq!(pid, i64::from(child.id()));
        stopped.block_signals(0).unwrap();
        stopped
            .go_on_with(at, libc::SYS_exit_group, [7, 0, 0])
            .unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(7));
    }

    #[test]
    fn one_that_can_execute_nothing_is_given_up() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let until = Instant::now() + Duration::from_millis(300);
        let mut stopping = Stopping::ask(child.id(), until).unwrap();
        let mut stopped = loop {
            match stopping.poll().unwrap() {
                Ok(stopped) => break stopped,
                Err(still) => stopping = still,
            }
        };
        let nowhere = 8;
        let called = stopped.call(nowhere, libc::SYS_getpid, [0; 3], || ());
        assert!(called.is_err());
        drop(stopped);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn nobody_is_stopped_who_is_gone() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        assert_eq!(Stopping::ask(child.id(), soon()).err(), Some(Errno::SRCH));
    }
}
