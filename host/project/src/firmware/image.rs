//! A root filesystem held open: its tree, and the contents of its files in one unlinked temporary file.
//!
//! An archive is decompressed once, so that every later read and search runs at the speed of the disk cache. The images
//! read last are kept for the next one who asks, as a tool opens the same firmware at every call.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::source;
use super::tree::{Content, Entry, Tree};
use crate::{Cancel, Error, Result};

/// How many images are kept.
const KEPT: usize = 2;

#[derive(Debug)]
pub(crate) struct Image {
    pub tree: Tree,
    data: File,
    /// What the reader should know, such as entries that were left out.
    pub warnings: Vec<String>,
}

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

impl Image {
    pub(crate) fn new(tree: Tree, data: File, warnings: Vec<String>) -> Self {
        Self {
            tree,
            data,
            warnings,
        }
    }

    /// The same data under another tree.
    pub(crate) fn with_tree(&self, tree: Tree) -> Result<Self> {
        let data = self
            .data
            .try_clone()
            .map_err(|e| Error::Internal(format!("cannot share the image: {e}")))?;
        Ok(Self {
            tree,
            data,
            warnings: self.warnings.clone(),
        })
    }

    /// At most `length` bytes of a file from `offset`; empty for what is no file.
    pub(crate) fn read(&self, entry: &Entry, offset: u64, length: usize) -> Result<Vec<u8>> {
        let Content::File {
            offset: start,
            bytes,
        } = entry.content
        else {
            return Ok(Vec::new());
        };
        let want = bytes.saturating_sub(offset).min(length as u64);
        let mut out = vec![0; usize::try_from(want).unwrap_or(0)];
        self.data
            .read_exact_at(&mut out, start + offset)
            .map_err(|e| Error::Internal(format!("cannot read the unpacked image: {e}")))?;
        Ok(out)
    }

    /// Write the content of a file to `to`.
    pub(crate) fn copy(&self, entry: &Entry, to: &mut impl Write, cancel: &Cancel) -> Result<()> {
        let Content::File { bytes, .. } = entry.content else {
            return Ok(());
        };
        let mut done = 0;
        while done < bytes {
            cancel.check()?;
            let chunk = self.read(entry, done, 1 << 20)?;
            to.write_all(&chunk)
                .map_err(|e| Error::Internal(format!("cannot write: {e}")))?;
            done += chunk.len() as u64;
        }
        Ok(())
    }
}
