//! An image of a file system that is to be seen as files: what a firmware mounts.

use std::fs::File;
use std::path::Path;

use super::image::Image;
use super::image_file::{self, Bounds};
use super::source::Purpose;
use super::tree::Content;
use super::unpack::{self, Unpacked};
use crate::{Cancel, Result};

/// What the process that reads an image may take of memory.
const MEMORY: u64 = 256 << 20;

/// A file system that was read from its image.
#[derive(Debug)]
pub struct FileSystem(Image);

impl FileSystem {
    /// Read the image that begins where `file` stands; errors call it `shown`. It may hold at most
    /// `most` bytes of files. The caller's program is called anew for it
    /// ([`rookery_images::READ_IMAGE`]).
    pub fn read(file: File, shown: &Path, most: u64, cancel: &Cancel) -> Result<Self> {
        let bounds = Bounds {
            content: most,
            memory: MEMORY,
            purpose: Purpose::Mount,
        };
        image_file::read(file, shown, &bounds, cancel).map(Self)
    }

    /// How many files, links and directories it has.
    pub fn entries(&self) -> u64 {
        self.0.tree.len() as u64
    }

    /// What its files take in bytes, where each has whole pages of `page` bytes.
    pub fn bytes(&self, page: u64) -> u64 {
        let tree = &self.0.tree;
        let own = tree.iter().filter(|(_, entry)| !tree.is_second_name(entry));
        own.map(|(_, entry)| match &entry.content {
            Content::File { bytes, .. } => bytes.next_multiple_of(page),
            Content::Symlink(target) => (target.len() as u64).next_multiple_of(page),
            _ => 0,
        })
        .sum()
    }

    /// Write it into the empty directory `into`, as [`unpack`](crate::unpack) does.
    pub fn write(&self, into: &Path, cancel: &Cancel) -> Result<Unpacked> {
        unpack::write(&self.0, into, into, cancel)
    }
}
