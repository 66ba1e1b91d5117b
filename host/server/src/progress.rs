//! Progress of one call, as MCP wants it: strictly increasing, not too often, and never after the
//! reply.

use std::sync::Arc;
use std::time::Duration;

use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::Peer;
use rmcp::{RoleServer, ServiceError};
use rookery_runtime::ProgressSink;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::escape::excerpt;

/// Progress is sent as a percentage: a client that shows `progress/total` shows something readable.
const TOTAL: f64 = 100.0;
/// A report that is no further than the last one, such as another phase of a wait, moves the bar
/// this far.
const STEP: f64 = 0.1;
/// So many notifications of a call go out at once; after them comes a pause between two, and what
/// is reported meanwhile is merged.
const BURST: u32 = 16;
const PAUSE: Duration = Duration::from_millis(25);
/// Reports that wait to be sent; a flood beyond them is thinned.
const QUEUE: usize = 64;
/// After the client closed its side rmcp takes no notification any more, and sending would wait for
/// ever.
const JOIN_TIMEOUT: Duration = Duration::from_millis(200);

type Report = (f64, String);

/// Forwards the progress of one call to the client that asked for it.
pub struct Progress {
    forwarder: Option<JoinHandle<()>>,
}

impl Progress {
    /// Forward to `peer` if it gave a token. The sink never blocks and never fails.
    pub fn start(peer: &Peer<RoleServer>, token: Option<ProgressToken>) -> (Self, ProgressSink) {
        let Some(token) = token else {
            return (Self { forwarder: None }, None);
        };
        let (sender, receiver) = mpsc::channel(QUEUE);
        let forwarder = tokio::spawn(forward(peer.clone(), token, receiver));
        let sink = move |fraction, message| {
            let _ = sender.try_send((fraction, message));
        };
        (
            Self {
                forwarder: Some(forwarder),
            },
            Some(Arc::new(sink)),
        )
    }

    /// Wait until the last report is on its way. All sinks must have been dropped.
    pub async fn finish(self) {
        if let Some(mut forwarder) = self.forwarder
            && tokio::time::timeout(JOIN_TIMEOUT, &mut forwarder)
                .await
                .is_err()
        {
            forwarder.abort();
        }
    }
}

async fn forward(
    peer: Peer<RoleServer>,
    token: ProgressToken,
    mut reports: mpsc::Receiver<Report>,
) {
    let mut last = None;
    let mut sent = 0;
    while let Some((mut fraction, mut message)) = reports.recv().await {
        if sent >= BURST {
            tokio::time::sleep(PAUSE).await;
            while let Ok(newer) = reports.try_recv() {
                (fraction, message) = newer;
            }
        }
        let Some(percent) = advance(last, fraction) else {
            continue;
        };
        last = Some(percent);
        if notify(&peer, token.clone(), percent, &message)
            .await
            .is_err()
        {
            return;
        }
        sent += 1;
    }
}

/// The next percentage to show, or `None` once the end of the bar was shown.
fn advance(last: Option<f64>, fraction: f64) -> Option<f64> {
    let percent = if fraction.is_finite() {
        (fraction.clamp(0.0, 1.0) * TOTAL / STEP).round() * STEP
    } else {
        0.0
    };
    match last {
        Some(last) if percent <= last => Some(last + STEP).filter(|next| *next < TOTAL),
        _ => Some(percent),
    }
}

async fn notify(
    peer: &Peer<RoleServer>,
    token: ProgressToken,
    percent: f64,
    message: &str,
) -> Result<(), ServiceError> {
    let percent = (percent * 10.0).round() / 10.0; // 70.1, not 70.10000000000001
    let mut params = ProgressNotificationParam::new(token, percent).with_total(TOTAL);
    if !message.is_empty() {
        params = params.with_message(excerpt(message, 200));
    }
    peer.notify_progress(params).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn shown_progress_increases_strictly_whatever_a_tool_reports(reports: Vec<f64>) {
            let mut last = None;
            for fraction in reports {
                if let Some(percent) = advance(last, fraction) {
                    prop_assert!((0.0..=TOTAL).contains(&percent));
                    prop_assert!(last.is_none_or(|last| last < percent));
                    last = Some(percent);
                }
            }
        }
    }

    #[test]
    fn a_bar_moves_when_only_the_message_changes_and_stops_at_its_end() {
        assert_eq!(advance(None, 0.0), Some(0.0));
        assert_eq!(advance(Some(50.0), 0.5), Some(50.1));
        assert_eq!(advance(Some(100.0), 1.0), None);
        assert_eq!(advance(None, f64::NAN), Some(0.0));
    }
}
