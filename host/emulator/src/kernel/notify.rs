//! The seccomp user notification ABI, as `linux/seccomp.h` defines it.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// One BPF instruction.
pub use libc::sock_filter as Instruction;

/// A system call that waits for its answer.
#[derive(Clone, Copy)]
pub struct Notification(libc::seccomp_notif);

impl Notification {
    /// One that no kernel has sent.
    #[cfg(test)]
    pub fn of(thread: u32, number: i32, args: [u64; 6]) -> Self {
        Self(libc::seccomp_notif {
            id: 0,
            pid: thread,
            flags: 0,
            data: libc::seccomp_data {
                nr: number,
                arch: 0,
                instruction_pointer: 0,
                args,
            },
        })
    }

    /// Names this call in answers.
    pub fn id(&self) -> u64 {
        self.0.id
    }
    /// The calling thread, in the supervisor's pid namespace.
    pub fn thread(&self) -> u32 {
        self.0.pid
    }
    /// The system call's number.
    pub fn number(&self) -> i32 {
        self.0.data.nr
    }
    /// Its arguments.
    pub fn args(&self) -> &[u64; 6] {
        &self.0.data.args
    }
}

impl std::fmt::Debug for Notification {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let data = &self.0.data;
        write!(f, "call {} {:x?} of {}", data.nr, data.args, self.0.pid)
    }
}

/// `SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP` of `linux/seccomp.h`, which libc does not have.
const SYNC_WAKE_UP: libc::c_ulong = 1;

/// Install `filter` on this thread; from then on it and its children are held to it.
pub fn install(filter: &[Instruction]) -> io::Result<OwnedFd> {
    let length =
        u16::try_from(filter.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let program = libc::sock_fprog {
        len: length,
        filter: filter.as_ptr().cast_mut(),
    };
    // Kernels before 5.19 do not know the second flag.
    let mut result = Err(io::Error::from(io::ErrorKind::Unsupported));
    for flags in [
        libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
        libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
    ] {
        // SAFETY: `program` and the instructions that it points to outlive the call, which copies
        // them.
        let fd = unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_SET_MODE_FILTER,
                flags,
                &raw const program,
            )
        };
        if fd >= 0 {
            let fd = i32::try_from(fd).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
            // SAFETY: the kernel just made this descriptor for us.
            return Ok(unsafe { OwnedFd::from_raw_fd(fd) });
        }
        result = Err(io::Error::last_os_error());
    }
    result
}

/// Wake the supervisor on the caller's CPU, where the kernel can (6.6).
pub fn prefer_same_cpu(listener: BorrowedFd<'_>) {
    // SAFETY: takes its argument by value.
    unsafe {
        libc::ioctl(
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS,
            SYNC_WAKE_UP,
        )
    };
}

/// The next call. `ENOENT` where the caller died meanwhile.
pub fn receive(listener: BorrowedFd<'_>) -> io::Result<Notification> {
    // SAFETY: it holds integers only, for which zero is a value.
    let mut notification: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    let request = libc::SECCOMP_IOCTL_NOTIF_RECV;
    // SAFETY: the kernel wants a zeroed `struct seccomp_notif`, which this is.
    check(unsafe { libc::ioctl(listener.as_raw_fd(), request, &raw mut notification) })?;
    Ok(Notification(notification))
}

/// Whether the caller still waits for the answer: what was read from its memory before is then
/// really its own.
pub fn is_valid(listener: BorrowedFd<'_>, id: u64) -> bool {
    let request = libc::SECCOMP_IOCTL_NOTIF_ID_VALID;
    // SAFETY: the kernel reads eight bytes.
    unsafe { libc::ioctl(listener.as_raw_fd(), request, &raw const id) == 0 }
}

/// Let the kernel carry the call out.
pub fn let_continue(listener: BorrowedFd<'_>, id: u64) -> io::Result<()> {
    send(
        listener,
        &libc::seccomp_notif_resp {
            id,
            val: 0,
            error: 0,
            flags: flag(libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE),
        },
    )
}

/// Answer with a value, or a negative errno.
pub fn answer(listener: BorrowedFd<'_>, id: u64, value: i64) -> io::Result<()> {
    let error = if (-4095..0).contains(&value) {
        i32::try_from(value).unwrap_or(-libc::EIO)
    } else {
        0
    };
    send(
        listener,
        &libc::seccomp_notif_resp {
            id,
            val: if error == 0 { value } else { 0 },
            error,
            flags: 0,
        },
    )
}

fn send(listener: BorrowedFd<'_>, response: &libc::seccomp_notif_resp) -> io::Result<()> {
    let request = libc::SECCOMP_IOCTL_NOTIF_SEND;
    // SAFETY: the kernel reads a `struct seccomp_notif_resp`.
    check(unsafe { libc::ioctl(listener.as_raw_fd(), request, std::ptr::from_ref(response)) })
}

/// Give the caller a copy of `source` as the result of its call, as descriptor `number` where one
/// is given.
pub fn answer_fd(
    listener: BorrowedFd<'_>,
    id: u64,
    source: BorrowedFd<'_>,
    number: Option<u32>,
    close_on_exec: bool,
) -> io::Result<()> {
    let at_number = number.map_or(0, |_| libc::SECCOMP_ADDFD_FLAG_SETFD);
    let add = libc::seccomp_notif_addfd {
        id,
        flags: flag(libc::SECCOMP_ADDFD_FLAG_SEND | at_number),
        srcfd: source.as_raw_fd().cast_unsigned(),
        newfd: number.unwrap_or(0),
        newfd_flags: if close_on_exec {
            libc::O_CLOEXEC.cast_unsigned()
        } else {
            0
        },
    };
    let request = libc::SECCOMP_IOCTL_NOTIF_ADDFD;
    // SAFETY: the kernel reads a `struct seccomp_notif_addfd`.
    check(unsafe { libc::ioctl(listener.as_raw_fd(), request, &raw const add) })
}

/// A flag as the fields of these structures have it.
fn flag(flag: libc::c_ulong) -> u32 {
    u32::try_from(flag).unwrap_or(0)
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
