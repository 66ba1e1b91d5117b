//! Making and joining processes and namespaces.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use rustix::io::Errno;
use rustix::process::Pid;

/// The namespaces of a guest.
pub const GUEST_NAMESPACES: i32 = libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC;

/// Fork into new `namespaces` (0: none); gives the child's pid to the parent, `None` to the child.
///
/// The caller must have a single thread: the child may then do whatever the parent could.
pub fn fork_into(namespaces: i32) -> io::Result<Option<Pid>> {
    let flags = i64::from(namespaces | libc::SIGCHLD);
    // SAFETY: without CLONE_VM and a stack of its own the child gets a copy of the address space
    // and returns like fork; the supervisor has a single thread, so no lock is held by a thread
    // that the copy lacks.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0_i64, 0_i64, 0_i64, 0_i64) };
    if pid < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(i32::try_from(pid).ok().and_then(Pid::from_raw))
}

/// Leave at once, without running destructors or exit handlers that belong to the parent.
pub fn leave(status: i32) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(status) }
}

/// Replace this process by a program; returns only an error.
pub fn execute(path: &CStr, argv: &[CString], envp: &[CString]) -> io::Error {
    let pointers = |strings: &[CString]| -> Vec<*const c_char> {
        strings
            .iter()
            .map(|s| s.as_ptr())
            .chain(std::iter::once(std::ptr::null()))
            .collect()
    };
    let (argv, envp) = (pointers(argv), pointers(envp));
    // SAFETY: both arrays end with NULL and live until the call.
    unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
    io::Error::last_os_error()
}

/// Join the namespaces `kinds` of the process behind `pidfd`.
pub fn join(pidfd: BorrowedFd<'_>, kinds: i32) -> io::Result<()> {
    // SAFETY: takes its arguments by value.
    if unsafe { libc::setns(pidfd.as_raw_fd(), kinds) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// The user with whose rights this thread opens files.
pub fn file_user() -> u32 {
    // SAFETY: takes its argument by value; no user has this number, so nothing is set.
    unsafe { libc::setfsuid(u32::MAX) }.cast_unsigned()
}

/// Open files from now on with the rights of this user and group (`setfsuid(2)`). Neither call
/// tells whether it worked: [`file_user`] does.
pub fn set_file_user(id: u32) {
    // SAFETY: both take their argument by value and act on this thread only.
    unsafe {
        libc::setfsgid(id);
        libc::setfsuid(id);
    }
}

/// Leave the current network namespace for a new one.
pub fn new_network() -> io::Result<()> {
    // SAFETY: takes its argument by value.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// The limit of a process, soft and hard.
pub fn limit(pid: u32, resource: u32) -> rustix::io::Result<[u64; 2]> {
    let mut limit = [0_u64; 2];
    let unchanged = std::ptr::null::<u64>();
    // SAFETY: `limit` is a `struct rlimit64`, which is two words; there is no new one.
    let got = unsafe {
        libc::syscall(
            libc::SYS_prlimit64,
            pid,
            resource,
            unchanged,
            limit.as_mut_ptr(),
        )
    };
    match got {
        0 => Ok(limit),
        _ => Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)),
    }
}

/// Whether the process whose directory of `/proc` this is has still its number: nobody has waited
/// for its end (`pidfd_send_signal(2)`, without a signal).
pub fn keeps_number(directory: BorrowedFd<'_>) -> bool {
    let (none, no_information, no_flags) = (0, std::ptr::null::<libc::siginfo_t>(), 0);
    // SAFETY: takes its arguments by value; there is no information to read.
    let sent = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            directory.as_raw_fd(),
            none,
            no_information,
            no_flags,
        )
    };
    // Another user's process may not be sent a signal, but it is there.
    sent == 0 || io::Error::last_os_error().raw_os_error() == Some(libc::EPERM)
}

/// Send a signal to a thread of a process, by their numbers (`tgkill(2)`).
pub fn signal_thread(process: u32, thread: u32, signal: i32) -> rustix::io::Result<()> {
    // SAFETY: takes its arguments by value.
    match unsafe { libc::syscall(libc::SYS_tgkill, process, thread, signal) } {
        0 => Ok(()),
        _ => Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)),
    }
}

/// End this process after `limit` whatever it does or waits for. Its children do not inherit that.
pub fn end_after(limit: std::time::Duration) -> io::Result<()> {
    let mut timer = libc::itimerval {
        it_interval: libc::timeval {
            tv_sec: 0,
            tv_usec: 0,
        },
        it_value: libc::timeval {
            tv_sec: limit.as_secs().try_into().unwrap_or(i64::MAX),
            tv_usec: limit.subsec_micros().into(),
        },
    };
    if limit.is_zero() {
        timer.it_value.tv_usec = 1;
    }
    // SAFETY: the default action is no code of ours; the set and the timer are valid and outlive
    // the calls, which copy them.
    let result = unsafe {
        libc::signal(libc::SIGALRM, libc::SIG_DFL);
        let mut alarm: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut alarm);
        libc::sigaddset(&raw mut alarm, libc::SIGALRM);
        libc::sigprocmask(libc::SIG_UNBLOCK, &raw const alarm, std::ptr::null_mut());
        libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut())
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Close every descriptor from 3 up except those in `keep`, in a child that will never return to
/// the code that owns them.
pub fn close_all_except(keep: &[RawFd]) {
    let mut keep: Vec<u32> = keep
        .iter()
        .filter_map(|fd| u32::try_from(*fd).ok())
        .filter(|fd| *fd >= 3)
        .collect();
    keep.sort_unstable();
    let mut first = 3_u32;
    for fd in keep {
        if fd > first {
            // SAFETY: the child that calls this owns no descriptor outside `keep`; the parent's are
            // copies.
            unsafe { libc::syscall(libc::SYS_close_range, first, fd - 1, 0) };
        }
        first = fd + 1;
    }
    // SAFETY: as above.
    unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) };
}

/// `SIGCHLD` as a program expects it, so that it learns how its children end, and no signal
/// blocked.
pub fn usual_signals() {
    // SAFETY: installs no handler.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
    unblock_signals();
}

/// Default actions for all signals, and none blocked: what a program expects that the kernel
/// starts.
pub fn reset_signals() {
    for signal in 1..=64 {
        // SAFETY: installs no handler; KILL, STOP and the C library's own signals are refused
        // without harm.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    unblock_signals();
}

fn unblock_signals() {
    // SAFETY: an empty set is valid for SIG_SETMASK.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}
