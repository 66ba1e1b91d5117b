//! Tables that Penguin writes, by column name.
//!
//! Penguin formats most of them by hand, without quoting, though the guest chooses some values: a
//! process may be named `a,b`. In each such table one column is free and all others are not, so
//! surplus commas belong to the free one.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};

use rookery_contract::options::CsvOptions;
use rookery_contract::shapes::Table;
use serde_json::{Map, Value};

use crate::penguin::tables::{ORIGIN, Table as Dialect, free_column, table as dialect};
use crate::{Cancel, Error, Result};

/// The most that all rows together may hold, in bytes.
const MAX_OUTPUT: usize = 8 << 20;
/// A longer line is cut; nothing that Penguin writes comes near.
const MAX_LINE: u64 = 1 << 20;

pub(super) fn read(file: File, name: &str, options: &CsvOptions, cancel: &Cancel) -> Result<Table> {
    let dialect = dialect(name);
    let mut records: Box<dyn Iterator<Item = Result<Vec<String>>>> = if dialect.quoted {
        Box::new(quoted(file, name))
    } else {
        Box::new(Unquoted {
            lines: BufReader::new(file),
            name,
            anchor: dialect.anchor,
            has_origin: false,
            ahead: None,
        })
    };
    let mut first = records.next().transpose()?;
    if let Some(field) = first.as_mut().and_then(|record| record.first_mut()) {
        *field = field.trim_start_matches('\u{feff}').to_owned();
    }
    let columns = match &first {
        _ if !options.columns.is_empty() => options.columns.clone(),
        Some(record) => match dialect.columns_without_header(record) {
            Some(names) => names.iter().map(ToString::to_string).collect(),
            None => record.iter().map(|name| name.trim().to_owned()).collect(),
        },
        None => dialect.newest().iter().map(ToString::to_string).collect(),
    };
    // What is no header is a row; a newer writer may have added the header.
    let first = first.filter(|record| {
        !columns
            .iter()
            .zip(record)
            .all(|(name, field)| name == field.trim())
    });
    let columns = distinct(columns);
    let wanted = wanted(options, &columns, name)?;

    let shape = Shape {
        columns: &columns,
        free: free_column(&columns),
        dialect: &dialect,
    };
    let mut rows = Vec::new();
    let (mut total, mut output, mut full) = (0usize, 0usize, false);
    let limit = options.rows() as usize;
    let offset = options.offset.unwrap_or(0) as usize;
    for (number, record) in first.map(Ok).into_iter().chain(records).enumerate() {
        if number % 4096 == 0 {
            cancel.check()?;
        }
        let fields = shape.fit(record?);
        let matches = wanted.iter().all(|(index, values)| {
            fields
                .get(*index)
                .is_some_and(|field| values.iter().any(|v| Some(v.as_str()) == field.as_deref()))
        });
        if !matches {
            continue;
        }
        total += 1;
        if total <= offset || rows.len() >= limit || full {
            continue;
        }
        output += fields.iter().flatten().map(String::len).sum::<usize>() + 16 * columns.len();
        if output > MAX_OUTPUT {
            full = true;
            continue;
        }
        let row: Map<_, _> = columns
            .iter()
            .cloned()
            .zip(
                fields
                    .into_iter()
                    .map(|f| f.map_or(Value::Null, Value::String)),
            )
            .collect();
        rows.push(row);
    }
    let truncated = offset + rows.len() < total;
    Ok(Table {
        columns,
        rows,
        total: total as u64,
        truncated,
    })
}

/// Which columns `where` asks for, by index, and the texts that match.
fn wanted(
    options: &CsvOptions,
    columns: &[String],
    name: &str,
) -> Result<Vec<(usize, Vec<String>)>> {
    let text = |value: &Value| match value {
        Value::String(s) => s.clone(),
        other => other.to_string(),
    };
    options
        .only
        .iter()
        .map(|(column, values)| {
            let values = values.as_array().ok_or_else(|| {
                Error::InvalidArgument(format!(
                    "`where` must give {column:?} a list of the values that it may have, such as \
                     [\"listening\"]"
                ))
            })?;
            let index = columns.iter().position(|c| c == column).ok_or_else(|| {
                Error::InvalidArgument(format!(
                    "{name} has no column {column:?}; it has {}",
                    Value::from(columns)
                ))
            })?;
            Ok((index, values.iter().map(text).collect()))
        })
        .collect()
}

