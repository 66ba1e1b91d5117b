//! A cpio archive: of the kernel's initramfs, of POSIX, or of the old kind.

mod header;

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read, Write};

use anyhow::{Context, Result, bail, ensure};

use self::header::Header;
use crate::tarball::{Entry, Meta, Tarball};

/// The longest target of a link.
const MAX_TARGET: u64 = 4096;

/// Names of files with several, by device and inode.
type Names = BTreeMap<(u64, u64), Linked>;

/// One file with several names. In an initramfs its content comes with one of them, mostly the
/// last; elsewhere with each.
#[derive(Default)]
struct Linked {
    /// The name that the content came with.
    first: Option<Vec<u8>>,
    /// Names that came before it.
    waiting: Vec<(Vec<u8>, Meta)>,
}

pub(crate) fn read(mut input: impl BufRead, to: &mut Tarball<impl Write>) -> Result<()> {
    let mut names = Names::new();
    loop {
        let header = Header::read(&mut input).context("it is damaged or cut off")?;
        if header.is_trailer() {
            without_content(&mut names, to)?;
            // What follows belongs to another archive, as a kernel takes several.
            match skip_zeros(&mut input)? {
                None => return Ok(()),
                Some(b'0') => continue,
                Some(_) => {
                    to.warn("something follows the end of the archive, and is left out".into());
                    return Ok(());
                }
            }
        }
        let mut content = input.by_ref().take(header.size);
        entry(&header, &mut content, &mut names, to)?;
        io::copy(&mut content, &mut io::sink())?;
        ensure!(content.limit() == 0, "it is cut off");
        io::copy(&mut input.by_ref().take(header.padding), &mut io::sink())?;
    }
}

/// The first byte that is not zero; none at the end.
fn skip_zeros(input: &mut impl BufRead) -> Result<Option<u8>> {
    loop {
        let bytes = input.fill_buf()?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let (zeros, next) = match bytes.iter().position(|b| *b != 0) {
            Some(at) => (at, bytes.get(at).copied()),
            None => (bytes.len(), None),
        };
        input.consume(zeros);
        if next.is_some() {
            return Ok(next);
        }
    }
}

fn entry(
    header: &Header,
    content: &mut impl Read,
    names: &mut Names,
    to: &mut Tarball<impl Write>,
) -> Result<()> {
    let path = &header.name;
    let meta = Meta {
        mode: header.mode,
        uid: header.uid.into(),
        gid: header.gid.into(),
        mtime: header.mtime.into(),
    };
    let (major, minor) = header.device;
    let device = |block| Entry::Device {
        block,
        major,
        minor,
    };
    match header.mode & 0o170_000 {
        0o100_000 if header.links > 1 => linked(header, &meta, content, names, to),
        0o100_000 => to.file(path, &meta, header.size, content),
        0o120_000 => {
            let mut target = Vec::new();
            content.take(MAX_TARGET).read_to_end(&mut target)?;
            to.entry(path, &meta, &Entry::Symlink(&target))
        }
        0o040_000 => to.entry(path, &meta, &Entry::Directory),
        0o020_000 => to.entry(path, &meta, &device(false)),
        0o060_000 => to.entry(path, &meta, &device(true)),
        0o010_000 => to.entry(path, &meta, &Entry::Fifo),
        0o140_000 => {
            let path = path.escape_ascii();
            to.warn(format!("{path} is a socket and is left out"));
            Ok(())
        }
        other => bail!("{} is of the unknown type {other:o}", path.escape_ascii()),
    }
}

fn linked(
    header: &Header,
    meta: &Meta,
    content: &mut impl Read,
    names: &mut Names,
    to: &mut Tarball<impl Write>,
) -> Result<()> {
    let path = &header.name;
    let linked = names.entry(header.file).or_default();
    if let Some(first) = &linked.first {
        return to.entry(path, meta, &Entry::HardLink(first));
    }
    if header.size == 0 {
        linked.waiting.push((path.clone(), *meta));
        return Ok(());
    }
    to.file(path, meta, header.size, content)?;
    for (name, meta) in std::mem::take(&mut linked.waiting) {
        to.entry(&name, &meta, &Entry::HardLink(path))?;
    }
    linked.first = Some(path.clone());
    Ok(())
}

/// Write the files of several names that are empty.
fn without_content(names: &mut Names, to: &mut Tarball<impl Write>) -> Result<()> {
    for (_, linked) in std::mem::take(names) {
        let mut waiting = linked.waiting.into_iter();
        let Some((first, meta)) = waiting.next() else {
            continue;
        };
        to.file(&first, &meta, 0, &mut io::empty())?;
        for (name, meta) in waiting {
            to.entry(&name, &meta, &Entry::HardLink(&first))?;
        }
    }
    Ok(())
}
