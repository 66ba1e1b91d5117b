//! The tar stream that is given.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use tar::{Builder, EntryType, Header};

/// The most warnings that are given: they have to fit into a pipe.
const MAX_WARNINGS: usize = 16;

pub(crate) struct Tarball<W: Write> {
    builder: Builder<W>,
    warnings: Vec<String>,
}

/// What an entry has besides its content.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Meta {
    /// Permission bits.
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    /// Seconds since 1970.
    pub mtime: u64,
}

/// An entry that is complete without content.
pub(crate) enum Entry<'a> {
    Directory,
    Symlink(&'a [u8]),
    /// Another name of the file that came under this path.
    HardLink(&'a [u8]),
    Device {
        block: bool,
        major: u32,
        minor: u32,
    },
    Fifo,
}

impl<W: Write> Tarball<W> {
    pub(crate) fn new(to: W) -> Self {
        Self {
            builder: Builder::new(to),
            warnings: Vec::new(),
        }
    }

    pub(crate) fn warn(&mut self, warning: String) {
        if self.warnings.len() < MAX_WARNINGS {
            self.warnings.push(warning);
        }
    }

    /// End the stream; gives the warnings.
    pub(crate) fn finish(self) -> Result<Vec<String>> {
        self.builder.into_inner()?.flush()?;
        Ok(self.warnings)
    }

    pub(crate) fn entry(&mut self, path: &[u8], meta: &Meta, entry: &Entry) -> Result<()> {
        let mut header = header(meta);
        let kind = match entry {
            Entry::Directory => EntryType::Directory,
            Entry::Symlink(_) => EntryType::Symlink,
            Entry::HardLink(_) => EntryType::Link,
            Entry::Device { block: true, .. } => EntryType::Block,
            Entry::Device { block: false, .. } => EntryType::Char,
            Entry::Fifo => EntryType::Fifo,
        };
        header.set_entry_type(kind);
        let target = match entry {
            Entry::Symlink(target) => target.to_vec(),
            Entry::HardLink(first) => named(first),
            Entry::Device { major, minor, .. } => {
                header.set_device_major(*major)?;
                header.set_device_minor(*minor)?;
                Vec::new()
            }
            Entry::Directory | Entry::Fifo => Vec::new(),
        };
        let name = named(path);
        let name = Path::new(OsStr::from_bytes(&name));
        // A long target needs an entry of its own; others are written as they are.
        let added = if header.set_link_name_literal(&target).is_ok() {
            self.builder.append_data(&mut header, name, io::empty())
        } else {
            let target = OsStr::from_bytes(&target);
            self.builder.append_link(&mut header, name, target)
        };
        added.with_context(|| shown(path))
    }

    /// A file of `bytes`, all of which `content` gives.
    pub(crate) fn file(
        &mut self,
        path: &[u8],
        meta: &Meta,
        bytes: u64,
        content: &mut impl Read,
    ) -> Result<()> {
        self.file_from(path, meta, bytes, |to| {
            io::copy(&mut content.take(bytes), to)?;
            Ok(())
        })
    }

    /// A file of `bytes`, all of which `write` writes.
    pub(crate) fn file_from(
        &mut self,
        path: &[u8],
        meta: &Meta,
        bytes: u64,
        write: impl FnOnce(&mut dyn Write) -> Result<()>,
    ) -> Result<()> {
        let mut header = header(meta);
        header.set_size(bytes);
        header.set_entry_type(EntryType::Regular);
        let name = named(path);
        // The header alone, since its content comes in a manner that the builder does not know.
        self.builder
            .append_data(
                &mut header,
                Path::new(OsStr::from_bytes(&name)),
                io::empty(),
            )
            .with_context(|| shown(path))?;
        let to = self.builder.get_mut();
        let mut content = Content { to, left: bytes };
        write(&mut content).with_context(|| shown(path))?;
        let left = content.left;
        ensure!(left == 0, "{}: {left} bytes of it are missing", shown(path));
        let over = usize::try_from(bytes % 512)?;
        if over > 0 {
            self.builder
                .get_mut()
                .write_all([0; 512].get(over..).unwrap_or_default())?;
        }
        Ok(())
    }

    /// The whole of another tar stream.
    pub(crate) fn whole(&mut self, mut tar: impl Read) -> Result<()> {
        io::copy(&mut tar, self.builder.get_mut())?;
        Ok(())
    }
}

/// Writes the content of a file, and no more than was announced.
struct Content<W> {
    to: W,
    left: u64,
}

impl<W: Write> Write for Content<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() as u64 > self.left {
            return Err(io::Error::other("it is longer than it says"));
        }
        let n = self.to.write(bytes)?;
        self.left -= n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

fn header(meta: &Meta) -> Header {
    let mut header = Header::new_gnu();
    header.set_mode(meta.mode & 0o7777);
    header.set_uid(meta.uid);
    header.set_gid(meta.gid);
    header.set_mtime(meta.mtime);
    header.set_size(0);
    header
}

/// A path as it is named in the stream. The root itself is `./`.
fn named(path: &[u8]) -> Vec<u8> {
    let start = path.iter().position(|b| *b != b'/').unwrap_or(path.len());
    [b"./", path.get(start..).unwrap_or_default()].concat()
}

fn shown(path: &[u8]) -> String {
    format!("entry {:?}", String::from_utf8_lossy(path))
}
