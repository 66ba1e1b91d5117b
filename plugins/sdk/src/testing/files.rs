//! Result files of a fake run, held in memory.

use std::collections::BTreeMap;

use regex::RegexBuilder;
use serde_json::{Map, Value, json};

use crate::error::{Error, Result, Unavailable, invalid};
use crate::host::{CsvOptions, SearchOptions};

/// The directory that a fake run is said to be in.
const RESULTS_DIR: &str = "/projects/fake/results/0";

#[derive(Clone, Default)]
pub(super) struct Files {
    pub values: BTreeMap<String, Value>,
    pub texts: BTreeMap<String, String>,
    pub state: Option<(String, String)>,
    pub note: Option<String>,
}

impl Files {
    pub fn status(&self) -> Value {
        let (state, why) = self
            .state
            .as_ref()
            .map_or(("completed", ""), |(state, why)| (state, why));
        let names = self
            .values
            .keys()
            .map(|name| (name, 0))
            .chain(self.texts.iter().map(|(name, text)| (name, text.len())));
        let files: Vec<Value> = names
            .map(|(name, bytes)| json!({ "name": name, "bytes": bytes }))
            .collect();
        json!({
            "results_dir": RESULTS_DIR,
            "run": 0,
            "state": state,
            "why": why,
            "note": self.note,
            "files": files
        })
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
    pub fn read_csv(&self, file: &str, options: &CsvOptions) -> Result<Value> {
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
        let limit = options
            .limit
            .map_or(1000, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let total = rows.len();
        let rows: Vec<_> = rows.into_iter().take(limit).collect();
        Ok(json!({
            "columns": columns,
            "truncated": rows.len() < total,
            "rows": rows,
            "total": total
        }))
    }

    pub fn search(&self, file: &str, pattern: &str, options: &SearchOptions) -> Result<Value> {
        let text = self.read(file)?;
        let pattern = RegexBuilder::new(pattern)
            .build()
            .map_err(|error| invalid(error.to_string()))?;
        let mut matches: Vec<Value> = (1_u64..)
            .zip(text.lines())
            .filter(|(_, line)| pattern.is_match(line))
            .map(|(number, line)| {
                let end = line.floor_char_boundary(
                    usize::try_from(options.max_line_bytes).unwrap_or(usize::MAX),
                );
                json!({ "line": number, "text": &line[..end], "cut": end < line.len() })
            })
            .collect();
        let total = matches.len();
        let limit = usize::try_from(options.limit).unwrap_or(usize::MAX);
        if options.from_end {
            matches.drain(..total.saturating_sub(limit));
        } else {
            matches.truncate(limit);
        }
        Ok(json!({
            "truncated": matches.len() < total,
            "matches": matches,
            "total": total,
            "lines": text.lines().count(),
            "bytes": text.len()
        }))
    }

    pub fn read_text(&self, file: &str, offset: i64, length: u32) -> Result<Value> {
        let text = self.read(file)?;
        let distance = usize::try_from(offset.unsigned_abs()).unwrap_or(usize::MAX);
        let start = if offset < 0 {
            text.len().saturating_sub(distance)
        } else {
            distance.min(text.len())
        };
        let end = start
            .saturating_add(usize::try_from(length).unwrap_or(usize::MAX))
            .min(text.len());
        let piece = String::from_utf8_lossy(&text.as_bytes()[start..end]);
        Ok(json!({ "text": piece, "offset": start, "next_offset": end, "bytes": text.len() }))
    }
}

fn missing(file: &str) -> Error {
    Error::Unavailable(Unavailable {
        what: file.to_owned(),
        why: "the run left no such file".to_owned(),
        how_to_enable: "add it to the FakeHost with .yaml(…) or .text(…)".to_owned(),
    })
}
