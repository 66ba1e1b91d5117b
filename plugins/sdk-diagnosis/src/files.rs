//! The files of a run, each of which may be missing, and may be damaged without spoiling the rest.

use rookery_plugin::shapes::ResultsStatus;
use rookery_plugin::{CsvOptions, Error, Result, RunResults, SearchOptions};
use serde_json::{Map, Value, json};

use crate::shapes::Sockets;

/// Bytes read of the small text files.
const TEXT: u32 = 4096;

/// Bytes read of a text file's end.
const END: u32 = 16 << 10;
/// What is shown of a line of it.
const LINE: usize = 200;

/// Bytes that are searched at the beginning and at the end of the console: a boot fails at the one
/// or at the other, and a log of any length between them costs nothing.
const CONSOLE: u32 = 1 << 20;

/// Sockets that are looked at one by one.
const LISTENING: u32 = 1000;

/// The newest `limit` lines of the console that match, each cut after `max_line_bytes`.
pub fn of_console(limit: u32, max_line_bytes: u32) -> SearchOptions {
    SearchOptions {
        max_line_bytes,
        ends_bytes: Some(CONSOLE),
        ..SearchOptions::newest(limit)
    }
}

pub struct Files<'a, R> {
    run: &'a R,
    status: &'a ResultsStatus,
    /// What was found damaged.
    pub notes: Vec<String>,
}

impl<'a, R: RunResults> Files<'a, R> {
    pub fn of(run: &'a R, status: &'a ResultsStatus) -> Self {
        Self {
            run,
            status,
            notes: Vec::new(),
        }
    }

    /// What `result` gave of `file`; none where there is nothing to be had.
    pub fn part<T>(&mut self, file: &str, result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(value) => return Ok(Some(value)),
            Err(Error::Cancelled) => return Err(Error::Cancelled),
            Err(Error::Unavailable(missing)) if missing.is_damaged() => {
                self.notes.push(format!("{file} is damaged"));
            }
            Err(Error::Unavailable(missing)) if self.status.has(file) => {
                self.notes
                    .push(format!("{file} cannot be read: {}", missing.why));
            }
            Err(Error::NotFound(_) | Error::Unavailable(_)) => {}
            Err(_) => self.notes.push(format!("{file} cannot be read")),
        }
        Ok(None)
    }

    pub fn yaml(&mut self, file: &str) -> Result<Option<Value>> {
        self.part(file, self.run.read_yaml(file))
    }

    /// Hand over each entry of a file; none where there is no such file.
    pub fn each_entry(
        &mut self,
        file: &str,
        entry: &mut dyn FnMut(String, Value),
    ) -> Result<Option<()>> {
        self.part(file, self.run.each_entry(file, entry))
    }

    /// The first line of a file.
    pub fn line(&mut self, file: &str) -> Result<Option<String>> {
        let text = self.part(file, self.run.read_text(file, 0, TEXT))?;
        let line = text.and_then(|text| text.text.lines().next().map(|l| l.trim().to_owned()));
        Ok(line.filter(|line| !line.is_empty()))
    }

    /// The last lines of a file, each cut.
    pub fn tail(&mut self, file: &str, lines: usize) -> Result<Vec<String>> {
        let text = self.part(file, self.run.read_text(file, -i64::from(END), END))?;
        let text = text.unwrap_or_default();
        // What the range begins with may be half a line.
        let whole = match text.text.split_once('\n') {
            Some((_, rest)) if text.offset > 0 => rest,
            _ => &text.text,
        };
        let mut newest: Vec<String> = whole
            .lines()
            .rev()
            .take(lines)
            .map(|line| line[..line.floor_char_boundary(LINE)].to_owned())
            .collect();
        newest.reverse();
        Ok(newest)
    }

    /// The value of a name in `scores.txt`.
    pub fn score(&mut self, name: &str) -> Result<Option<f64>> {
        let only = Map::from_iter([("score_type".to_owned(), json!([name]))]);
        let options = CsvOptions {
            only,
            ..CsvOptions::default()
        };
        let table = self.part("scores.txt", self.run.read_csv("scores.txt", &options))?;
        Ok(table.and_then(|table| {
            let cell = table.rows.first()?.get("score")?.as_str()?;
            cell.trim().parse().ok()
        }))
    }

    /// Who listens: the number and the name of each process.
    pub fn listening(&mut self) -> Result<Vec<(i64, String)>> {
        let only = Map::from_iter([("state".to_owned(), json!(["listening"]))]);
        let options = CsvOptions {
            only,
            limit: Some(LISTENING),
            ..CsvOptions::default()
        };
        let table = self.part("netbinds.csv", self.run.read_csv("netbinds.csv", &options))?;
        let text = |row: &Map<String, Value>, name: &str| {
            let cell = row.get(name).and_then(Value::as_str);
            cell.unwrap_or_default().to_owned()
        };
        let rows = table.map(|table| table.rows).unwrap_or_default();
        Ok(rows
            .iter()
            .map(|row| (text(row, "pid").parse().unwrap_or(0), text(row, "procname")))
            .collect())
    }

    /// The sockets of `netbinds.csv`, counted by the host. Older tables have no states: all listen.
    pub fn sockets(&mut self) -> Result<Option<Sockets>> {
        let file = "netbinds.csv";
        let counted = |states: &[&str]| {
            let only = (!states.is_empty()).then(|| ("state".to_owned(), json!(states)));
            CsvOptions {
                only: Map::from_iter(only),
                limit: Some(0),
                ..CsvOptions::default()
            }
        };
        let Some(all) = self.part(file, self.run.read_csv(file, &counted(&[])))? else {
            return Ok(None);
        };
        let mut count = |states: &[&str]| {
            if !all.columns.iter().any(|column| column == "state") {
                return Ok(Some(all.total));
            }
            let table = self.part(file, self.run.read_csv(file, &counted(states)))?;
            Ok(table.map(|table| table.total))
        };
        let (bound, listening) = (count(&["listening", "closed"])?, count(&["listening"])?);
        let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        Ok(bound.zip(listening).map(|(bound, listening)| Sockets {
            bound: size(bound),
            listening: size(listening),
        }))
    }
}
