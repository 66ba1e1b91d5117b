//! What people and scripts see on the terminal.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use rookery_server::{make_visible, visible};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{advice, log, paint};

/// A result: one JSON object for scripts, or lines for people. Text from a guest cannot reach the
/// terminal unescaped.
pub fn result<T: Serialize>(value: &T, json: bool, lines: impl FnOnce(&T) -> Vec<String>) {
    if json {
        line(&json_text(value));
    } else {
        line(&paint::text(
            &visible(&lines(value).join("\n")),
            &io::stdout(),
        ));
    }
}

/// Lines of a guest's, on stdout as they come.
pub fn lines(lines: &[String]) {
    line(&visible(&lines.join("\n")));
}

/// Lines about what was done, on stderr: stdout is for something else.
pub fn notes(lines: &[String]) {
    log::line(&paint::text(&visible(&lines.join("\n")), &io::stderr()));
}

/// Rows as lines, each column as wide as its widest cell.
pub fn table<const N: usize>(rows: impl Iterator<Item = [String; N]>) -> Vec<String> {
    let rows: Vec<[String; N]> = rows.collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(&widths);
        let cells: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
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
        notes(&[format!("error: {}", advice::sentence(&causes(error)))]);
    }
}

/// What happened and why, without a cause that the words before it have told already.
fn causes(error: &anyhow::Error) -> String {
    let mut told: Vec<String> = Vec::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if !told.iter().any(|before| before.contains(cause.trim())) {
            told.push(cause);
        }
    }
    told.join(": ")
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

    /// That a call of `tool` takes long; one that does not is not worth a line.
    pub fn wait_for(&self, tool: &str) {
        self.bar.set_message(tool.to_owned());
    }

    /// Takes what a call says of its progress.
    pub fn notes(&self) -> impl Fn(f64, String) + Send + Sync + use<> {
        let bar = self.bar.clone();
        move |_, message| bar.set_message(visible(&message).into_owned())
    }

    /// Seconds of the total.
    pub fn at(&self, seconds: u64) {
        self.bar.set_position(seconds);
    }

    /// Whether a person watches, who wants to see what the guest prints.
    pub fn is_watched(&self) -> bool {
        !self.bar.is_hidden()
    }

    /// Show lines of a guest's above the bar.
    pub fn above(&self, lines: &[String]) {
        self.bar.suspend(|| {
            log::line(&visible(&lines.join("\n")));
            log::finish();
        });
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

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::{Context as _, anyhow};

    #[test]
    fn one_cause_is_told_once() {
        let error = Err::<(), _>(anyhow!("no such file"))
            .context("cannot read x: no such file")
            .context("no project was made");
        let told = causes(&error.unwrap_err());
        assert_eq!(told, "no project was made: cannot read x: no such file");
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["RUN", "é"], ["a", "longer"]].map(|row| row.map(str::to_owned));
        assert_eq!(table(rows.into_iter()), ["RUN  é", "a    longer"]);
    }
}
