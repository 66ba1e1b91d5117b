//! A squashfs image of version 3 whose blocks are packed with lzma, as vendors changed its tools
//! before version 4 had that. Nothing in such an image says so, nor with which of lzma's settings.

mod inode;
mod metadata;

use std::collections::{HashMap, HashSet};
use std::io::Write;

use anyhow::{Result, bail, ensure};

use self::inode::{File, Inode, Kind};
use self::metadata::Image;
use super::every::{OTHERWISE, device};
use super::lzma::Settings;
use crate::source::Source;
use crate::tarball::{Entry, Meta, Tarball};

/// More than any firmware has.
const NODES_MAX: usize = 1 << 20;

/// Whether the blocks are packed otherwise than with gzip.
pub(super) fn is_lzma(source: &Source) -> bool {
    const GZIP: u8 = 0x78;
    let first = Image::open(source.clone(), Settings::USUAL).and_then(|image| image.first());
    first.is_ok_and(|packed| packed.is_some_and(|bytes| bytes.first() != Some(&GZIP)))
}

pub(super) fn read(source: &Source, to: &mut Tarball<impl Write>) -> Result<()> {
    for settings in Settings::all() {
        let image = Image::open(source.clone(), settings)?;
        // With other settings the directories make no sense.
        if let Ok(nodes) = walk(&image) {
            return write(&image, &nodes, to);
        }
    }
    bail!("its squashfs is damaged, cut off, or of a vendor's own variant: {OTHERWISE}")
}

struct Node {
    path: Vec<u8>,
    inode: Inode,
}

/// All that the image has, a directory before what is in it.
fn walk(image: &Image) -> Result<Vec<Node>> {
    let mut nodes = Vec::new();
    let mut seen = HashSet::new();
    let mut left = vec![(Vec::new(), image.root)];
    while let Some((path, place)) = left.pop() {
        let inode = image.inode(place)?;
        ensure!(nodes.len() < NODES_MAX, "it has too many files");
        if let Kind::Directory(directory) = &inode.kind {
            ensure!(seen.insert(place), "a directory is inside itself");
            for (name, place) in image.list(directory)? {
                left.push(([&path[..], b"/", &name].concat(), place));
            }
        } else {
            ensure!(!path.is_empty(), "its root is not a directory");
        }
        nodes.push(Node { path, inode });
    }
    Ok(nodes)
}

fn write(image: &Image, nodes: &[Node], to: &mut Tarball<impl Write>) -> Result<()> {
    // Where each file of several names came first.
    let mut firsts: HashMap<u32, &[u8]> = HashMap::new();
    for Node { path, inode } in nodes {
        let meta = &inode.meta;
        let entry = match &inode.kind {
            Kind::Directory(_) => Entry::Directory,
            Kind::File(file) if file.names > 1 && firsts.contains_key(&inode.number) => {
                Entry::HardLink(firsts.get(&inode.number).copied().unwrap_or_default())
            }
            Kind::File(file) => {
                content(image, file, path, meta, to)?;
                firsts.insert(inode.number, path);
                continue;
            }
            Kind::Symlink(target) => Entry::Symlink(target),
            Kind::Device { block, number } => device(*block, u32::from(*number)),
            Kind::Fifo => Entry::Fifo,
            Kind::Socket => {
                let path = String::from_utf8_lossy(path);
                to.warn(format!("{path} is a socket and is left out"));
                continue;
            }
        };
        to.entry(path, meta, &entry)?;
    }
    Ok(())
}

fn content(
    image: &Image,
    file: &File,
    path: &[u8],
    meta: &Meta,
    to: &mut Tarball<impl Write>,
) -> Result<()> {
    to.file_from(path, meta, file.bytes, |to| {
        let mut at = file.start;
        let mut left = file.bytes;
        for size in &file.blocks {
            let length = left.min(image.block_size);
            to.write_all(&image.block(at, *size, length)?)?;
            at = at.saturating_add(size.on_disk());
            left -= length;
        }
        if let Some((fragment, offset)) = file.fragment {
            to.write_all(&image.fragment(fragment, offset, left)?)?;
        }
        Ok(())
    })
}
