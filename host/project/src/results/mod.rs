//! What a run left behind: one directory of result files, read-only, whoever wrote it.

mod alive;
mod choose;
mod csv;
mod database;
mod directory;
mod limits;
mod lines;
mod list;
mod missing;
mod names;
mod newer;
mod numbers;
mod parse;
mod place;
mod search;
mod status;

use std::fs::File;
use std::path::Path;

use rookery_contract::options::{CsvOptions, QueryOptions, SearchOptions};
use rookery_contract::shapes::{Matches, ResultsStatus, Rows, Table, Text};
use serde_json::Value;

pub use self::directory::Results;
use self::limits::MAX_TEXT;
pub(crate) use self::list::list;
pub use self::numbers::next_run;
pub(crate) use self::place::absent;
use crate::ground::regular::read_at_most;
use crate::ground::roots::Roots;
use crate::penguin::result_files::DATABASE;
pub use crate::penguin::result_files::{PENGUIN_LOG, REPORT, RUN_LOCK};
use crate::{Cancel, Error, Result};
use rookery_contract::text;

impl Results {
    /// The newest completed run of a project, else its newest.
    pub(crate) fn of_project(roots: &Roots, project: &Path) -> Result<Self> {
        let chosen = choose::choose(roots, project)?;
        let mut results = Self::open(roots, chosen.dir)?;
        results.newer = chosen.newer;
        Ok(results)
    }

    /// `run-results.status`
    pub fn status(&self) -> Result<ResultsStatus> {
        status::status(self)
    }

    /// `run-results.read-yaml`
    pub fn read_yaml(&self, file: &str) -> Result<Value> {
        self.find_yaml(file)?
            .ok_or_else(|| missing::missing(self, file))
    }

    /// The same as JSON text, for which no tree of a large file is made.
    pub fn read_yaml_as_json(&self, file: &str) -> Result<String> {
        self.find_json(file)?
            .ok_or_else(|| missing::missing(self, file))
    }

    /// `run-results.read-csv`
    pub fn read_csv(&self, file: &str, options: &CsvOptions, cancel: &Cancel) -> Result<Table> {
        csv::read(self.open_file(file)?.0, file, options, cancel)
    }

    /// `run-results.search`
    pub fn search(
        &self,
        file: &str,
        pattern: &str,
        options: &SearchOptions,
        cancel: &Cancel,
    ) -> Result<Matches> {
        search::search(&self.open_file(file)?.0, file, pattern, options, cancel)
    }

    /// `run-results.read-text`
    ///
    /// Control and invisible characters are escaped (`\u{1b}`, `\u{202e}`), line ends and tabs are
    /// not. A range never ends inside a character, so it can be some bytes shorter than `length`.
    pub fn read_text(&self, file: &str, offset: i64, length: u32) -> Result<Text> {
        let (handle, bytes) = self.open_file(file)?;
        let start = match u64::try_from(offset) {
            Ok(from_start) => from_start.min(bytes),
            Err(_) => bytes.saturating_sub(offset.unsigned_abs()),
        };
        let want = u64::from(length.min(MAX_TEXT)).min(bytes - start);
        let mut raw = vec![0; usize::try_from(want).unwrap_or(0)];
        let got = read_at_most(&handle, &mut raw, start)
            .map_err(|e| Error::io("read", &self.dir.join(file), &e))?;
        raw.truncate(got);
        if start + (raw.len() as u64) < bytes {
            raw.truncate(text::whole_characters(&raw));
        }
        Ok(Text {
            text: text::escape_lines(&raw),
            offset: start,
            next_offset: start + raw.len() as u64,
            bytes,
        })
    }

    /// `run-results.query`
    pub fn query(
        &self,
        sql: &str,
        params: &Value,
        options: &QueryOptions,
        cancel: &Cancel,
    ) -> Result<Rows> {
        let (file, bytes) = self.open_file(DATABASE)?;
        let database = database::Database {
            dir: &self.dir,
            file: &file,
            bytes,
            recovered: &self.recovered,
        };
        database.query(sql, params, options, cancel)
    }

    /// Open one regular file of the directory, and give its size.
    fn open_file(&self, name: &str) -> Result<(File, u64)> {
        self.find_file(name)?
            .ok_or_else(|| missing::missing(self, name))
    }
}
