//! Unpack a root filesystem archive for the embedded emulator.

use std::fs::{File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{CWD, FileType, Mode};

use super::image::Image;
use super::tree::{Content, Entry, shown};
use crate::ground::scratch::Scratch;
use crate::{Cancel, Error, Result};

/// What [`unpack`] found.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub struct Unpacked {
    /// Number of entries.
    pub entries: u64,
    /// Bytes of regular files.
    pub bytes: u64,
    /// Device nodes, which an unprivileged user cannot make.
    pub nodes: Vec<Node>,
    /// Files whose set-user-id or set-group-id bits were dropped.
    pub set_ids: Vec<SetId>,
    /// Files that not everybody may read, and directories that not everybody may enter: at most
    /// 4096.
    pub private: Vec<Private>,
}

/// How far an unpacking is, for those who wait for it.
#[derive(Debug, Default)]
pub struct Progress {
    written: AtomicU64,
    all: AtomicU64,
}

impl Progress {
    /// How many entries were written, and of how many; none while the archive is still read.
    pub fn entries(&self) -> Option<(u64, u64)> {
        let all = self.all.load(Ordering::Relaxed);
        (all > 0).then(|| (self.written.load(Ordering::Relaxed).min(all), all))
    }
}

/// The most files whose owners are kept in mind.
const MAX_PRIVATE: usize = 4096;

/// A file or a directory of the archive that is closed to some.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Private {
    /// Absolute path in the guest.
    pub path: String,
    /// Its owner.
    pub uid: u64,
    /// Permission bits.
    pub mode: u32,
}

impl Private {
    fn of(path: &[u8], entry: &Entry) -> Option<Self> {
        let needed = match entry.content {
            Content::File { .. } => 0o4,
            Content::Directory => 0o1,
            _ => return None,
        };
        (entry.mode & needed == 0).then(|| Self {
            path: shown(path),
            uid: entry.uid,
            mode: entry.mode & 0o777,
        })
    }
}

/// A file of the archive that gives its owner's rights to whoever executes it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SetId {
    /// Absolute path in the guest.
    pub path: String,
    /// Its set-user-id and set-group-id bits.
    pub bits: u32,
}

/// A device node of the archive.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Node {
    /// Absolute path in the guest.
    pub path: String,
    /// Block device, else character device.
    pub block: bool,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Permission bits.
    pub mode: u32,
}

/// Unpack a root filesystem archive for the embedded emulator.
///
/// Every entry lands below `into`; device nodes are not made but reported. Hostile archives (`..`,
/// links that lead out, bombs) are refused. Symbolic links are written as they are, and last, so
/// nothing is ever written through one.
///
/// Owners are not set, and set-user-id bits are not set but reported, as the files belong to the
/// caller. What the caller could not read is made readable. `into` appears complete or not at all;
/// it must not exist, or be empty.
pub fn unpack(archive: &Path, into: &Path, cancel: &Cancel) -> Result<Unpacked> {
    unpack_telling(archive, into, cancel, &Progress::default())
}

/// [`unpack`], which tells how far it is.
pub fn unpack_telling(
    archive: &Path,
    into: &Path,
    cancel: &Cancel,
    progress: &Progress,
) -> Result<Unpacked> {
    let image = Image::of(archive, cancel)?;
    if into
        .read_dir()
        .is_ok_and(|mut entries| entries.next().is_some())
    {
        return Err(Error::Conflict(format!(
            "{} exists and is not empty",
            into.display()
        )));
    }
    let parent = into
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let fresh = Scratch::make(parent, ".unpack-")
        .map_err(|e| Error::io("make a directory in", parent, &e))?;
    let unpacked = Target {
        root: fresh.path(),
        shown: into,
        image: &image,
        cancel,
        progress,
    }
    .write()?;
    fresh
        .persist(into)
        .map_err(|e| Error::io("make", into, &e))?;
    Ok(unpacked)
}

/// Write what `image` holds into the empty directory `root`, which is called `shown`.
pub(super) fn write(image: &Image, root: &Path, shown: &Path, cancel: &Cancel) -> Result<Unpacked> {
    Target {
        root,
        shown,
        image,
        cancel,
        progress: &Progress::default(),
    }
    .write()
}

