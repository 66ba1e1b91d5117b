//! The end of the console, and when lines came.

use rookery_contract::options::{CsvOptions, SearchOptions};
use rookery_project::{Cancel, Results};
use serde::Serialize;

use crate::scale::time;

/// Lines that are shown, and bytes of one line.
const LINES: u32 = 60;
const LINE: u32 = 240;

#[derive(Default, Serialize)]
pub struct Console {
    pub lines: Vec<Line>,
    /// Lines of the whole file.
    pub total: u64,
    /// When lines came, in milliseconds since the start of init, with how many came then.
    #[serde(skip)]
    pub times: Vec<(i64, u64)>,
}

#[derive(Serialize)]
pub struct Line {
    pub number: u64,
    /// When it came, where that is known and differs from the line before it.
    pub at: Option<String>,
    pub text: String,
}

impl Console {
    /// What the result files say.
    pub fn read(results: &Results) -> Self {
        let newest = SearchOptions {
            max_line_bytes: LINE,
            ..SearchOptions::newest(LINES)
        };
        let found = results.search("console.log", "", &newest, &Cancel::default());
        let found = found.unwrap_or_default();
        let firsts = firsts(results);
        let mut told = None;
        let mut at = |number: u64| {
            let before = firsts.partition_point(|(line, _)| *line <= number);
            let (line, ms) = firsts.get(before.checked_sub(1)?)?;
            let is_new = told.replace(*line) != Some(*line);
            is_new.then(|| time(*ms))
        };
        let lines = found.matches.into_iter().map(|line| Line {
            number: line.line,
            at: at(line.line),
            text: line.text,
        });
        Self {
            lines: lines.collect(),
            total: found.lines,
            times: counted(&firsts, found.lines),
        }
    }
}

/// The lines whose time is known, with it.
fn firsts(results: &Results) -> Vec<(u64, i64)> {
    let options = CsvOptions {
        limit: Some(CsvOptions::MAX_ROWS),
        ..CsvOptions::default()
    };
    let table = results.read_csv("console_times.csv", &options, &Cancel::default());
    let rows = table.map(|table| table.rows).unwrap_or_default();
    let mut firsts: Vec<(u64, i64)> = rows
        .iter()
        .filter_map(|row| {
            let cell = |name: &str| row.get(name)?.as_str();
            Some((cell("line")?.parse().ok()?, cell("time_ms")?.parse().ok()?))
        })
        .collect();
    firsts.sort_unstable();
    firsts
}

/// A line without a time came with the one before it.
fn counted(firsts: &[(u64, i64)], total: u64) -> Vec<(i64, u64)> {
    let ends = firsts.iter().skip(1).map(|(line, _)| *line);
    let ends = ends.chain([total.saturating_add(1)]);
    let count = |((line, ms), end): (&(u64, i64), u64)| (*ms, end.saturating_sub(*line).max(1));
    firsts.iter().zip(ends).map(count).collect()
}
