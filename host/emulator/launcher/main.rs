//! Stands in for every program that the guest executes: takes the real command line from the
//! supervisor and executes it.
//!
//! The supervisor lets the guest's `execve` run this program and answers its one `open` with a file
//! that holds what to execute: two native-endian `u64` (number of arguments, number of environment
//! strings), then NUL-terminated strings: the program, the arguments, the environment. Where there
//! are no arguments, the second number is the status to end with, and the rest is text to print. No
//! allocator, no libc, nothing but six system calls.
#![no_std]
#![no_main]

use core::arch::{asm, global_asm};

const WRITE: usize = 1;
const OPEN: usize = 2;
const LSEEK: usize = 8;
const MMAP: usize = 9;
const EXECVE: usize = 59;
const EXIT_GROUP: usize = 231;

const STDOUT: usize = 1;
const SEEK_END: usize = 2;
const O_CLOEXEC: usize = 0o2_000_000;
const PROT_READ_WRITE: usize = 3;
const MAP_PRIVATE: usize = 2;
const MAP_ANONYMOUS: usize = 0x20;

global_asm!(".globl _start", "_start:", "and rsp, -16", "call {launch}", launch = sym launch);

/// As in a shell: what was found cannot be executed.
const CANNOT_EXECUTE: usize = 126;

/// Must be the path that the supervisor waits for.
const REQUEST: &core::ffi::CStr = c"/.rookery/exec";

extern "C" fn launch() -> ! {
    let status = run().unwrap_or(CANNOT_EXECUTE);
    // SAFETY: ends the process.
    unsafe { syscall(EXIT_GROUP, [status, 0, 0, 0, 0, 0]) };
    loop {
        core::hint::spin_loop();
    }
}

/// The exit status, where the supervisor says that nothing is to be executed.
fn run() -> Option<usize> {
    // SAFETY: the file's layout is the supervisor's promise, which alone can answer this path; it
    // is mapped privately and writable memory for the pointers is mapped next, large enough for
    // every pointer and two NULLs.
    unsafe {
        let fd = checked(syscall(
            OPEN,
            [REQUEST.as_ptr() as usize, O_CLOEXEC, 0, 0, 0, 0],
        ))?;
        let size = checked(syscall(LSEEK, [fd, 0, SEEK_END, 0, 0, 0]))?;
        let data = checked(syscall(
            MMAP,
            [0, size, PROT_READ_WRITE, MAP_PRIVATE, fd, 0],
        ))?;
        let header = data as *const usize;
        let (arguments, variables) = (header.read(), header.add(1).read());
        if arguments == 0 {
            let text = 2 * size_of::<usize>();
            if size > text {
                // Who does not read it does not miss it.
                syscall(WRITE, [STDOUT, data + text, size - text, 0, 0, 0]);
            }
            return Some(variables);
        }
        let bytes = (arguments + variables + 2) * size_of::<usize>();
        let anonymous = MAP_PRIVATE | MAP_ANONYMOUS;
        let area = checked(syscall(
            MMAP,
            [0, bytes, PROT_READ_WRITE, anonymous, usize::MAX, 0],
        ))?;
        let (argv, envp) = (area as *mut usize, (area as *mut usize).add(arguments + 1));
        let program = data + 16;
        let mut at = after_string(program);
        for i in 0..arguments {
            argv.add(i).write(at);
            at = after_string(at);
        }
        for i in 0..variables {
            envp.add(i).write(at);
            at = after_string(at);
        }
        syscall(EXECVE, [program, argv as usize, envp as usize, 0, 0, 0]);
    }
    None
}

/// Where the next string begins.
unsafe fn after_string(mut at: usize) -> usize {
    // SAFETY: the caller promises that a NUL follows.
    while unsafe { (at as *const u8).read() } != 0 {
        at += 1;
    }
    at + 1
}

/// The result of a system call that did not fail.
fn checked(result: usize) -> Option<usize> {
    (result <= usize::MAX - 4096).then_some(result)
}

unsafe fn syscall(number: usize, arguments: [usize; 6]) -> usize {
    let result;
    // SAFETY: the x86-64 Linux convention; the kernel changes rax, rcx and r11 only.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") arguments[0],
            in("rsi") arguments[1],
            in("rdx") arguments[2],
            in("r10") arguments[3],
            in("r8") arguments[4],
            in("r9") arguments[5],
            out("rcx") _,
            out("r11") _,
        );
    }
    result
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
