//! `log`: what a tool says while it works.

use super::State;
use crate::host::bindings::log::{self, Level};

// Neither function counts as a host call: a chatty tool loses lines, not its result. Both cost it
// CPU time.
impl log::Host for State {
    async fn write(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            Level::Trace => tracing::Level::TRACE,
            Level::Debug => tracing::Level::DEBUG,
            Level::Info => tracing::Level::INFO,
            Level::Warn => tracing::Level::WARN,
            Level::Error => tracing::Level::ERROR,
        };
        self.log.write(level, &message);
        Ok(())
    }

    async fn progress(&mut self, fraction: f64, message: String) -> wasmtime::Result<()> {
        self.progress.report(fraction, &message);
        Ok(())
    }
}
