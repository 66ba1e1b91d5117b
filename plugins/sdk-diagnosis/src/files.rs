//! The files of a run, each of which may be missing, and may be damaged without spoiling the rest.

use rookery_plugin::shapes::ResultsStatus;
use rookery_plugin::{CsvOptions, Error, Result, RunResults};
use serde_json::{Map, Value, json};

use crate::shapes::Sockets;

/// Bytes read of the small text files.
const TEXT: u32 = 4096;

/// Sockets that are looked at one by one.
const LISTENING: u32 = 1000;

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

    /// The first line of a file.
    pub fn line(&mut self, file: &str) -> Result<Option<String>> {
        let text = self.part(file, self.run.read_text(file, 0, TEXT))?;
        let line = text.and_then(|text| text.text.lines().next().map(|l| l.trim().to_owned()));
        Ok(line.filter(|line| !line.is_empty()))
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
