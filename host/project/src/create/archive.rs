//! Write a root filesystem as `base/fs.tar.gz`.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use tar::{EntryType, Header};

use super::members::Members;
use crate::firmware::Image;
use crate::firmware::tree::{Content, Entry};
use crate::{Cancel, Error, Result};

/// Write the archive that the image came from, where that is sound, else all entries, sorted, hard
/// links after what they link to. Modes, owners, times and device nodes are kept.
pub(super) fn write(image: &Image, file: File, cancel: &Cancel) -> Result<()> {
    if let Some(original) = &image.original {
        return original.copy(file, cancel);
    }
    let failed = |e: &io::Error| {
        if cancel.is_cancelled() {
            Error::Cancelled
        } else {
            Error::Internal(format!("cannot write base/fs.tar.gz: {e}"))
        }
    };
    let packed = Members::new(BufWriter::new(file)).map_err(|e| failed(&e))?;
    let mut archive = tar::Builder::new(packed);
    let tree = &image.tree;
    let root = tree.get(b"").into_iter().map(|entry| (&b""[..], entry));
    let (links, firsts): (Vec<_>, Vec<_>) = tree
        .iter()
        .partition(|(_, entry)| tree.is_second_name(entry));
    for (path, entry) in root.chain(firsts) {
        cancel.check()?;
        append(&mut archive, image, path, entry, false).map_err(|e| failed(&e))?;
    }
    for (path, entry) in links {
        append(&mut archive, image, path, entry, true).map_err(|e| failed(&e))?;
    }
    let packed = archive.into_inner().and_then(Members::finish);
    packed.map(drop).map_err(|e| failed(&e))
}

fn append(
    archive: &mut tar::Builder<impl Write>,
    image: &Image,
    path: &[u8],
    entry: &Entry,
    second: bool,
) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_mode(entry.mode);
    header.set_uid(entry.uid);
    header.set_gid(entry.gid);
    header.set_mtime(entry.mtime);
    header.set_size(0);
    let name = [b"./", path].concat();
    let name = Path::new(OsStr::from_bytes(&name));
    let target = match (&entry.content, second) {
        (_, true) => {
            header.set_entry_type(EntryType::Link);
            entry
                .same_as
                .as_ref()
                .map(|first| [b"./", first.as_slice()].concat())
        }
        (Content::Symlink(target), _) => {
            header.set_entry_type(EntryType::Symlink);
            Some(target.clone())
        }
        _ => None,
    };
    if let Some(target) = target {
        // A short target is written as it is; a long one needs an entry of its own.
        if header.set_link_name_literal(&target).is_err() {
            return archive.append_link(&mut header, name, OsStr::from_bytes(&target));
        }
        return archive.append_data(&mut header, name, io::empty());
    }
    match &entry.content {
        Content::File { bytes, .. } => {
            header.set_entry_type(EntryType::Regular);
            header.set_size(*bytes);
            return archive.append_data(
                &mut header,
                name,
                Reader {
                    image,
                    entry,
                    at: 0,
                },
            );
        }
        Content::Device {
            block,
            major,
            minor,
        } => {
            header.set_entry_type(if *block {
                EntryType::Block
            } else {
                EntryType::Char
            });
            header.set_device_major(*major)?;
            header.set_device_minor(*minor)?;
        }
        Content::Fifo => header.set_entry_type(EntryType::Fifo),
        Content::Directory | Content::Symlink(_) => header.set_entry_type(EntryType::Directory),
    }
    archive.append_data(&mut header, name, io::empty())
}

/// Reads the content of one file.
struct Reader<'a> {
    image: &'a Image,
    entry: &'a Entry,
    at: u64,
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let chunk = self
            .image
            .read(self.entry, self.at, buffer.len())
            .map_err(io::Error::other)?;
        buffer
            .get_mut(..chunk.len())
            .unwrap_or_default()
            .copy_from_slice(&chunk);
        self.at += chunk.len() as u64;
        Ok(chunk.len())
    }
}
