//! Read a root filesystem from where it comes: a `.tar`, a `.tar.gz`, or a directory.
//!
//! The source is hostile. Names are normalised and stay inside the tree, whatever links say. What is read is bounded:
//! [`MAX_ENTRIES`], [`MAX_BYTES`] of content, a compression ratio of [`MAX_RATIO`] once more than [`RATIO_FROM`] bytes came
//! out, and [`MAX_META`] bytes of long names and extended headers for one entry.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::Path;
use std::rc::Rc;

use super::image::Image;
use super::tree::{Content, Entry, Tree, shown};
use crate::{Cancel, Error, Result};

/// The most entries of a root filesystem.
pub(super) const MAX_ENTRIES: usize = 400_000;
/// The most content of all files together, in bytes.
pub(super) const MAX_BYTES: u64 = 4 << 30;
/// The most that one compressed byte may become.
pub(super) const MAX_RATIO: u64 = 100;
/// Content below this size is not judged by its ratio.
pub(super) const RATIO_FROM: u64 = 64 << 20;
/// The most bytes of long names and extended headers before one entry.
pub(super) const MAX_META: u64 = 1 << 20;
/// The most warnings that are kept.
const MAX_WARNINGS: usize = 20;

/// Read an archive that is open as `file`.
pub(super) fn read_archive(mut file: File, path: &Path, cancel: &Cancel) -> Result<Image> {
    let meta = file.metadata().map_err(|e| Error::io("read", path, &e))?;
    if !meta.is_file() {
        return Err(refused(path, "it is not a regular file"));
    }
    let mut head = [0; 512];
    let got = fill(&mut file, &mut head)
        .and_then(|n| file.rewind().map(|()| n))
        .map_err(|e| Error::io("read", path, &e))?;
    let meter = Rc::new(Meter::new(cancel.clone()));
    let counted = BufReader::with_capacity(
        256 << 10,
        Compressed {
            inner: file,
            meter: Rc::clone(&meter),
        },
    );
    let plain: Box<dyn Read> = match format(&head[..got]) {
        Format::Tar => Box::new(counted),
        Format::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(counted)),
        Format::Other(what) => {
            return Err(refused(
                path,
                &format!(
                    "it is {what}, not a .tar or .tar.gz; unpack it and give the directory, or pack it with `tar czf`"
                ),
            ));
        }
    };
    let mut builder = Builder::new(path, Rc::clone(&meter))?;
    match builder.archive(Metered {
        inner: plain,
        meter: Rc::clone(&meter),
    }) {
        Ok(()) => builder.finish(),
        Err(error) => Err(meter.refusal.take().unwrap_or(error)),
    }
}

enum Format {
    Tar,
    Gzip,
    Other(&'static str),
}

fn format(head: &[u8]) -> Format {
    let starts = |magic: &[u8]| head.starts_with(magic);
    if starts(b"\x1f\x8b") {
        Format::Gzip
    } else if head.get(257..262) == Some(b"ustar") || tar_checksum(head) {
        Format::Tar
    } else {
        Format::Other(match () {
            () if head.is_empty() => "empty",
            () if starts(b"\xfd7zXZ") => "compressed with xz",
            () if starts(b"BZh") => "compressed with bzip2",
            () if starts(b"\x28\xb5\x2f\xfd") => "compressed with zstd",
            () if starts(b"PK") => "a zip archive",
            () if starts(b"hsqs") || starts(b"sqsh") => "a squashfs image",
            () if starts(b"0707") => "a cpio archive",
            () => "something else",
        })
    }
}

/// Whether a block is the header of an entry, as in archives older than the `ustar` mark.
fn tar_checksum(head: &[u8]) -> bool {
    let Ok(block) = <&[u8; 512]>::try_from(head) else {
        return false;
    };
    let stored = tar::Header::from_byte_slice(block).cksum();
    let sum: u32 = block
        .iter()
        .enumerate()
        .map(|(i, b)| {
            if (148..156).contains(&i) {
                32
            } else {
                u32::from(*b)
            }
        })
        .sum();
    block[0] != 0 && stored.is_ok_and(|stored| stored == sum)
}

fn refused(path: &Path, why: &str) -> Error {
    Error::InvalidArgument(format!(
        "{} cannot be used as a root filesystem: {why}",
        path.display()
    ))
}

fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..])? {
            0 => break,
            n => filled += n,
        }
    }
    Ok(filled)
}

/// What was read so far, and what may still be.
struct Meter {
    compressed: Cell<u64>,
    /// Bytes that may be read until the next entry begins.
    allowance: Cell<u64>,
    content: Cell<u64>,
    cancel: Cancel,
    /// The reason behind an I/O error that was made here.
    refusal: RefCell<Option<Error>>,
}

