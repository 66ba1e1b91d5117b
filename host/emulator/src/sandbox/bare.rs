//! A supervisor that looks at nothing: it receives a call, checks that its caller still waits, and
//! lets it go on. That is the least that supervision costs, beside which `make bench` puts what it
//! does cost.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::mpsc;
use std::thread;

use rustix::io::Errno;

use crate::kernel::notify;
use crate::sandbox::filter;

/// The call that says that the work is done. It is answered, not made.
const DONE: i64 = libc::SYS_sync;

/// Do `work` in a thread whose opens are supervised so, with those of all programs that it starts.
pub fn supervised<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    let (send, listener) = mpsc::channel();
    thread::scope(|scope| {
        let worker = scope.spawn(move || {
            rustix::thread::set_no_new_privs(true)?;
            let made = notify::install(&filter::notify_only(&[libc::SYS_openat, DONE]))?;
            notify::prefer_same_cpu(made.as_fd());
            let _done = Done;
            send.send(made).map_err(|_| io::ErrorKind::BrokenPipe)?;
            io::Result::Ok(work())
        });
        if let Ok(listener) = listener.recv() {
            let_all_go_on(&listener)?;
        }
        worker
            .join()
            .unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
    })
}

/// Says so also where the work panics.
struct Done;

impl Drop for Done {
    fn drop(&mut self) {
        rustix::fs::sync();
    }
}

fn let_all_go_on(listener: &OwnedFd) -> io::Result<()> {
    let listener = listener.as_fd();
    loop {
        let call = match notify::receive(listener) {
            Ok(call) => call,
            // Its caller was killed, or a signal came.
            Err(error) if is_passing(&error) => continue,
            Err(error) => return Err(error),
        };
        if i64::from(call.number()) == DONE {
            return notify::answer(listener, call.id(), 0);
        }
        if notify::is_valid(listener, call.id()) {
            match notify::let_continue(listener, call.id()) {
                Err(error) if !is_passing(&error) => return Err(error),
                _ => {}
            }
        }
    }
}

fn is_passing(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    errno.is_some_and(|errno| matches!(errno, Errno::NOENT | Errno::INTR))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_supervised_by_nobody_does_what_it_would_do() {
        let told = supervised(|| {
            std::process::Command::new("cat")
                .arg("/proc/self/stat")
                .output()
        });
        let told = told.unwrap().unwrap();
        assert!(told.stdout.ends_with(b"\n"), "{told:?}");
    }
}
