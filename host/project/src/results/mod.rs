//! What a run left behind: one directory of result files, read-only, whoever wrote it.

mod alive;
mod choose;
mod csv;
mod database;
mod files;
mod guest_path;
mod parse;
mod place;
mod search;
mod status;
mod tables;
pub mod text;

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::io::Errno;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub use alive::{PENGUIN_LOG, RUN_LOCK};
pub(crate) use place::absent;
pub use status::next_run;

use crate::regular::{self, NotRegular};
use crate::roots::{Roots, open_dir};
use crate::{Cancel, Error, Result};

/// The largest YAML or JSON file that is read, in bytes.
const MAX_YAML: u64 = 32 << 20;
/// The most that one `read_text` gives, in bytes.
const MAX_TEXT: u32 = 1 << 20;
/// The longest that a search or a query may be given, in milliseconds.
const MAX_TIMEOUT_MS: u64 = 30_000;
/// Folders of a result directory whose files may be read; everything else lies flat.
const FOLDERS: [&str; 1] = ["shared/"];

/// One result directory, read-only. Returned values have the shapes that `wit/results.wit` gives.
#[derive(Debug, Clone)]
pub struct Results {
    dir: PathBuf,
    /// Every file is opened from here, so the directory cannot be swapped for another.
    handle: Arc<OwnedFd>,
    recovered: Arc<database::Recovered>,
    /// The project whose run this is, where it lies below a root.
    project: Option<PathBuf>,
    /// The run that is newer, where this one was chosen before it.
    newer: Option<choose::Newer>,
}

impl Results {
    /// Open a directory whose path is canonical and confined.
    pub(crate) fn open(roots: &Roots, dir: PathBuf) -> Result<Self> {
        let handle = Arc::new(open_dir(&dir)?);
        place::check(&dir)?;
        Ok(Self {
            project: place::project(roots, &dir),
            dir,
            handle,
            recovered: Arc::default(),
            newer: None,
        })
    }

    /// The newest completed run of a project, else its newest.
    pub(crate) fn of_project(roots: &Roots, project: &Path) -> Result<Self> {
        let chosen = choose::choose(roots, project)?;
        let mut results = Self::open(roots, chosen.dir)?;
        results.newer = chosen.newer;
        Ok(results)
    }

    /// Its absolute directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// `run-results.status`
    pub fn status(&self) -> Result<Value> {
        status::status(self)
    }

    /// `run-results.read-yaml`
    pub fn read_yaml(&self, file: &str) -> Result<Value> {
        let (handle, bytes) = self.open_file(file)?;
        if bytes > MAX_YAML {
            return Err(Error::Limit(format!(
                "{file} has {bytes} bytes; at most {MAX_YAML} are parsed"
            )));
        }
        let raw = regular::read_all(handle, MAX_YAML)
            .map_err(|e| Error::io("read", &self.dir.join(file), &e))?;
        parse::parse(file, &raw)
    }

    /// `run-results.read-csv`
    pub fn read_csv(&self, file: &str, options: &Value, cancel: &Cancel) -> Result<Value> {
        let options = parse_options(options)?;
        csv::read(self.open_file(file)?.0, file, &options, cancel)
    }

    /// `run-results.search`
    ///
    /// Beyond the contract, `options` takes `timeout_ms` (10000), and with `context` each match has `before` and `after`, lists of
    /// lines.
    pub fn search(
        &self,
        file: &str,
        pattern: &str,
        options: &Value,
        cancel: &Cancel,
    ) -> Result<Value> {
        let options = parse_options(options)?;
        search::search(&self.open_file(file)?.0, file, pattern, options, cancel)
    }

    /// `run-results.read-text`
    ///
    /// Control and invisible characters are escaped (`\u{1b}`, `\u{202e}`), line ends and tabs are not. A range never ends inside a
    /// character, so it can be some bytes shorter than `length`.
    pub fn read_text(&self, file: &str, offset: i64, length: u32) -> Result<Value> {
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
        Ok(json!({
            "text": text::escape_lines(&raw),
            "offset": start,
            "next_offset": start + raw.len() as u64,
            "bytes": bytes,
        }))
    }

    /// `run-results.query`
    ///
    /// Beyond the contract, `options` takes `max_bytes` (1 MiB), the size of all values together.
    pub fn query(
        &self,
        sql: &str,
        params: &Value,
        options: &Value,
        cancel: &Cancel,
    ) -> Result<Value> {
        let options = parse_options(options)?;
        let (file, bytes) = self.open_file(database::FILE)?;
        let database = database::Database {
            dir: &self.dir,
            file: &file,
            bytes,
            recovered: &self.recovered,
        };
        database.query(sql, params, &options, cancel)
    }

    /// Open one regular file of the directory, and give its size.
    ///
    /// Opened from the directory's handle with `RESOLVE_BENEATH`: a link that leads out is refused by the kernel. A FIFO, device
    /// or socket is opened without waiting, and refused.
    fn open_file(&self, name: &str) -> Result<(File, u64)> {
        self.find_file(name)?
            .ok_or_else(|| files::missing(self, name))
    }

    /// As [`Self::open_file`]; none if there is no such file.
    fn find_file(&self, name: &str) -> Result<Option<(File, u64)>> {
        let plain = FOLDERS
            .iter()
            .find_map(|folder| name.strip_prefix(folder))
            .unwrap_or(name);
        if plain.is_empty() || plain == "." || plain == ".." || plain.contains(['/', '\0']) {
            return Err(Error::InvalidArgument(format!(
                "{name:?} is not the name of a result file: give a plain name such as console.log"
            )));
        }
        let failed = |error: &_| Error::io("open", &self.dir.join(name), error);
        let file = match regular::open_beneath(&self.handle, name) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) if NotRegular::is(&error) => {
                return Err(parse::damaged(name, &error.to_string()));
            }
            Err(error) => {
                return Err(match Errno::from_io_error(&error) {
                    Some(Errno::XDEV | Errno::LOOP) => parse::damaged(
                        name,
                        "it is a link that leads out of the result directory, and is not followed",
                    ),
                    _ => failed(&error),
                });
            }
        };
        let bytes = file.metadata().map_err(|error| failed(&error))?.len();
        Ok(Some((file, bytes)))
    }
}

/// Read options from JSON; `null` is all defaults.
pub(crate) fn parse_options<T: DeserializeOwned + Default>(options: &Value) -> Result<T> {
    match options {
        Value::Null => Ok(T::default()),
        Value::Object(_) => T::deserialize(options)
            .map_err(|error| Error::InvalidArgument(format!("bad options: {error}"))),
        _ => Err(Error::InvalidArgument(
            "bad options: a JSON object is needed".into(),
        )),
    }
}

/// Fill `buffer` from `offset` as far as the file goes.
fn read_at_most(file: &File, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