impl Meter {
    fn new(cancel: Cancel) -> Self {
        Self {
            compressed: Cell::new(0),
            allowance: Cell::new(0),
            content: Cell::new(0),
            cancel,
            refusal: RefCell::new(None),
        }
    }

    fn stop(&self, error: Error) -> io::Error {
        self.refusal.replace(Some(error));
        io::Error::other("refused")
    }

    /// Count content that came out, and refuse a bomb.
    fn content(&self, bytes: u64, path: &Path) -> Result<()> {
        self.cancel.check()?;
        let total = self.content.get() + bytes;
        self.content.set(total);
        if total > MAX_BYTES {
            return Err(Error::Limit(format!(
                "{} holds more than {MAX_BYTES} bytes of files",
                path.display()
            )));
        }
        let compressed = self.compressed.get();
        if total > RATIO_FROM && compressed > 0 && total / compressed > MAX_RATIO {
            return Err(Error::Limit(format!(
                "{} unpacks to more than {MAX_RATIO} times its size, as an archive does that is made to fill a disk",
                path.display()
            )));
        }
        Ok(())
    }
}

struct Compressed {
    inner: File,
    meter: Rc<Meter>,
}

impl Read for Compressed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.meter
            .compressed
            .set(self.meter.compressed.get() + n as u64);
        Ok(n)
    }
}

struct Metered {
    inner: Box<dyn Read>,
    meter: Rc<Meter>,
}

impl Read for Metered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.meter.cancel.is_cancelled() {
            return Err(self.meter.stop(Error::Cancelled));
        }
        let allowance = self.meter.allowance.get();
        let want = usize::try_from(allowance)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        if want == 0 && !buffer.is_empty() {
            return Err(self.meter.stop(Error::Limit(format!(
                "the archive has more than {MAX_META} bytes of names and headers for one entry"
            ))));
        }
        let n = self
            .inner
            .read(buffer.get_mut(..want).unwrap_or_default())?;
        self.meter.allowance.set(allowance - n as u64);
        Ok(n)
    }
}

/// Gathers entries into a tree, and contents into one file.
pub(super) struct Builder<'a> {
    path: &'a Path,
    meter: Rc<Meter>,
    tree: Tree,
    data: BufWriter<File>,
    written: u64,
    warnings: Vec<String>,
}

impl<'a> Builder<'a> {
    fn new(path: &'a Path, meter: Rc<Meter>) -> Result<Self> {
        let data = tempfile::tempfile()
            .map_err(|e| Error::Internal(format!("cannot make a temporary file: {e}")))?;
        Ok(Self {
            path,
            meter,
            tree: Tree::default(),
            data: BufWriter::with_capacity(256 << 10, data),
            written: 0,
            warnings: Vec::new(),
        })
    }

    /// For a directory, which has no compressed size.
    pub(super) fn for_directory(path: &'a Path, cancel: &Cancel) -> Result<Self> {
        Self::new(path, Rc::new(Meter::new(cancel.clone())))
    }

    pub(super) fn finish(self) -> Result<Image> {
        let data = self.data.into_inner().map_err(|e| {
            Error::Internal(format!("cannot write a temporary file: {}", e.error()))
        })?;
        if self.tree.len() == 0 {
            return Err(refused(self.path, "it is empty"));
        }
        Ok(Image::new(self.tree, data, self.warnings))
    }

    pub(super) fn warn(&mut self, warning: String) {
        if self.warnings.len() < MAX_WARNINGS {
            self.warnings.push(warning);
        }
    }

    /// Add an entry; gives its path in the tree.
    pub(super) fn insert(&mut self, path: &[u8], entry: Entry) -> Result<Vec<u8>> {
        if self.tree.len() >= MAX_ENTRIES {
            return Err(Error::Limit(format!(
                "{} has more than {MAX_ENTRIES} entries",
                self.path.display()
            )));
        }
        self.tree
            .insert(path, entry)
            .map_err(|why| refused(self.path, &format!("entry {}: {why}", shown(path))))
    }

