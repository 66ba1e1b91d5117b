//! Where in the firmware's scripts something was done.

use rookery_plugin::RootFilesystem;

use crate::blockers::subject::Subject;
use crate::timeline::{Process, Timeline, base};

/// Bytes of a script that are read.
const SCRIPT: u32 = 64 * 1024;

/// The script and the line that started a process, or that holds what it looked for: the nearest
/// that is known. The line is counted from 1.
pub fn place(
    root: Option<&impl RootFilesystem>,
    timeline: &Timeline,
    index: usize,
    subject: Option<&Subject>,
) -> Option<(String, Option<usize>)> {
    let process = timeline.processes.get(index)?;
    let own = process.script().map(|script| {
        let wanted = subject.map(|subject| vec![subject.text(), base(subject.text())]);
        (script, wanted.unwrap_or_default())
    });
    let by_other = || {
        let mut ancestors = timeline.ancestors(index);
        let script = ancestors.find_map(Process::script)?;
        Some((script, started_as(process, subject)))
    };
    let (script, wanted) = own.or_else(by_other)?;
    let line = root
        .and_then(|root| root.read(script, 0, SCRIPT).ok())
        .and_then(|text| line_of(&String::from_utf8_lossy(&text), &wanted));
    Some((script.to_owned(), line))
}

/// What the line that started a process may hold, the most telling first.
fn started_as<'a>(process: &'a Process, subject: Option<&'a Subject>) -> Vec<&'a str> {
    let own = process.argv.first().map(String::as_str);
    // A copy of the shell that found no program to execute.
    let missing = subject
        .map(Subject::text)
        .filter(|_| process.executed.is_none());
    let whole = missing.or(own);
    let mut wanted: Vec<_> = whole.into_iter().collect();
    wanted.extend(whole.map(base));
    wanted
}

/// The number of the first line that has one of `wanted` as a word and is no comment.
fn line_of(script: &str, wanted: &[&str]) -> Option<usize> {
    wanted
        .iter()
        .filter(|wanted| wanted.len() > 1)
        .find_map(|wanted| {
            let mut lines = script.lines().enumerate();
            let line =
                lines.find(|(_, line)| !line.trim_start().starts_with('#') && has(line, wanted));
            line.map(|(index, _)| index + 1)
        })
}

fn has(line: &str, word: &str) -> bool {
    let part_of_a_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        let after = line
            .get(at + word.len()..)
            .and_then(|after| after.chars().next());
        !before.is_some_and(part_of_a_word) && !after.is_some_and(part_of_a_word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_the_first_that_has_the_word_and_is_no_comment() {
        let script = "#!/bin/sh\n# klogd\nmklogd x\n/sbin/klogd -n\nklogd\n";
        assert_eq!(line_of(script, &["/sbin/klogd", "klogd"]), Some(4));
        assert_eq!(line_of(script, &["/usr/sbin/klogd", "klogd"]), Some(4));
        assert_eq!(line_of(script, &["syslogd"]), None);
    }
}
