//! Trying what the sandbox needs, in a child that ends at once. Works in a process with many
//! threads.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use crate::kernel::notify;
use crate::kernel::notify::Instruction;

/// What to try; each step includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// New namespaces.
    Namespaces,
    /// A `/proc` of their own.
    Proc,
    /// An overlay whose upper layer is a tmpfs.
    Overlay,
}

/// Try it; the error is that of the system call that was refused.
pub fn sandbox(step: Step) -> io::Result<()> {
    let mut command = Command::new("/bin/true");
    // SAFETY: the closure makes system calls only; it allocates nothing and takes no lock.
    run(unsafe { command.pre_exec(move || enter(step)) })
}

/// Try to install a filter and to get its listener.
pub fn listener(filter: Vec<Instruction>) -> io::Result<()> {
    let install = move || {
        rustix::thread::set_no_new_privs(true)?;
        notify::install(&filter).map(drop)
    };
    let mut command = Command::new("/bin/true");
    // SAFETY: as above; the filter was built before, and it lets everything pass that follows.
    run(unsafe { command.pre_exec(install) })
}

fn run(command: &mut Command) -> io::Result<()> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = command.spawn()?;
    child.wait().map(drop)
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

fn mount(source: &CStr, target: &CStr, kind: &CStr, options: &CStr) -> io::Result<()> {
    // SAFETY: four strings that outlive the call.
    check(unsafe {
        libc::mount(
            source.as_ptr(),
            target.as_ptr(),
            kind.as_ptr(),
            0,
            options.as_ptr().cast(),
        )
    })
}

fn enter(step: Step) -> io::Result<()> {
    // SAFETY: these take their arguments by value.
    let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    // SAFETY: as above.
    check(unsafe { libc::unshare(crate::kernel::process::GUEST_NAMESPACES) })?;
    write_map(c"/proc/self/setgroups", b"deny")?;
    write_map(c"/proc/self/uid_map", &map_line(uid))?;
    write_map(c"/proc/self/gid_map", &map_line(gid))?;
    if step < Step::Proc {
        return Ok(());
    }
    // SAFETY: two strings and a NULL, which these flags allow.
    check(unsafe {
        libc::mount(
            c"none".as_ptr(),
            c"/".as_ptr(),
            std::ptr::null(),
            libc::MS_REC | libc::MS_PRIVATE,
            std::ptr::null(),
        )
    })?;
    // The new pid namespace begins with the first child, so a /proc is mounted there; that it may
    // be is decided the same way here.
    if step < Step::Overlay {
        return in_child(|| mount(c"proc", c"/proc", c"proc", c""));
    }
    mount(c"none", c"/tmp", c"tmpfs", c"size=1m")?;
    for directory in [c"/tmp/lower", c"/tmp/upper", c"/tmp/work", c"/tmp/root"] {
        // SAFETY: a string that outlives the call.
        check(unsafe { libc::mkdir(directory.as_ptr(), 0o755) })?;
    }
    mount(
        c"none",
        c"/tmp/root",
        c"overlay",
        c"lowerdir=/tmp/lower,upperdir=/tmp/upper,workdir=/tmp/work",
    )
}

fn in_child(work: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    match crate::kernel::process::fork_into(0)? {
        None => crate::kernel::process::leave(
            work()
                .err()
                .and_then(|error| error.raw_os_error())
                .unwrap_or(0),
        ),
        Some(child) => {
            match rustix::process::waitpid(Some(child), rustix::process::WaitOptions::empty()) {
                Ok(Some((_, status))) if status.exit_status() == Some(0) => Ok(()),
                Ok(Some((_, status))) => Err(io::Error::from_raw_os_error(
                    status.exit_status().unwrap_or(libc::EIO),
                )),
                _ => Err(io::Error::from_raw_os_error(libc::EIO)),
            }
        }
    }
}

fn write_map(path: &CStr, text: &[u8]) -> io::Result<()> {
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    // SAFETY: a string that outlives the call.
    let fd = unsafe { libc::open(path.as_ptr(), libc::O_WRONLY) };
    // SAFETY: the buffer has the length given; the descriptor is closed once.
    let written = unsafe { libc::write(fd, text.as_ptr().cast(), text.len()) };
    let result = if written < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    };
    // SAFETY: as above.
    unsafe { libc::close(fd) };
    result
}

/// `0 ID 1`, without allocating.
fn map_line(id: u32) -> [u8; 16] {
    let mut line = [0; 16];
    line[..2].copy_from_slice(b"0 ");
    let mut digits = [0; 10];
    let (mut left, mut count) = (id, 0);
    loop {
        digits[count] = b'0' + (left % 10) as u8;
        left /= 10;
        count += 1;
        if left == 0 {
            break;
        }
    }
    for i in 0..count {
        line[2 + i] = digits[count - 1 - i];
    }
    line[2 + count] = b' ';
    line[3 + count] = b'1';
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_name_one_id() {
        assert_eq!(&map_line(0)[..5], b"0 0 1");
        assert_eq!(&map_line(65534)[..9], b"0 65534 1");
        assert_eq!(&map_line(u32::MAX)[..14], b"0 4294967295 1");
    }
}
