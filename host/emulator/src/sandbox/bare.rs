//! A system call that is received, checked and let go on, and nothing else: the least that
//! supervision costs, beside which `make bench` puts what it does cost.

use std::io;
use std::os::fd::AsFd as _;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::kernel::notify;
use crate::sandbox::filter;

/// A call that nothing in this program makes.
const CALL: i64 = libc::SYS_getpgrp;
const TURNS: usize = 15;
const CALLS: u32 = 2_000;

/// What one such call takes its caller: the median of several turns.
pub fn call() -> io::Result<Duration> {
    let (send, listener) = mpsc::channel();
    let caller = std::thread::spawn(move || -> io::Result<Duration> {
        rustix::thread::set_no_new_privs(true)?;
        let made = notify::install(&filter::notify_only(CALL))?;
        notify::prefer_same_cpu(made.as_fd());
        if send.send(made).is_err() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let mut turns = [Duration::ZERO; TURNS];
        for turn in &mut turns {
            let begun = Instant::now();
            for _ in 0..CALLS {
                let _ = rustix::process::getpgrp();
            }
            *turn = begun.elapsed() / CALLS;
        }
        turns.sort_unstable();
        Ok(turns[TURNS / 2])
    });
    if let Ok(listener) = listener.recv() {
        for _ in 0..TURNS * CALLS as usize {
            let call = notify::receive(listener.as_fd())?;
            if notify::is_valid(listener.as_fd(), call.id()) {
                notify::let_continue(listener.as_fd(), call.id())?;
            }
        }
    }
    let measured = caller.join();
    measured.unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
}
