//! Read a root filesystem from where it comes: a `.tar`, a `.tar.gz`, a directory, or the tar
//! stream that a confined process makes of an image.
//!
//! The source is hostile. Names are normalised and stay inside the tree, whatever links say. What
//! is read is bounded by the numbers in `limits`: entries, bytes of content, a compression ratio,
//! and bytes of long names and extended headers for one entry.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::Path;
use std::rc::Rc;

use flate2::read::GzDecoder;
use rookery_images::{Format, HEAD, TAKEN, format};
use sha2::Digest;

use super::image::Image;
use super::limits::{MAX_ENTRIES, MAX_META};
use super::sound::{self, Original};
use super::stream::{Compressed, Gunzip, Meter, Metered};
use super::tree::{Content, Entry, Tree, Unresolved, shown};
use crate::{Cancel, Error, Result};

/// The most warnings that are kept.
const MAX_WARNINGS: usize = 20;

/// Read an archive that is open as `file`.
pub(super) fn read_archive(mut file: File, path: &Path, cancel: &Cancel) -> Result<Image> {
    let meta = file.metadata().map_err(|e| Error::io("read", path, &e))?;
    if !meta.is_file() {
        return Err(refused(path, "it is not a regular file"));
    }
    let packed = recognise(&mut file, path)?;
    let meter = Rc::new(Meter::new(cancel.clone()));
    let digest = Rc::default();
    let again = file.try_clone().map_err(|e| Error::io("read", path, &e))?;
    let counted = BufReader::with_capacity(
        256 << 10,
        Compressed {
            inner: file,
            meter: Rc::clone(&meter),
            digest: Rc::clone(&digest),
        },
    );
    let plain: Box<dyn Read> = if packed {
        Box::new(Gunzip::new(counted, Rc::clone(&meter)))
    } else {
        Box::new(counted)
    };
    let purpose = Purpose::Root;
    let subject = Subject { path, purpose };
    let mut builder = Builder::new(subject, Rc::clone(&meter))?;
    match builder.archive(Metered {
        inner: plain,
        meter: Rc::clone(&meter),
    }) {
        Ok(()) => {
            let is_sound = packed && builder.is_sound;
            let mut image = builder.finish()?;
            let digest = digest.borrow().clone().finalize().into();
            image.original = is_sound.then(|| Original::new(again, digest));
            Ok(image)
        }
        Err(error) => Err(meter.refusal.take().unwrap_or(error)),
    }
}

/// Whether an archive is packed with gzip. What is not an archive is refused.
fn recognise(file: &mut File, path: &Path) -> Result<bool> {
    let head = head(file, |file| file).map_err(|e| Error::io("read", path, &e))?;
    if head.is_empty() {
        return Err(not_taken(path, "empty", None));
    }
    let (format, packed) = match format(&head) {
        // What is inside and unknown is left to the reader of archives, which says what is wrong
        // with it.
        Format::Gzip => match self::head(file, GzDecoder::new).map(|inner| format(&inner)) {
            Ok(Format::Unknown) | Err(_) => (Format::Tar, true),
            Ok(inner) => (inner, true),
        },
        format => (format, false),
    };
    let inside = if packed { ", packed with gzip" } else { "" };
    match format {
        Format::Tar => Ok(packed),
        Format::Other { what, tool } => {
            Err(not_taken(path, &format!("{what}{inside}"), Some(tool)))
        }
        Format::Unknown => Err(not_taken(path, "something else", None)),
        // A project's own archive is never one.
        image => Err(refused(
            path,
            &format!(
                "it is {}{inside}, not a .tar or .tar.gz; make a project of it with `init_project`",
                image.what()
            ),
        )),
    }
}

fn not_taken(path: &Path, what: &str, tool: Option<&str>) -> Error {
    let next = match tool {
        Some(tool) => format!("extract it with {tool}, and give the directory"),
        None => "extract the firmware with `binwalk -e` or `unblob`, and give the directory".into(),
    };
    refused(path, &format!("it is {what}; {next}. Taken are {TAKEN}"))
}

