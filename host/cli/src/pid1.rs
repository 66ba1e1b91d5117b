//! Being the first process of a container, which the kernel treats unlike any other: signals whose
//! default action is to end it do nothing, orphans become its children, and everything dies with
//! it.
//!
//! So the work is done in a child, which is a process like any other. This one hands signals on and
//! reaps orphans; when the child has ended, it stops the runs that go on and waits until they have
//! written their results.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook::low_level::siginfo::Cause;

/// Runs get this long to end in good order. Penguin needs the most; a container engine that is in a
/// hurry kills earlier.
const FAREWELL: Duration = Duration::from_secs(100);
/// How often it is looked for orphans that are new.
const POLL: Duration = Duration::from_millis(20);
/// Signals that are handed on.
const HANDED_ON: [i32; 6] = [SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2];
/// Of these, the second one ends everything at once.
const FINAL: [i32; 4] = [SIGTERM, SIGINT, SIGHUP, SIGQUIT];

type Signals = SignalsInfo<WithOrigin>;

/// Whether this process is the first one.
pub fn is_first() -> bool {
    std::process::id() == 1
}

/// Do what the command line says in a child; gives what came of it.
pub fn run() -> anyhow::Result<ExitCode> {
    let mut signals =
        Signals::new(HANDED_ON.into_iter().chain([SIGCHLD])).context("cannot take signals")?;
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_else(|| "rookery".into());
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let child = Command::new(program)
        .arg0(name)
        .args(arguments)
        .spawn()
        .context("cannot start the program")?;
    let child = Pid::from_child(&child);
    // The child's alone: a client must see them end with it.
    let null = File::options().read(true).write(true).open("/dev/null");
    if let Ok(null) = null {
        let _ = rustix::stdio::dup2_stdin(&null);
        let _ = rustix::stdio::dup2_stdout(&null);
    }
    let status = work(&mut signals, child)?;
    stop_orphans(&mut signals);
    Ok(ExitCode::from(status))
}

/// Until the child has ended; what a shell would report of it.
fn work(signals: &mut Signals, child: Pid) -> anyhow::Result<u8> {
    loop {
        for origin in signals.wait() {
            // A terminal has sent it to the child as well.
            let from_terminal = matches!(origin.cause, Cause::Kernel);
            if HANDED_ON.contains(&origin.signal) && !from_terminal {
                send(child, origin.signal);
            }
        }
        while let Some((ended, status)) = reap().context("cannot wait for the program")? {
            if ended == child {
                return Ok(exit_code(status));
            }
        }
    }
}

/// What is left are the supervisors of runs, which end in good order when they are told to.
fn stop_orphans(signals: &mut Signals) {
    let deadline = Instant::now() + FAREWELL;
    let mut told = BTreeSet::new();
    loop {
        // An error means that there is no child left.
        while let Ok(Some((ended, _))) = reap() {
            told.remove(&ended.as_raw_pid());
        }
        let orphans = children();
        let hurry = signals
            .pending()
            .any(|origin| FINAL.contains(&origin.signal));
        if orphans.is_empty() || hurry || Instant::now() > deadline {
            return;
        }
        for orphan in orphans {
            if told.insert(orphan.as_raw_pid()) {
                send(orphan, SIGTERM);
            }
        }
        std::thread::sleep(POLL);
    }
}

/// One child that has ended, if any has.
fn reap() -> rustix::io::Result<Option<(Pid, WaitStatus)>> {
    loop {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Err(Errno::INTR) => {}
            reaped => return reaped,
        }
    }
}

/// Only to a child that was not reaped yet, so that its number cannot be another's.
fn send(child: Pid, signal: i32) {
    if let Some(signal) = Signal::from_named_raw(signal) {
        let _ = rustix::process::kill_process(child, signal);
    }
}

fn children() -> Vec<Pid> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|process| {
            let pid = Pid::from_raw(process.file_name().to_str()?.parse().ok()?)?;
            let stat = fs::read_to_string(process.path().join("stat")).ok()?;
            // The name, in parentheses, may hold any character.
            let (_, fields) = stat.rsplit_once(')')?;
            let parent = fields.split_ascii_whitespace().nth(1)?;
            (parent == "1").then_some(pid)
        })
        .collect()
}

fn exit_code(status: WaitStatus) -> u8 {
    let code = status
        .exit_status()
        .or_else(|| status.terminating_signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}