struct Target<'a> {
    root: &'a Path,
    /// What `root` is called once it is complete.
    shown: &'a Path,
    image: &'a Image,
    cancel: &'a Cancel,
    progress: &'a Progress,
}

impl Target<'_> {
    fn write(&self) -> Result<Unpacked> {
        let tree = &self.image.tree;
        let all = tree.len() as u64;
        self.progress.all.store(all, Ordering::Relaxed);
        let mut unpacked = Unpacked {
            entries: all,
            ..Unpacked::default()
        };
        for (path, _) in tree.iter().filter(|(_, e)| e.content == Content::Directory) {
            let at = self.at(path);
            std::fs::create_dir(&at).map_err(|e| Error::io("make", &self.shown(path), &e))?;
        }
        let private = tree
            .iter()
            .filter_map(|(path, entry)| Private::of(path, entry));
        unpacked.private = private.take(MAX_PRIVATE).collect();
        for (path, entry) in tree.iter() {
            self.cancel.check()?;
            self.progress.written.fetch_add(1, Ordering::Relaxed);
            match &entry.content {
                Content::File { bytes, .. } if !tree.is_second_name(entry) => {
                    self.file(path, entry)?;
                    unpacked.bytes += bytes;
                    let bits = entry.mode & 0o6000;
                    if bits != 0 {
                        let path = shown(path);
                        unpacked.set_ids.push(SetId { path, bits });
                    }
                }
                Content::Fifo => {
                    let at = self.at(path);
                    let mode = Mode::from_raw_mode(entry.mode & 0o777 | 0o600);
                    rustix::fs::mknodat(CWD, &at, FileType::Fifo, mode, 0)
                        .map_err(|e| Error::io("make", &self.shown(path), &e.into()))?;
                }
                Content::Device {
                    block,
                    major,
                    minor,
                } => unpacked.nodes.push(Node {
                    path: shown(path),
                    block: *block,
                    major: *major,
                    minor: *minor,
                    mode: entry.mode,
                }),
                _ => {}
            }
        }
        for (path, entry) in tree.iter().filter(|(_, e)| tree.is_second_name(e)) {
            let (first, at) = (
                self.at(entry.same_as.as_deref().unwrap_or_default()),
                self.at(path),
            );
            std::fs::hard_link(&first, &at)
                .map_err(|e| Error::io("link", &self.shown(path), &e))?;
        }
        for (path, entry) in tree.iter() {
            if let Content::Symlink(target) = &entry.content {
                let at = self.at(path);
                std::os::unix::fs::symlink(std::ffi::OsStr::from_bytes(target), &at)
                    .map_err(|e| Error::io("link", &self.shown(path), &e))?;
            }
        }
        // From the innermost out, so that a directory is closed only when it is complete.
        for (path, entry) in tree
            .iter()
            .rev()
            .filter(|(_, e)| e.content == Content::Directory)
        {
            let at = self.at(path);
            let mode = entry.mode & 0o1777 | 0o700;
            std::fs::set_permissions(&at, Permissions::from_mode(mode))
                .map_err(|e| Error::io("set the mode of", &self.shown(path), &e))?;
        }
        let mode = tree
            .get(b"")
            .map_or(0o755, |root| root.mode & 0o777 | 0o700);
        std::fs::set_permissions(self.root, Permissions::from_mode(mode))
            .map_err(|e| Error::io("set the mode of", self.shown, &e))?;
        Ok(unpacked)
    }

    fn file(&self, path: &[u8], entry: &Entry) -> Result<()> {
        let at = self.at(path);
        let opened: std::io::Result<File> = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&at);
        let mut out = opened.map_err(|e| Error::io("make", &self.shown(path), &e))?;
        self.image.copy(entry, &mut out, self.cancel)?;
        out.flush()
            .map_err(|e| Error::io("write", &self.shown(path), &e))?;
        let mode = entry.mode & 0o777 | 0o400;
        out.set_permissions(Permissions::from_mode(mode))
            .map_err(|e| Error::io("set the mode of", &self.shown(path), &e))
    }

    fn at(&self, path: &[u8]) -> PathBuf {
        self.root.join(std::ffi::OsStr::from_bytes(path))
    }

    /// For messages.
    fn shown(&self, path: &[u8]) -> PathBuf {
        self.shown.join(std::ffi::OsStr::from_bytes(path))
    }
}