/// What is read, as errors name it.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub path: &'a Path,
    pub purpose: Purpose,
}

/// What it is read for.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    /// To make a project of it, or to run that.
    Root,
    /// To show it to a guest that mounts it.
    Mount,
}

impl Subject<'_> {
    pub(super) fn refused(&self, why: &str) -> Error {
        let to_be = match self.purpose {
            Purpose::Root => "used as a root filesystem",
            Purpose::Mount => "mounted",
        };
        Error::InvalidArgument(format!("{} cannot be {to_be}: {why}", self.path.display()))
    }
}

/// Of a file that is to be a root filesystem.
fn refused(path: &Path, why: &str) -> Error {
    let purpose = Purpose::Root;
    Subject { path, purpose }.refused(why)
}

/// How a file begins, read through `open`; afterwards it is at its start again.
pub(super) fn head<'a, R: Read>(
    file: &'a mut File,
    open: impl FnOnce(&'a mut File) -> R,
) -> io::Result<Vec<u8>> {
    let mut again = file.try_clone()?;
    let mut head = Vec::new();
    let read = open(file).take(HEAD as u64).read_to_end(&mut head);
    again.rewind()?;
    // What is cut off still begins like what it was.
    match read {
        Err(error) if head.is_empty() => Err(error),
        _ => Ok(head),
    }
}

/// Gathers entries into a tree, and contents into one file.
pub(super) struct Builder<'a> {
    subject: Subject<'a>,
    meter: Rc<Meter>,
    tree: Tree,
    data: BufWriter<File>,
    written: u64,
    warnings: Vec<String>,
    /// Nothing was put right or left out so far.
    is_sound: bool,
}

impl<'a> Builder<'a> {
    pub(super) fn new(subject: Subject<'a>, meter: Rc<Meter>) -> Result<Self> {
        let data = tempfile::tempfile()
            .map_err(|e| Error::Internal(format!("cannot make a temporary file: {e}")))?;
        Ok(Self {
            subject,
            meter,
            tree: Tree::default(),
            data: BufWriter::with_capacity(256 << 10, data),
            written: 0,
            warnings: Vec::new(),
            is_sound: true,
        })
    }

    /// For a directory, which has no compressed size.
    pub(super) fn for_directory(path: &'a Path, cancel: &Cancel) -> Result<Self> {
        let purpose = Purpose::Root;
        Self::new(
            Subject { path, purpose },
            Rc::new(Meter::new(cancel.clone())),
        )
    }

    pub(super) fn finish(self) -> Result<Image> {
        let data = self.data.into_inner().map_err(|e| {
            Error::Internal(format!("cannot write a temporary file: {}", e.error()))
        })?;
        if self.tree.len() == 0 {
            return Err(self.subject.refused("it is empty"));
        }
        Ok(Image::new(self.tree, data, self.warnings))
    }

    pub(super) fn warn(&mut self, warning: String) {
        self.is_sound = false;
        if self.warnings.len() < MAX_WARNINGS {
            self.warnings.push(warning);
        }
    }

