//! What a tool says while it works, bounded and made presentable.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::outcome::ProgressSink;
use crate::text;

/// Longest line that is kept.
const LINE_CHARS: usize = 2000;
/// Longest progress message.
const REPORT_CHARS: usize = 200;

/// The server's log as one call sees it: under the tool's name, and bounded.
pub(crate) struct ToolLog {
    tool: String,
    /// Shared with the calls that the call makes.
    bytes_left: Arc<AtomicUsize>,
    cut: bool,
}

impl ToolLog {
    pub(crate) fn new(tool: &str, bytes: usize) -> Self {
        Self {
            tool: tool.to_owned(),
            bytes_left: Arc::new(AtomicUsize::new(bytes)),
            cut: false,
        }
    }

    /// Of a tool that this one calls, with what is left.
    pub(crate) fn of_called(&self, tool: &str) -> Self {
        Self {
            tool: tool.to_owned(),
            bytes_left: Arc::clone(&self.bytes_left),
            cut: false,
        }
    }

    pub(super) fn bytes_left(&self) -> usize {
        self.bytes_left.load(Relaxed)
    }

    pub(super) fn tool(&self) -> &str {
        &self.tool
    }

    pub(super) fn write(&mut self, level: tracing::Level, message: &str) {
        let take = |left: usize| left.checked_sub(message.len().max(1));
        if self
            .bytes_left
            .fetch_update(Relaxed, Relaxed, take)
            .is_err()
        {
            if !std::mem::replace(&mut self.cut, true) {
                let spent = "the log budget of this call is spent; further lines are dropped";
                tracing::warn!(target: "rookery::tool", tool = %self.tool, "{spent}");
            }
            return;
        }
        let (tool, line) = (&self.tool, text::clean(message, LINE_CHARS));
        match level {
            tracing::Level::TRACE => tracing::trace!(target: "rookery::tool", %tool, "{line}"),
            tracing::Level::DEBUG => tracing::debug!(target: "rookery::tool", %tool, "{line}"),
            tracing::Level::INFO => tracing::info!(target: "rookery::tool", %tool, "{line}"),
            tracing::Level::WARN => tracing::warn!(target: "rookery::tool", %tool, "{line}"),
            tracing::Level::ERROR => tracing::error!(target: "rookery::tool", %tool, "{line}"),
        }
    }
}

/// The progress reports of one call, made presentable. Whoever receives them thins a flood: it
/// knows how much its client can take.
#[derive(Clone)]
pub(crate) struct Progress(ProgressSink);

impl Progress {
    pub(crate) fn new(sink: ProgressSink) -> Self {
        Self(sink)
    }

    /// For a call that this one makes.
    pub(super) fn sink(&self) -> ProgressSink {
        self.0.clone()
    }

    /// Whether somebody is told.
    pub(super) fn is_wanted(&self) -> bool {
        self.0.is_some()
    }

    pub(super) fn report(&self, fraction: f64, message: &str) {
        let fraction = if fraction.is_finite() {
            fraction.clamp(0.0, 1.0)
        } else {
            0.0
        };
        if let Some(sink) = &self.0 {
            sink(fraction, text::clean(message, REPORT_CHARS));
        }
    }
}