/// Make column names usable as keys: none empty, none twice.
fn distinct(names: Vec<String>) -> Vec<String> {
    let mut seen: Vec<String> = Vec::with_capacity(names.len());
    for (index, name) in names.into_iter().enumerate() {
        let base = if name.is_empty() {
            format!("column_{}", index + 1)
        } else {
            name
        };
        let mut unique = base.clone();
        let mut n = 2;
        while seen.contains(&unique) {
            unique = format!("{base}_{n}");
            n += 1;
        }
        seen.push(unique);
    }
    seen
}

struct Shape<'a> {
    columns: &'a [String],
    free: Option<usize>,
    dialect: &'a Dialect,
}

impl Shape<'_> {
    /// Bring a record to the table's width: surplus fields go to the free column, missing ones are
    /// none.
    fn fit(&self, mut fields: Vec<String>) -> Vec<Option<String>> {
        let width = self.columns.len();
        let surplus = fields.len().saturating_sub(width);
        if surplus > 0 && !self.dialect.quoted {
            let free = self
                .free
                .unwrap_or(width.saturating_sub(1))
                .min(fields.len() - 1);
            let joined = fields
                .splice(free..=free + surplus, [])
                .collect::<Vec<_>>()
                .join(",");
            fields.insert(free, joined);
        }
        let mut row: Vec<_> = fields.into_iter().map(Some).collect();
        row.resize(width, None);
        row
    }
}

fn quoted(file: File, name: &str) -> impl Iterator<Item = Result<Vec<String>>> {
    let reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(file);
    reader.into_byte_records().map(move |record| {
        let record = record.map_err(|e| Error::Internal(format!("cannot read {name}: {e}")))?;
        Ok(record
            .iter()
            .map(|field| String::from_utf8_lossy(field).into_owned())
            .collect())
    })
}

/// Records of a table without quoting.
struct Unquoted<'a> {
    lines: BufReader<File>,
    name: &'a str,
    anchor: Option<fn(&str) -> bool>,
    /// Its header has the column behind the value.
    has_origin: bool,
    /// The first line of the next record.
    ahead: Option<String>,
}

impl Iterator for Unquoted<'_> {
    type Item = Result<Vec<String>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.record().transpose()
    }
}

impl Unquoted<'_> {
    fn record(&mut self) -> Result<Option<Vec<String>>> {
        let Some(mut record) = self
            .ahead
            .take()
            .map(Ok)
            .or_else(|| self.line().transpose())
            .transpose()?
        else {
            return Ok(None);
        };
        let Some(anchor) = self.anchor else {
            return Ok(Some(record.split(',').map(str::to_owned).collect()));
        };
        while record.len() < MAX_OUTPUT {
            match self.line()? {
                Some(line) if position(&line, anchor).is_some() => {
                    self.ahead = Some(line);
                    break;
                }
                Some(line) => {
                    record.push('\n');
                    record.push_str(&line);
                }
                None => break,
            }
        }
        let fields: Vec<&str> = record.split(',').collect();
        let Some(at) = position(&record, anchor) else {
            return Ok(Some(vec![record]));
        };
        let (before, after) = fields.split_at(at);
        let (operation, mut value) = after.split_first().unwrap_or((&"", &[]));
        let mut record = vec![before.join(","), (*operation).to_owned()];
        // Whoever writes this column writes no commas within any.
        let last = value.split_last().filter(|(last, rest)| {
            self.has_origin |= **last == ORIGIN && *rest == ["value"];
            self.has_origin
        });
        if let Some((_, rest)) = last {
            value = rest;
        }
        record.push(value.join(","));
        record.extend(last.map(|(last, _)| (*last).to_owned()));
        Ok(Some(record))
    }

    /// The next line that is not empty, cut at [`MAX_LINE`].
    fn line(&mut self) -> Result<Option<String>> {
        let failed = |e| Error::Internal(format!("cannot read {}: {e}", self.name));
        loop {
            let mut line = Vec::new();
            let read = (&mut self.lines)
                .take(MAX_LINE)
                .read_until(b'\n', &mut line)
                .map_err(failed)?;
            if read == 0 {
                return Ok(None);
            }
            if line.last() != Some(&b'\n') {
                // The rest of an overlong line would pass for a record.
                self.lines.skip_until(b'\n').map_err(failed)?;
            }
            let line = line.strip_suffix(b"\n").unwrap_or(&line);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if !line.is_empty() || self.anchor.is_some() {
                return Ok(Some(String::from_utf8_lossy(line).into_owned()));
            }
        }
    }
}

/// Which field of a line is the anchor. The first field never is: it is a name that the guest
/// chose.
fn position(line: &str, anchor: fn(&str) -> bool) -> Option<usize> {
    line.split(',')
        .enumerate()
        .skip(1)
        .find(|(_, field)| anchor(field))
        .map(|(at, _)| at)
}
