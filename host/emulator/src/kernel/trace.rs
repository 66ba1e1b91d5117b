//! Threads that stop at the entry and at the return of each of their system calls (`ptrace(2)`).
//! All of this is for one process with one thread, which traces and does nothing else.
#![allow(unsafe_code)]

use std::os::fd::{FromRawFd, OwnedFd};

use rustix::io::Errno;

/// Threads and processes that a traced one begins are traced, too.
const OPTIONS: libc::c_int = libc::PTRACE_O_TRACESYSGOOD
    | libc::PTRACE_O_TRACECLONE
    | libc::PTRACE_O_TRACEFORK
    | libc::PTRACE_O_TRACEVFORK;

/// Why a thread stopped, or that it will not any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// It enters a call.
    Enters { number: i64, args: [u64; 6] },
    /// A call returns, or is about to be made again.
    Returns { result: i64 },
    /// It is to get a signal.
    Signal(i32),
    /// It is stopped as a shell stops a job, and stays so.
    Job,
    /// It was met, or began another.
    Met,
    /// It has ended.
    Ended,
}

/// Trace a thread: it stops as soon as it can.
pub fn seize(thread: i32) -> Result<(), Errno> {
    request(libc::PTRACE_SEIZE, thread, 0, OPTIONS as usize)?;
    request(libc::PTRACE_INTERRUPT, thread, 0, 0).map(drop)
}

/// Let a stopped thread go on to its next stop, with a signal or 0.
pub fn go_on(thread: i32, signal: i32) -> Result<(), Errno> {
    let signal = usize::try_from(signal).unwrap_or(0);
    request(libc::PTRACE_SYSCALL, thread, 0, signal).map(drop)
}

/// Let a thread that is stopped as a job stay so, until something makes it go on.
pub fn stay(thread: i32) -> Result<(), Errno> {
    request(libc::PTRACE_LISTEN, thread, 0, 0).map(drop)
}

/// Let a stopped thread go, and trace it no longer; with a signal or 0.
pub fn release(thread: i32, signal: i32) -> Result<(), Errno> {
    let signal = usize::try_from(signal).unwrap_or(0);
    request(libc::PTRACE_DETACH, thread, 0, signal).map(drop)
}

/// Ask a traced thread to stop once more.
pub fn interrupt(thread: i32) -> Result<(), Errno> {
    request(libc::PTRACE_INTERRUPT, thread, 0, 0).map(drop)
}

/// The next thread that stopped or ended, of those that have.
pub fn next() -> Option<(i32, Stop)> {
    let mut status = 0;
    // SAFETY: the kernel writes an integer.
    let thread = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL | libc::WNOHANG) };
    if thread <= 0 {
        return None;
    }
    if !libc::WIFSTOPPED(status) {
        return Some((thread, Stop::Ended));
    }
    let (signal, event) = (libc::WSTOPSIG(status), status >> 16);
    let is_job = matches!(
        signal,
        libc::SIGSTOP | libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU
    );
    Some((
        thread,
        match event {
            0 if signal == libc::SIGTRAP | 0x80 => call(thread).unwrap_or(Stop::Met),
            0 => Stop::Signal(signal),
            libc::PTRACE_EVENT_STOP if is_job => Stop::Job,
            _ => Stop::Met,
        },
    ))
}

/// The call at whose entry or return a thread stands.
fn call(thread: i32) -> Option<Stop> {
    // SAFETY: it holds integers only, for which zero is a value.
    let mut info: libc::ptrace_syscall_info = unsafe { std::mem::zeroed() };
    let place = (&raw mut info).addr();
    request(
        libc::PTRACE_GET_SYSCALL_INFO,
        thread,
        size_of_val(&info),
        place,
    )
    .ok()?;
    match info.op {
        libc::PTRACE_SYSCALL_INFO_ENTRY => {
            // SAFETY: by its kind, the kernel wrote this part.
            let entry = unsafe { info.u.entry };
            let number = entry.nr.cast_signed();
            Some(Stop::Enters {
                number,
                args: entry.args,
            })
        }
        libc::PTRACE_SYSCALL_INFO_EXIT => {
            // SAFETY: by its kind, the kernel wrote this part.
            let exit = unsafe { info.u.exit };
            Some(Stop::Returns { result: exit.sval })
        }
        _ => None,
    }
}

/// A descriptor that is readable when a thread may have stopped. From now on this process learns of
/// it by nothing else.
pub fn stops() -> Result<OwnedFd, Errno> {
    // SAFETY: an initialised set lives through all calls, and the kernel gives a new descriptor.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
        let fd = libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
        if fd < 0 {
            return Err(last_error());
        }
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// `address` and `data` are numbers, or where the kernel writes.
fn request(what: libc::c_uint, thread: i32, address: usize, data: usize) -> Result<i64, Errno> {
    // SAFETY: the one caller that passes the address of something passes that of a live structure,
    // and its size.
    match unsafe { libc::ptrace(what, thread, address, data) } {
        -1 => Err(last_error()),
        value => Ok(value),
    }
}

fn last_error() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}
