//! Result files of a fake run, held in memory.

use std::collections::BTreeMap;

use regex::RegexBuilder;
use serde_json::{Map, Value};

use crate::error::{Error, Result, Unavailable, invalid};
use crate::host::{CsvOptions, SearchOptions};
use crate::shapes::{Match, Matches, ResultFile, ResultsState, ResultsStatus, Table, Text};

/// The directory that a fake run is said to be in.
const RESULTS_DIR: &str = "/projects/fake/results/0";

#[derive(Clone, Default)]
pub(super) struct Files {
    pub values: BTreeMap<String, Value>,
    pub texts: BTreeMap<String, String>,
    pub state: Option<(ResultsState, String)>,
    pub note: Option<String>,
}

impl Files {
    pub fn status(&self) -> ResultsStatus {
        let (state, why) = self
            .state
            .clone()
            .unwrap_or_else(|| (ResultsState::Completed, String::new()));
        let values = self.values.keys().map(|name| (name, 0));
        let texts = self.texts.iter().map(|(name, text)| (name, size(text)));
        let file = |(name, bytes): (&String, u64)| ResultFile {
            name: name.clone(),
            bytes,
        };
        ResultsStatus {
            results_dir: RESULTS_DIR.to_owned(),
            run: Some(0),
            state,
            why: Some(why),
            note: self.note.clone(),
            newer: None,
            perhaps_running: false,
            run_id: None,
            guest_s: None,
            files: values.chain(texts).map(file).collect(),
            files_total: None,
        }
    }

    pub fn read_yaml(&self, file: &str) -> Result<Value> {
        self.values.get(file).cloned().ok_or_else(|| missing(file))
    }

    fn read(&self, file: &str) -> Result<&str> {
        self.texts
            .get(file)
            .map(String::as_str)
            .ok_or_else(|| missing(file))
    }

    /// Plain comma-separated text, without quoting.
    pub fn read_csv(&self, file: &str, options: &CsvOptions) -> Result<Table> {
        let mut lines = self.read(file)?.lines();
        let columns: Vec<String> = if options.columns.is_empty() {
            lines
                .next()
                .unwrap_or_default()
                .split(',')
                .map(str::to_owned)
                .collect()
        } else {
            options.columns.clone()
        };
        let rows: Vec<Map<String, Value>> = lines
            .map(|line| {
                columns
                    .iter()
                    .cloned()
                    .zip(line.split(',').map(Value::from))
                    .collect::<Map<_, _>>()
            })
            .filter(|row| {
                options.only.iter().all(|(column, allowed)| {
                    row.get(column)
                        .is_some_and(|cell| allowed.as_array().is_some_and(|a| a.contains(cell)))
                })
            })
            .collect();
        let total = rows.len();
        let offset = count(options.offset.unwrap_or(0));
        let wanted = rows.into_iter().skip(offset).take(count(options.rows()));
        let rows: Vec<_> = wanted.collect();
        Ok(Table {
            columns,
            truncated: offset + rows.len() < total,
            rows,
            total: total as u64,
        })
    }

    pub fn search(&self, file: &str, pattern: &str, options: &SearchOptions) -> Result<Matches> {
        let text = self.read(file)?;
        let pattern = RegexBuilder::new(pattern)
            .build()
            .map_err(|error| invalid(error.to_string()))?;
        let mut matches: Vec<Match> = (1_u64..)
            .zip(text.lines())
            .filter(|(_, line)| pattern.is_match(line))
            .map(|(number, line)| {
                let end = line.floor_char_boundary(count(options.max_line_bytes));
                Match {
                    line: number,
                    text: line[..end].to_owned(),
                    cut: end < line.len(),
                    before: None,
                    after: None,
                }
            })
            .collect();
        let total = matches.len();
        let limit = count(options.limit);
        if options.from_end {
            matches.drain(..total.saturating_sub(limit));
        } else {
            matches.truncate(limit);
        }
        Ok(Matches {
            truncated: matches.len() < total,
            matches,
            total: total as u64,
            lines: text.lines().count() as u64,
            bytes: size(text),
        })
    }

    pub fn read_text(&self, file: &str, offset: i64, length: u32) -> Result<Text> {
        let text = self.read(file)?;
        let distance = usize::try_from(offset.unsigned_abs()).unwrap_or(usize::MAX);
        let start = if offset < 0 {
            text.len().saturating_sub(distance)
        } else {
            distance.min(text.len())
        };
        let end = start.saturating_add(count(length)).min(text.len());
        let piece = String::from_utf8_lossy(&text.as_bytes()[start..end]);
        Ok(Text {
            text: piece.into_owned(),
            offset: start as u64,
            next_offset: end as u64,
            bytes: size(text),
        })
    }
}

fn size(text: &str) -> u64 {
    text.len() as u64
}

fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn missing(file: &str) -> Error {
    Error::Unavailable(Unavailable {
        what: file.to_owned(),
        why: "the run left no such file".to_owned(),
        how_to_enable: "add it to the FakeHost with .yaml(…) or .text(…)".to_owned(),
    })
}
