//! The firmware's root filesystem, as data.

mod binaries;
mod damage;
mod directory;
mod elf;
mod file_system;
mod image;
mod image_file;
mod init;
mod inittab;
mod limits;
pub mod nvram;
mod opened;
mod programs;
mod repair;
mod search;
mod sound;
mod source;
mod stream;
pub(crate) mod tree;
mod unpack;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use rookery_contract::Next;
use rookery_contract::options::{FindOptions, ListOptions};
use rookery_contract::shapes::{
    DirectoryEntry, ElfHeaders, FileStat, FoundFiles, InitCandidates, Listing,
};
use rustix::io::Errno;
use serde_json::json;

pub use self::file_system::FileSystem;
pub(crate) use self::image::Image;
pub(crate) use self::init::candidates;
pub(crate) use self::repair::{Repair, repair};
use self::tree::{Content, Entry, shown};
pub use self::unpack::{Node, Private, Progress, SetId, Unpacked, unpack, unpack_telling};
use crate::ground::beneath::open_dir;
use crate::ground::regular::{self, NotRegular};
use crate::penguin::project::ARCHIVE;
use crate::{Cancel, Error, Result, Unavailable};
use rookery_contract::text::escape;

/// The most that one `read` gives, in bytes.
const MAX_READ: u32 = 1 << 20;

/// One project's root filesystem, read-only. Returned values have the shapes that
/// `wit/firmware.wit` gives.
///
/// Paths are absolute in the guest. Links are followed inside the image and never lead to the host.
/// A name that is no UTF-8, or holds hidden characters, is shown escaped.
#[derive(Debug, Clone)]
pub struct Firmware {
    image: Arc<Image>,
}

impl Firmware {
    /// Open the root filesystem of the project in `project`.
    pub(crate) fn open(project: &Path, cancel: &Cancel) -> Result<Self> {
        let path = project.join(ARCHIVE);
        let file = regular::open_beneath(&open_dir(project)?, ARCHIVE).map_err(|error| {
            match Errno::from_io_error(&error) {
                Some(Errno::NOENT | Errno::NOTDIR) => Error::Unavailable(Unavailable {
                    what: ARCHIVE.into(),
                    why: format!("{} has no root filesystem", project.display()),
                    how_to_enable: format!(
                        "Make a project of a root filesystem archive: call {}",
                        Next::call(
                            "init_project",
                            json!({ "rootfs": "ARCHIVE.tar.gz", "output": "NEW_FOLDER" })
                        )
                    ),
                }),
                Some(Errno::XDEV | Errno::LOOP) => Error::Denied(format!(
                    "{} is a link that leads out of the project",
                    path.display()
                )),
                _ => Error::io("open", &path, &error),
            }
        })?;
        Ok(Self {
            image: opened::of_archive(file, &path, cancel)?,
        })
    }

    /// `root-filesystem.list-directory`
    pub fn list_directory(&self, path: &str, options: &ListOptions) -> Result<Listing> {
        let (resolved, entry) = self.follow(path)?;
        if entry.content != Content::Directory {
            return Err(Error::InvalidArgument(format!(
                "{path:?} is a {}, not a directory",
                entry.content.kind()
            )));
        }
        let mut total = 0;
        let mut entries = Vec::new();
        let limit = options.limit.min(ListOptions::MAX_ENTRIES) as usize;
        let offset = options.offset as usize;
        for (name, entry) in self.image.tree.children(&resolved) {
            if total >= offset && entries.len() < limit {
                entries.push(listed(name, entry));
            }
            total += 1;
        }
        let truncated = offset + entries.len() < total;
        Ok(Listing {
            path: path.to_owned(),
            entries,
            total: total as u64,
            truncated,
        })
    }

