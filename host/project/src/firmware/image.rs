//! A root filesystem held open: its tree, and the contents of its files in one unlinked temporary
//! file.
//!
//! An archive is decompressed once, so that every later read and search runs at the speed of the
//! disk cache.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;

use super::sound::Original;
use super::tree::{Content, Entry, Tree};
use crate::{Cancel, Error, Result};

#[derive(Debug)]
pub(crate) struct Image {
    pub tree: Tree,
    data: File,
    /// What the reader should know, such as entries that were left out.
    pub warnings: Vec<String>,
    /// The archive that it was read from, where that holds this very tree.
    pub original: Option<Original>,
}

impl Image {
    pub(crate) fn new(tree: Tree, data: File, warnings: Vec<String>) -> Self {
        Self {
            tree,
            data,
            warnings,
            original: None,
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
            original: None,
        })
    }

    /// At most `length` bytes of a file from `offset`; empty for anything else.
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
