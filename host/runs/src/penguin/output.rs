//! What Penguin prints, and what can be told from it and from the files it left.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;
use std::process::ExitStatus;

use rookery_project::results::PENGUIN_LOG;
use rookery_project::{Error, Result, regular};
use rustix::pipe::PipeFlags;

use crate::backend::Outcome;
use crate::penguin::Why;

/// The end of the output is what says why a run died.
const KEPT: usize = 1 << 20;
const LINES_SHOWN: usize = 8;

/// The output of a running Penguin.
pub(super) struct Output {
    pipe: Option<OwnedFd>,
    text: Vec<u8>,
}

impl Output {
    /// The output, and the end for the process that makes it.
    pub(super) fn pipe() -> io::Result<(Self, OwnedFd)> {
        let (reader, writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&reader, true)?;
        Ok((
            Self {
                pipe: Some(reader),
                text: Vec::new(),
            },
            writer,
        ))
    }

    /// Readable while there is something to read; `None` once all writers are gone.
    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(|pipe| pipe.as_fd())
    }

    /// Take what is there.
    pub(super) fn read(&mut self) {
        let mut chunk = [0; 16 << 10];
        while let Some(pipe) = &self.pipe {
            match rustix::io::read(pipe, &mut chunk) {
                Ok(0) => self.pipe = None,
                Ok(count) => self.text.extend(chunk.iter().take(count)),
                Err(_) => break,
            }
            self.text.drain(..self.text.len().saturating_sub(KEPT));
        }
    }

    /// Keep the output beside the results; gives it without colours.
    pub(super) fn finish(mut self, results_dir: &Path) -> String {
        self.read();
        let text = without_colours(&String::from_utf8_lossy(&self.text));
        if let Err(error) = regular::replace(&results_dir.join(PENGUIN_LOG), text.as_bytes(), false)
        {
            tracing::warn!(%error, "cannot keep Penguin's output");
        }
        text
    }
}

/// How a run ended, by its files and its output. Penguin's exit code is 0 even where the guest
/// never started.
pub(super) fn outcome(
    results_dir: &Path,
    text: &str,
    status: ExitStatus,
    told: Option<Why>,
) -> Result<Outcome> {
    let completed = results_dir.join(".ran").exists() && results_dir.join("summary.json").exists();
    if completed || told.is_some() {
        return Ok(if told == Some(Why::Asked) {
            Outcome::Stopped
        } else if told == Some(Why::Bound) || text.contains("execution timed out after") {
            Outcome::Deadline
        } else {
            Outcome::GuestEnded {
                how: "the guest ended before the deadline".into(),
            }
        });
    }
    let what = if text.contains("Config validation failed") {
        "Penguin refuses the configuration"
    } else if status.success() {
        "Penguin's run died before its end"
    } else {
        "Penguin failed"
    };
    let lines: Vec<_> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let shown: Vec<_> = lines
        .iter()
        .skip(lines.len().saturating_sub(LINES_SHOWN))
        .map(|line| line.chars().take(300).collect::<String>())
        .collect();
    Err(Error::Backend(format!(
        "{what} ({status}); {PENGUIN_LOG} in the result directory has its output, which ends: {}",
        shown.join(" | ").escape_debug()
    )))
}

/// `text` without CSI sequences.
pub(super) fn without_colours(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|character: char| ('@'..='~').contains(&character));
        plain.push_str(end.and_then(|end| part.get(end + 1..)).unwrap_or_default());
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_taken_out_and_nothing_else() {
        assert_eq!(
            without_colours("\u{1b}[32m12:00\u{1b}[0m \u{1b}[1;34mINFO\u{1b}[0m [x] ü\u{1b}["),
            "12:00 INFO [x] ü"
        );
        assert_eq!(without_colours("plain"), "plain");
    }
}
