//! The images that were read last, kept for the next one who asks: a tool opens the same firmware
//! at every call.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::image::Image;
use super::source;
use crate::{Cancel, Error, Result};

/// How many images are kept.
const KEPT: usize = 2;

/// What identifies the content of a file on this machine: device, inode, size, change time.
type Key = (u64, u64, u64, i64, i64);

static CACHE: Mutex<Vec<(Key, Arc<Image>)>> = Mutex::new(Vec::new());

/// The image of an archive that is open as `file`.
pub(crate) fn of_archive(file: File, path: &Path, cancel: &Cancel) -> Result<Arc<Image>> {
    let meta = file.metadata().map_err(|e| Error::io("read", path, &e))?;
    let key = (
        meta.dev(),
        meta.ino(),
        meta.len(),
        meta.ctime(),
        meta.ctime_nsec(),
    );
    let find = |cache: &Vec<(Key, Arc<Image>)>| {
        cache
            .iter()
            .find(|(k, _)| *k == key)
            .map(|(_, i)| Arc::clone(i))
    };
    if let Some(image) = find(&CACHE.lock().unwrap_or_else(PoisonError::into_inner)) {
        return Ok(image);
    }
    let image = Arc::new(source::read_archive(file, path, cancel)?);
    let mut cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    cache.retain(|(k, _)| *k != key);
    cache.insert(0, (key, Arc::clone(&image)));
    cache.truncate(KEPT);
    Ok(image)
}
