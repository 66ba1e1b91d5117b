//! The seccomp user notification ABI, as `linux/seccomp.h` defines it.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// A system call that waits for its answer (`struct seccomp_notif`).
#[repr(C)]
#[derive(Clone, Copy, Default, Debug)]
pub struct Notification {
    /// Names this call in answers.
    pub id: u64,
    /// The calling thread, in the supervisor's pid namespace.
    pub pid: u32,
    flags: u32,
    /// The system call's number.
    pub number: i32,
    arch: u32,
    instruction_pointer: u64,
    /// Its arguments.
    pub args: [u64; 6],
}

#[repr(C)]
struct Response {
    id: u64,
    value: i64,
    error: i32,
    flags: u32,
}

#[repr(C)]
struct AddFd {
    id: u64,
    flags: u32,
    source: u32,
    target: u32,
    target_flags: u32,
}

/// One BPF instruction (`struct sock_filter`).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    pub code: u16,
    pub jump_true: u8,
    pub jump_false: u8,
    pub value: u32,
}

#[repr(C)]
struct Program {
    length: u16,
    instructions: *const Instruction,
}

const RECV: u64 = 0xC050_2100;
const SEND: u64 = 0xC018_2101;
const ID_VALID: u64 = 0x4008_2102;
const ADDFD: u64 = 0x4018_2103;
const SET_FLAGS: u64 = 0x4008_2104;

const FLAG_CONTINUE: u32 = 1;
const ADDFD_SETFD: u32 = 1;
const ADDFD_SEND: u32 = 2;
const SYNC_WAKE_UP: u64 = 1;

const FILTER_NEW_LISTENER: u64 = 8;
const FILTER_WAIT_KILLABLE_RECV: u64 = 32;

/// Install `filter` on this thread; from then on it and its children are held to it.
pub fn install(filter: &[Instruction]) -> io::Result<OwnedFd> {
    let length =
        u16::try_from(filter.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let program = Program {
        length,
        instructions: filter.as_ptr(),
    };
    // Kernels before 5.19 do not know the second flag.
    let mut result = Err(io::Error::from(io::ErrorKind::Unsupported));
    for flags in [
        FILTER_NEW_LISTENER | FILTER_WAIT_KILLABLE_RECV,
        FILTER_NEW_LISTENER,
    ] {
        // SAFETY: `program` and the instructions that it points to outlive the call, which copies them.
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
    unsafe { libc::ioctl(listener.as_raw_fd(), SET_FLAGS, SYNC_WAKE_UP) };
}

/// The next call. `ENOENT` where the caller died meanwhile.
pub fn receive(listener: BorrowedFd<'_>) -> io::Result<Notification> {
    let mut notification = Notification::default();
    // SAFETY: the kernel wants a zeroed `struct seccomp_notif`, which this is, of 80 bytes.
    check(unsafe { libc::ioctl(listener.as_raw_fd(), RECV, &raw mut notification) })?;
    Ok(notification)
}

/// Whether the caller still waits for the answer: what was read from its memory before is then really its own.
pub fn is_valid(listener: BorrowedFd<'_>, id: u64) -> bool {
    // SAFETY: the kernel reads eight bytes.
    unsafe { libc::ioctl(listener.as_raw_fd(), ID_VALID, &raw const id) == 0 }
}

/// Let the kernel carry the call out.
pub fn let_continue(listener: BorrowedFd<'_>, id: u64) -> io::Result<()> {
    send(
        listener,
        &Response {
            id,
            value: 0,
            error: 0,
            flags: FLAG_CONTINUE,
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
        &Response {
            id,
            value: if error == 0 { value } else { 0 },
            error,
            flags: 0,
        },
    )
}

fn send(listener: BorrowedFd<'_>, response: &Response) -> io::Result<()> {
    // SAFETY: the kernel reads a `struct seccomp_notif_resp` of 24 bytes.
    check(unsafe { libc::ioctl(listener.as_raw_fd(), SEND, std::ptr::from_ref(response)) })
}

/// Give the caller a copy of `source` as the result of its call, as descriptor `number` where one is given.
pub fn answer_fd(
    listener: BorrowedFd<'_>,
    id: u64,
    source: BorrowedFd<'_>,
    number: Option<u32>,
    close_on_exec: bool,
) -> io::Result<()> {
    let add = AddFd {
        id,
        flags: if number.is_some() {
            ADDFD_SEND | ADDFD_SETFD
        } else {
            ADDFD_SEND
        },
        source: source.as_raw_fd().cast_unsigned(),
        target: number.unwrap_or(0),
        target_flags: if close_on_exec {
            libc::O_CLOEXEC.cast_unsigned()
        } else {
            0
        },
    };
    // SAFETY: the kernel reads a `struct seccomp_notif_addfd` of 24 bytes.
    check(unsafe { libc::ioctl(listener.as_raw_fd(), ADDFD, &raw const add) })
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
