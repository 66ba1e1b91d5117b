//! One result directory, held open.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::io::Errno;
use serde_json::Value;

use super::database::Recovered;
use super::limits::MAX_YAML;
use super::newer::Newer;
use super::{parse, place};
use crate::ground::beneath::open_dir;
use crate::ground::regular::{self, NotRegular};
use crate::ground::roots::Roots;
use crate::{Error, Result};

/// Folders of a result directory whose files may be read; everything else lies flat.
const FOLDERS: [&str; 1] = ["shared/"];

/// One result directory, read-only. Returned values have the shapes that `wit/results.wit` gives.
#[derive(Debug, Clone)]
pub struct Results {
    pub(super) dir: PathBuf,
    /// Every file is opened from here, so the directory cannot be swapped for another.
    handle: Arc<OwnedFd>,
    pub(super) recovered: Arc<Recovered>,
    /// The project whose run this is, where it lies below a root.
    pub(super) project: Option<PathBuf>,
    /// The run that is newer, where this one was chosen before it.
    pub(super) newer: Option<Newer>,
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

    /// Its absolute directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The value of a YAML or JSON file; none if there is no such file.
    pub(super) fn find_yaml(&self, file: &str) -> Result<Option<Value>> {
        let raw = self.find_raw(file)?;
        raw.map(|raw| parse::parse(file, &raw)).transpose()
    }

    /// The same as JSON text.
    pub(super) fn find_json(&self, file: &str) -> Result<Option<String>> {
        let raw = self.find_raw(file)?;
        raw.map(|raw| parse::as_json(file, &raw)).transpose()
    }

    /// All of a file that is small enough to be parsed.
    fn find_raw(&self, file: &str) -> Result<Option<Vec<u8>>> {
        let Some((handle, bytes)) = self.find_file(file)? else {
            return Ok(None);
        };
        if bytes > MAX_YAML {
            return Err(Error::Limit(format!(
                "{file} has {bytes} bytes; at most {MAX_YAML} are parsed"
            )));
        }
        regular::read_all(handle, MAX_YAML)
            .map(Some)
            .map_err(|e| Error::io("read", &self.dir.join(file), &e))
    }

    /// Open one regular file of the directory, and give its size; none if there is no such file.
    ///
    /// Opened from the directory's handle with `RESOLVE_BENEATH`: a link that leads out is refused
    /// by the kernel. A FIFO, device or socket is opened without waiting, and refused.
    pub(super) fn find_file(&self, name: &str) -> Result<Option<(File, u64)>> {
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