    /// `root-filesystem.stat`
    pub fn stat(&self, path: &str) -> Result<FileStat> {
        let (resolved, entry) = self.follow(path)?;
        let elf = self.image.elf(entry)?.map(|elf| ElfHeaders {
            arch: elf.arch.clone(),
            endianness: if elf.big_endian { "big" } else { "little" }.to_owned(),
            interpreter: elf.interpreter.as_deref().map(escape),
            needed: elf.needed.iter().map(|name| escape(name)).collect(),
            bytes: elf.bytes,
        });
        Ok(FileStat {
            path: path.to_owned(),
            resolved: shown(&resolved),
            kind: entry.content.kind(),
            bytes: entry.content.bytes(),
            mode: octal(entry),
            same_as: self.first_name(&resolved, entry),
            elf,
        })
    }

    /// The first name of a file, where this is another.
    fn first_name(&self, path: &[u8], entry: &Entry) -> Option<String> {
        let first = entry.same_as.as_deref().filter(|first| *first != path)?;
        self.image.tree.is_second_name(entry).then(|| shown(first))
    }

    /// `root-filesystem.read`
    pub fn read(&self, path: &str, offset: u64, length: u32) -> Result<Vec<u8>> {
        let (_, entry) = self.follow(path)?;
        if !matches!(entry.content, Content::File { .. }) {
            return Err(Error::InvalidArgument(format!(
                "{path:?} is a {}, not a file",
                entry.content.kind()
            )));
        }
        self.image
            .read(entry, offset, length.min(MAX_READ) as usize)
    }

    /// `root-filesystem.search`
    pub fn search(
        &self,
        pattern: &str,
        options: &FindOptions,
        cancel: &Cancel,
    ) -> Result<FoundFiles> {
        search::search(&self.image, pattern, options, cancel)
    }

    /// `root-filesystem.init-candidates`
    pub fn init_candidates(&self) -> Result<InitCandidates> {
        let arch = self.image.arch()?;
        let candidates = candidates(&self.image, arch.as_deref())?;
        Ok(InitCandidates { candidates })
    }

    fn follow(&self, path: &str) -> Result<(Vec<u8>, &Entry)> {
        let tree = &self.image.tree;
        let resolved = tree.resolve(path.as_bytes(), true).map_err(|why| {
            Error::NotFound(format!(
                "there is no {path:?} in the root filesystem: {why}"
            ))
        })?;
        match tree.get(&resolved) {
            Some(entry) => Ok((resolved, entry)),
            None => Err(Error::NotFound(format!(
                "there is no {path:?} in the root filesystem"
            ))),
        }
    }
}

impl Image {
    /// Read what a project is made of: a directory, an archive, or an image of a file system.
    pub(crate) fn of_source(path: &Path, cancel: &Cancel) -> Result<Arc<Self>> {
        if path.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
            return directory::read_directory(path, cancel).map(Arc::new);
        }
        let file = Self::open(path)?;
        if image_file::is_image(&file, path)? {
            return image_file::read(file, path, &image_file::FIRMWARE, cancel).map(Arc::new);
        }
        opened::of_archive(file, path, cancel)
    }

    /// Read an archive.
    pub(crate) fn of(path: &Path, cancel: &Cancel) -> Result<Arc<Self>> {
        opened::of_archive(Self::open(path)?, path, cancel)
    }

    fn open(path: &Path) -> Result<File> {
        regular::open(path).map_err(|error| match error {
            error if NotRegular::is(&error) => Error::InvalidArgument(format!(
                "{} cannot be used as a root filesystem: {error}",
                path.display()
            )),
            error => Error::io("open", path, &error),
        })
    }
}

fn octal(entry: &Entry) -> String {
    format!("{:04o}", entry.mode)
}

fn listed(name: &[u8], entry: &Entry) -> DirectoryEntry {
    let mut listed = DirectoryEntry {
        name: escape(name),
        kind: entry.content.kind(),
        bytes: entry.content.bytes(),
        mode: octal(entry),
        ..DirectoryEntry::default()
    };
    match &entry.content {
        Content::Symlink(target) => listed.target = Some(escape(target)),
        Content::Device { major, minor, .. } => listed.device = Some(format!("{major}:{minor}")),
        _ => {}
    }
    listed
}
