//! What people and scripts see on the terminal.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use rookery_server::{make_visible, visible};
use serde::Serialize;
use serde_json::{Value, json};

use crate::log;

/// A result: one JSON object for scripts, or lines for people. Text from a guest cannot reach the
/// terminal unescaped.
pub fn result<T: Serialize>(value: &T, json: bool, lines: impl FnOnce(&T) -> Vec<String>) {
    line(&if json {
        json_text(value)
    } else {
        visible(&lines(value).join("\n")).into_owned()
    });
}

/// Escaped before it is written as JSON: an escape of ours in the text would be none of JSON's.
fn json_text(value: &impl Serialize) -> String {
    let mut value = serde_json::to_value(value).unwrap_or_default();
    make_visible(&mut value);
    value.to_string()
}

/// One piece of visible text on stdout. A reader that went away is no error; a full disk is the
/// end.
fn line(text: &str) {
    let written = writeln!(io::stdout(), "{text}");
    if let Err(error) = written
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        log::line(&format!("error: cannot write to stdout: {error}"));
        log::finish();
        std::process::exit(1);
    }
}

/// An error, with its causes: to stderr for people, as `{"error": "…"}` on stdout for scripts.
pub fn error(error: &anyhow::Error, json: bool) {
    if json {
        line(&json_text(&json!({"error": format!("{error:#}")})));
    } else {
        log::line(&format!("error: {}", visible(&format!("{error:#}"))));
    }
}

/// A string field for people: `-` where it is missing.
pub fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or("-")
}

/// Shows that work goes on: a spinner or bar on a terminal, a line for each new phase elsewhere,
/// nothing with `--json`.
pub struct Activity {
    bar: ProgressBar,
    lines: bool,
    last: String,
}

impl Activity {
    /// With `total` seconds a bar, else a spinner.
    pub fn new(total: Option<u64>, json: bool) -> Self {
        let terminal = io::stderr().is_terminal();
        let bar = match total {
            _ if json || !terminal => ProgressBar::hidden(),
            Some(total) => ProgressBar::new(total)
                .with_style(style("{spinner} [{bar:30}] {pos}/{len} s  {wide_msg}")),
            None => ProgressBar::new_spinner().with_style(style("{spinner} {wide_msg}")),
        };
        bar.enable_steady_tick(Duration::from_millis(120));
        Self {
            bar,
            lines: !json && !terminal,
            last: String::new(),
        }
    }

    /// What is being done.
    pub fn phase(&mut self, message: &str) {
        if message == self.last {
            return;
        }
        message.clone_into(&mut self.last);
        let message = visible(message).into_owned();
        if self.lines {
            log::line(&message);
        }
        self.bar.set_message(message);
    }

    /// Seconds of the total.
    pub fn at(&self, seconds: u64) {
        self.bar.set_position(seconds);
    }

    /// Take the bar away.
    pub fn end(self) {
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}