    /// Keep the content that `from` gives, at most [`MAX_BYTES`] in all.
    pub(super) fn content(&mut self, from: &mut impl Read) -> Result<Content> {
        let offset = self.written;
        let mut buffer = vec![0; 64 << 10];
        loop {
            let n = match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.damaged(&error)),
            };
            self.meter.content(n as u64, self.path)?;
            let written = self.data.write_all(buffer.get(..n).unwrap_or_default());
            written.map_err(|e| Error::Internal(format!("cannot write a temporary file: {e}")))?;
            self.written += n as u64;
        }
        Ok(Content::File {
            offset,
            bytes: self.written - offset,
        })
    }

    /// An entry that has the content of another.
    pub(super) fn hard_link(&self, target: &[u8], path: &[u8]) -> Result<Entry> {
        let no = |why: String| {
            refused(
                self.path,
                &format!(
                    "entry {} is a hard link to {}: {why}",
                    shown(path),
                    shown(target)
                ),
            )
        };
        let target = super::tree::normalise(target).map_err(no)?;
        // Only the name itself may be a link, and then the link is what both names share.
        let real = self
            .tree
            .resolve(&target, false)
            .map_err(|e| no(e.to_string()))?;
        let mut entry = self
            .tree
            .get(&real)
            .cloned()
            .ok_or_else(|| no("it does not exist".into()))?;
        if entry.content == Content::Directory {
            return Err(no("it is a directory".into()));
        }
        if entry.same_as.is_none() && matches!(entry.content, Content::File { .. }) {
            entry.same_as = Some(real);
        }
        Ok(entry)
    }

    fn damaged(&self, error: &io::Error) -> Error {
        refused(
            self.path,
            &format!("the archive is damaged or cut off ({error})"),
        )
    }

    fn archive(&mut self, reader: Metered) -> Result<()> {
        let mut archive = tar::Archive::new(reader);
        let mut entries = archive.entries().map_err(|e| self.damaged(&e))?;
        let mut seen = 0;
        loop {
            self.meter.allowance.set(MAX_META);
            let Some(entry) = entries.next() else {
                return Ok(());
            };
            let mut entry = entry.map_err(|e| self.damaged(&e))?;
            self.meter.allowance.set(u64::MAX);
            // Names that repeat cost time though not memory.
            seen += 1;
            if seen > MAX_ENTRIES * 2 {
                return Err(Error::Limit(format!(
                    "{} has more than {} entries",
                    self.path.display(),
                    MAX_ENTRIES * 2
                )));
            }
            self.archive_entry(&mut entry)?;
            io::copy(&mut entry, &mut io::sink()).map_err(|e| self.damaged(&e))?;
        }
    }

    fn archive_entry<R: Read>(&mut self, entry: &mut tar::Entry<'_, R>) -> Result<()> {
        use tar::EntryType;

        let path = entry.path_bytes().into_owned();
        let link = entry
            .link_name_bytes()
            .map(std::borrow::Cow::into_owned)
            .unwrap_or_default();
        if has_pax_sparse(entry) {
            return Err(refused(
                self.path,
                &format!(
                    "entry {} is a sparse file in PAX format; pack it without `--sparse`",
                    shown(&path)
                ),
            ));
        }
        let header = entry.header().clone();
        let kind = header.entry_type();
        if kind == EntryType::Link {
            let same = self.hard_link(&link, &path)?;
            if same.same_as.as_deref() != super::tree::normalise(&path).ok().as_deref() {
                self.insert(&path, same)?;
            }
            return Ok(());
        }
        let device = |block| -> io::Result<Content> {
            let number = |n: io::Result<Option<u32>>| n.map(Option::unwrap_or_default);
            Ok(Content::Device {
                block,
                major: number(header.device_major())?,
                minor: number(header.device_minor())?,
            })
        };
        let content = match kind {
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                // Old archives mark a directory only by its name.
                if path.ends_with(b"/") {
                    Content::Directory
                } else {
                    self.content(entry)?
                }
            }
            EntryType::Directory => Content::Directory,
            EntryType::Symlink if link.is_empty() || link.len() > 4095 || link.contains(&0) => {
                return Err(refused(
                    self.path,
                    &format!("entry {} is a link without a usable target", shown(&path)),
                ));
            }
            EntryType::Symlink => Content::Symlink(link),
            EntryType::Char => device(false).map_err(|e| self.damaged(&e))?,
            EntryType::Block => device(true).map_err(|e| self.damaged(&e))?,
            EntryType::Fifo => Content::Fifo,
            EntryType::XGlobalHeader => return Ok(()),
            other => {
                self.warn(format!(
                    "entry {} has the unknown type {:?} and is left out",
                    shown(&path),
                    char::from(other.as_byte())
                ));
                return Ok(());
            }
        };
        let number = |n: io::Result<u64>| n.unwrap_or(0);
        let mode = header.mode().map_err(|e| self.damaged(&e))? & 0o7777;
        let (uid, gid, mtime) = (
            number(header.uid()),
            number(header.gid()),
            number(header.mtime()),
        );
        self.insert(
            &path,
            Entry {
                content,
                mode,
                uid,
                gid,
                mtime,
                same_as: None,
            },
        )?;
        Ok(())
    }
}

fn has_pax_sparse<R: Read>(entry: &mut tar::Entry<'_, R>) -> bool {
    let Ok(Some(extensions)) = entry.pax_extensions() else {
        return false;
    };
    extensions
        .flatten()
        .any(|e| e.key_bytes().starts_with(b"GNU.sparse."))
}