    /// Add an entry; gives its path in the tree.
    pub(super) fn insert(&mut self, path: &[u8], entry: Entry) -> Result<Vec<u8>> {
        if self.tree.len() >= MAX_ENTRIES {
            return Err(Error::Limit(format!(
                "{} has more than {MAX_ENTRIES} entries",
                self.subject.path.display()
            )));
        }
        self.tree.insert(path, entry).map_err(|why| {
            self.subject
                .refused(&format!("entry {}: {why}", shown(path)))
        })
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
            self.meter.content(n as u64, self.subject.path)?;
            let written = self.data.write_all(buffer.get(..n).unwrap_or_default());
            written.map_err(|e| Error::Internal(format!("cannot write a temporary file: {e}")))?;
            self.written += n as u64;
        }
        Ok(Content::File {
            offset,
            bytes: self.written - offset,
        })
    }

    /// Whether a path leads nowhere, without leading out of the archive.
    fn lacks(&self, target: &[u8]) -> bool {
        let target = super::tree::normalise(target);
        target.is_ok_and(|target| {
            let found = self.tree.resolve(&target, false);
            matches!(found, Err(Unresolved::Missing(_)))
        })
    }

    /// An entry that has the content of another.
    pub(super) fn hard_link(&self, target: &[u8], path: &[u8]) -> Result<Entry> {
        let no = |why: String| {
            self.subject.refused(&format!(
                "entry {} is a hard link to {}: {why}",
                shown(path),
                shown(target)
            ))
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
        self.subject
            .refused(&format!("the archive is damaged or cut off ({error})"))
    }

    pub(super) fn archive(&mut self, reader: Metered) -> Result<()> {
        let mut archive = tar::Archive::new(reader);
        let mut entries = archive.entries().map_err(|e| self.damaged(&e))?;
        let mut seen = 0;
        loop {
            self.meter.allowance.set(MAX_META);
            let Some(entry) = entries.next() else {
                break;
            };
            let mut entry = entry.map_err(|e| self.damaged(&e))?;
            self.meter.allowance.set(u64::MAX);
            // Names that repeat cost time though not memory.
            seen += 1;
            if seen > MAX_ENTRIES * 2 {
                return Err(Error::Limit(format!(
                    "{} has more than {} entries",
                    self.subject.path.display(),
                    MAX_ENTRIES * 2
                )));
            }
            self.archive_entry(&mut entry)?;
            io::copy(&mut entry, &mut io::sink()).map_err(|e| self.damaged(&e))?;
        }
        self.rest(archive.into_inner())
    }

    /// Read what follows the last entry: only the end of compressed data tells whether it was
    /// whole.
    fn rest(&mut self, mut reader: Metered) -> Result<()> {
        self.meter.allowance.set(u64::MAX);
        let mut buffer = vec![0; 64 << 10];
        loop {
            let n = reader.read(&mut buffer).map_err(|e| self.damaged(&e))?;
            if n == 0 {
                break;
            }
            self.meter.content(n as u64, self.subject.path)?;
        }
        if self.meter.garbage.get() {
            self.warn(
                "something follows the end of the compressed archive, and is left out".into(),
            );
        }
        Ok(())
    }

    fn archive_entry<R: Read>(&mut self, entry: &mut tar::Entry<'_, R>) -> Result<()> {
        use tar::EntryType;

        let path = entry.path_bytes().into_owned();
        let link = entry
            .link_name_bytes()
            .map(std::borrow::Cow::into_owned)
            .unwrap_or_default();
        if has_pax_sparse(entry) {
            return Err(self.subject.refused(&format!(
                "entry {} is a sparse file in PAX format; pack it without `--sparse`",
                shown(&path)
            )));
        }
        let header = entry.header().clone();
        let kind = header.entry_type();
        self.is_sound &= sound::is_plain(&self.tree, &path, kind) && has_harmless_pax(entry);
        if kind == EntryType::Link {
            if self.lacks(&link) {
                self.warn(format!(
                    "{} is a second name of {}, which is not in the archive, and is left out: \
                     extract or pack the firmware again, with all of its files",
                    shown(&path),
                    shown(&link)
                ));
                return Ok(());
            }
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
                return Err(self.subject.refused(&format!(
                    "entry {} is a link without a usable target",
                    shown(&path)
                )));
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

fn has_harmless_pax<R: Read>(entry: &mut tar::Entry<'_, R>) -> bool {
    match entry.pax_extensions() {
        Ok(Some(extensions)) => {
            let mut keys = extensions.map(|e| e.is_ok_and(|e| sound::is_harmless(e.key_bytes())));
            keys.all(|is_harmless| is_harmless)
        }
        Ok(None) => true,
        Err(_) => false,
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
