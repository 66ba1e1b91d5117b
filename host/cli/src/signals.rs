//! The signals that end this program, and how it was given them.

use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGCHLD, SIGHUP};
use tokio::signal::unix::{SignalKind, signal};

/// Begin with signals as a program expects them. Launchers that block or ignore some leave that to their children: with `SIGTERM`
/// blocked nothing could end a server, and with `SIGCHLD` ignored nobody learns how a child ended.
pub fn as_usual() {
    if mask("SigBlk:") == 0 && !is_ignored(SIGCHLD) {
        return;
    }
    let (Ok(program), mut arguments) = (std::env::current_exe(), std::env::args_os()) else {
        return;
    };
    // A signal that has a handler has its usual action again after exec, and the standard library unblocks all of them there.
    let _ = signal_hook::flag::register(SIGCHLD, Arc::new(AtomicBool::new(false)));
    let mut command = Command::new(program);
    command.arg0(arguments.next().unwrap_or_else(|| "rookery".into()));
    // Returns only where it fails, and then this program goes on as it is.
    let _ = command.args(arguments).exec();
}

/// Wait until this process is asked to end.
pub async fn end_asked() {
    let ending = |kind| {
        let received = signal(kind);
        async move {
            match received {
                Ok(mut received) => received.recv().await,
                Err(error) => {
                    tracing::warn!(%error, "a signal cannot be taken");
                    std::future::pending().await
                }
            }
        }
    };
    // Under nohup a closed terminal is no reason to end.
    let hang_up = async {
        if is_ignored(SIGHUP) {
            std::future::pending().await
        } else {
            ending(SignalKind::hangup()).await
        }
    };
    tokio::select! {
        _ = ending(SignalKind::terminate()) => {}
        _ = ending(SignalKind::interrupt()) => {}
        _ = hang_up => {}
    }
}

fn is_ignored(signal: i32) -> bool {
    mask("SigIgn:") & (1 << (signal - 1)) != 0
}

/// A set of signals from `/proc/self/status`.
fn mask(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}
