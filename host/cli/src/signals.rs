//! The signals that end this program.

use signal_hook::consts::SIGHUP;
use tokio::signal::unix::{SignalKind, signal};

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

/// Whether the launcher had `signal` ignored.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.unwrap_or(0) & (1 << (signal - 1)) != 0
}
