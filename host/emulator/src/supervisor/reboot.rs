//! Starting the guest again after it asked for a reboot: its first process, which cannot be
//! replaced, is made to execute init once more. Everything else ends, and what the guest had
//! mounted is taken away; what it wrote to its files stays.

use std::os::unix::fs::FileExt as _;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::mount::UnmountFlags;

use crate::guest::access::{Callers, HasEmulators, HasNamespaces};
use crate::guest::state::Guest;
use crate::kernel::enter;
use crate::kernel::stopped::{Stopped, Stopping};
use crate::process::call::{Action, Call, Listener};
use crate::qemu::mapped;

/// The guest is started again within this time, or the run ends.
const WITHIN: Duration = Duration::from_secs(10);

/// Below the end of its stack a function may use this much (System V ABI, AMD64 supplement).
const RED_ZONE: u64 = 128;

/// Start the guest again. What fails, ends the run: there is no way back.
pub fn start_again(
    guest: &mut Guest<'_>,
    listener: &Rc<Listener>,
    call: &Call,
    init: &str,
    envp: &[String],
    deadline: Instant,
) -> Result<(), Errno> {
    let until = deadline.min(Instant::now() + WITHIN);
    let process = guest.init();
    let offset = guest.emulators().call().ok_or(Errno::OPNOTSUPP)?;
    let at = mapped::address(process, offset, "r-x").ok_or(Errno::OPNOTSUPP)?;
    let pid = process.pid();
    guest.end_others();
    let stopping = Stopping::ask(pid, until)?;
    let places = guest.forget_start();
    call.answer(&Action::Return(0));
    let mut stopped = await_stop(stopping, listener)?;
    let namespaces = guest.namespaces();
    let _ = enter::run(&namespaces, || {
        for place in &places {
            // What is gone already, or held by nobody any more, is no matter.
            let flags = UnmountFlags::DETACH | UnmountFlags::NOFOLLOW;
            let _ = rustix::mount::unmount(place.as_str(), flags);
        }
        Ok(())
    });
    let stack = stopped.stack();
    // Its children, its descriptors but the console, its directory, its signals: as at the first
    // start. The supervisor has to answer those of its calls that come to it.
    let mut make = |number, arguments| {
        stopped.call(at, number, arguments, || {
            if listener.has_call()
                && let Ok(Some(call)) = listener.receive()
            {
                call.answer(&Action::Continue);
            }
        })
    };
    reap(&mut make, || guest.end_others(), until)?;
    make(libc::SYS_close_range, [3, u64::from(u32::MAX), 0])?;
    let memory = Strings::write(guest, stack, init, envp)?;
    make(libc::SYS_chdir, [memory.root, 0, 0])?;
    stopped.block_signals(0)?;
    stopped.go_on_with(
        at,
        libc::SYS_execve,
        [memory.path, memory.argv, memory.envp],
    )
}

/// Let the first process wait for all its children, which were killed; `again` ends those that were
/// begun meanwhile, or that the kernel's list of them lacked (`proc_pid_children(5)`).
fn reap(
    make: &mut impl FnMut(i64, [u64; 3]) -> Result<i64, Errno>,
    again: impl Fn(),
    until: Instant,
) -> Result<(), Errno> {
    let none_left = -i64::from(libc::ECHILD);
    let any = u64::MAX;
    let options = u64::from((libc::WNOHANG | libc::__WALL).cast_unsigned());
    while Instant::now() < until {
        match make(libc::SYS_wait4, [any, 0, options])? {
            1.. => {}
            left if left == none_left => return Ok(()),
            // Some are still being taken apart.
            _ => {
                again();
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
    Err(Errno::TIMEDOUT)
}

/// Wait until the thread has stopped. Whoever waits for an answer meanwhile gets one: it has ended,
/// or is the one to be stopped.
fn await_stop(mut stopping: Stopping, listener: &Rc<Listener>) -> Result<Stopped, Errno> {
    loop {
        match stopping.poll()? {
            Ok(stopped) => return Ok(stopped),
            Err(still) => stopping = still,
        }
        if listener.has_call()
            && let Ok(Some(call)) = listener.receive()
        {
            call.answer(&Errno::INTR.into());
        } else {
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}

/// What a new start is given, in memory that nobody needs any more.
struct Strings {
    root: u64,
    path: u64,
    argv: u64,
    envp: u64,
}

impl Strings {
    fn write(guest: &Guest<'_>, stack: u64, init: &str, envp: &[String]) -> Result<Self, Errno> {
        let strings: Vec<&str> = ["/", init]
            .into_iter()
            .chain(envp.iter().map(String::as_str))
            .collect();
        let bytes: usize = strings.iter().map(|string| string.len() + 1).sum();
        // Pointers to the path and to each variable, and two NULLs.
        let pointers = 8 * (strings.len() + 2);
        // Where its stack is, only the guest says.
        let size = RED_ZONE + (bytes + pointers) as u64;
        let base = stack.checked_sub(size).ok_or(Errno::FAULT)? & !15;
        let mut text = Vec::with_capacity(bytes);
        let mut addresses = Vec::new();
        for string in &strings {
            addresses.push(base + (pointers + text.len()) as u64);
            text.extend_from_slice(string.as_bytes());
            text.push(0);
        }
        let [root, path, variables @ ..] = &addresses[..] else {
            return Err(Errno::INVAL);
        };
        let mut table = vec![*path, 0];
        table.extend(variables);
        table.push(0);
        let mut all: Vec<u8> = table.iter().flat_map(|word| word.to_ne_bytes()).collect();
        all.resize(pointers, 0);
        all.extend(text);
        let memory = guest.init().file("mem", OFlags::RDWR)?;
        let written = std::fs::File::from(memory).write_all_at(&all, base);
        written.map_err(|_| Errno::FAULT)?;
        Ok(Self {
            root: *root,
            path: *path,
            argv: base,
            envp: base + 16,
        })
    }
}
