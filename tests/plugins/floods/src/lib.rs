//! Logs without end, by each way there is.

use rookery_plugin::args::NoArguments;
use rookery_plugin::{Content, Level, Log, Result, plugin, tool};

const LINES: u32 = 200_000;

/// Hostile: write 200 000 log lines, a kilobyte each, and then answer.
#[tool(read_only)]
fn floods_log(host: &impl Log, _arguments: NoArguments) -> Result<Content> {
    let line = "x".repeat(1000);
    for _ in 0..LINES {
        host.log(Level::Error, &line);
    }
    Ok(Content::new().text("still here"))
}

/// Hostile: write 200 000 lines to standard error, and then answer.
#[tool(read_only)]
fn floods_stderr(_arguments: NoArguments) -> Result<Content> {
    let line = "x".repeat(1000);
    for _ in 0..LINES {
        eprintln!("{line}");
    }
    Ok(Content::new().text("still here"))
}

/// Hostile: report progress 200 000 times, not in order, and then answer.
#[tool(read_only)]
fn floods_progress(host: &impl Log, _arguments: NoArguments) -> Result<Content> {
    for step in 0..LINES {
        host.progress(f64::from(step % 7) / 3.0 - 0.5, "again");
    }
    host.progress(f64::NAN, "not a number");
    Ok(Content::new().text("still here"))
}

plugin!(floods_log, floods_stderr, floods_progress);
