//! What a tool says while it works, bounded and made presentable.

use crate::outcome::ProgressSink;
use crate::text;

/// Longest line that is kept.
const LINE_CHARS: usize = 2000;
/// Longest progress message.
const REPORT_CHARS: usize = 200;

/// The server's log as one call sees it: under the tool's name, and bounded.
pub(crate) struct ToolLog {
    tool: String,
    bytes_left: usize,
    cut: bool,
}

impl ToolLog {
    pub(crate) fn new(tool: &str, bytes: usize) -> Self {
        Self {
            tool: tool.to_owned(),
            bytes_left: bytes,
            cut: false,
        }
    }

    pub(super) fn tool(&self) -> &str {
        &self.tool
    }

    pub(super) fn write(&mut self, level: tracing::Level, message: &str) {
        let Some(left) = self.bytes_left.checked_sub(message.len().max(1)) else {
            if !std::mem::replace(&mut self.cut, true) {
                let spent = "the log budget of this call is spent; further lines are dropped";
                tracing::warn!(target: "rookery::tool", tool = %self.tool, "{spent}");
            }
            return;
        };
        self.bytes_left = left;
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
