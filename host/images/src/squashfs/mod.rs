//! A squashfs image.

mod blocks;
mod every;
mod lzma;
mod three;

use std::collections::HashMap;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;

use anyhow::{Context, Result, bail};
use backhand::kind::{AVM_BE_V4_0, BE_V3_0, BE_V4_0, Kind, LE_V3_0, LE_V4_0};
use backhand::traits::filesystem::{
    BackhandInnerNode as Inner, BackhandNode as Node, BackhandSquashfsFileReader as File,
};
use backhand::{FilesystemReaderTrait as Filesystem, create_squashfs_from_kind};

use self::blocks::Blocks;
use self::every::{OTHERWISE, device, is_big};
use crate::source::Source;
use crate::tarball::{Entry, Meta, Tarball};

static BLOCKS: Blocks = Blocks;

pub(crate) fn read(image: &Source, to: &mut Tarball<impl Write>) -> Result<()> {
    let head = Head::of(image)?;
    if head.major == 3 && three::is_lzma(image) {
        return three::read(image, to);
    }
    let filesystem = open(image, &head)?;
    let names = Names::of(filesystem.as_ref());
    // Where each file of several names came first.
    let mut firsts: HashMap<Key, Vec<u8>> = HashMap::new();
    for node in filesystem.files() {
        let path = node.fullpath.as_os_str().as_bytes();
        let meta = meta(&node);
        match &node.inner {
            Inner::File(file) => {
                let key = names.several(file, meta);
                if let Some(first) = key.as_ref().and_then(|key| firsts.get(key)) {
                    to.entry(path, &meta, &Entry::HardLink(first))?;
                    continue;
                }
                to.file_from(path, &meta, file.file_len() as u64, |to| {
                    filesystem.file_data_to_writer(file, to).map_err(damaged)?;
                    Ok(())
                })?;
                if let Some(key) = key {
                    firsts.insert(key, path.to_vec());
                }
            }
            Inner::Symlink { link } => {
                to.entry(path, &meta, &Entry::Symlink(link.as_os_str().as_bytes()))?;
            }
            Inner::Dir => to.entry(path, &meta, &Entry::Directory)?,
            Inner::CharacterDevice { device_number } => {
                to.entry(path, &meta, &device(false, *device_number))?;
            }
            Inner::BlockDevice { device_number } => {
                to.entry(path, &meta, &device(true, *device_number))?;
            }
            Inner::NamedPipe => to.entry(path, &meta, &Entry::Fifo)?,
            Inner::Socket => to.warn(format!(
                "{} is a socket and is left out",
                node.fullpath.display()
            )),
        }
    }
    Ok(())
}

fn open(image: &Source, head: &Head) -> Result<Box<dyn Filesystem>> {
    let mut failed = None;
    for kind in head.kinds()? {
        match create_squashfs_from_kind(image.clone().buffered(), 0, kind) {
            Ok(filesystem) => return Ok(filesystem),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    let why = failed.map_or_else(String::new, |error| format!(" ({error:?})"));
    let why: String = why.chars().take(200).collect();
    bail!("its squashfs is damaged, cut off, or of a vendor's own variant{why}: {OTHERWISE}")
}

fn damaged(error: backhand::BackhandError) -> anyhow::Error {
    match error {
        backhand::BackhandError::StdIo(error) => error.into(),
        other => anyhow::anyhow!("a block of it is damaged ({other:?}): {OTHERWISE}"),
    }
}

/// How the image begins.
struct Head {
    big: bool,
    compressor: u16,
    major: u16,
    minor: u16,
}

impl Head {
    fn of(image: &Source) -> Result<Self> {
        let mut head = [0; 32];
        image
            .read_exact_at(&mut head, 0)
            .context("its squashfs is cut off")?;
        let big = is_big(&head);
        let number = |at: usize| {
            let bytes = [head[at], head[at + 1]];
            if big {
                u16::from_be_bytes(bytes)
            } else {
                u16::from_le_bytes(bytes)
            }
        };
        Ok(Self {
            big,
            compressor: number(20),
            major: number(28),
            minor: number(30),
        })
    }

    /// The kinds of squashfs that the image may be.
    fn kinds(&self) -> Result<Vec<Kind>> {
        let with_blocks = |kind| Kind::new_v4_with_const(&BLOCKS, kind);
        let (compressor, major, minor) = (self.compressor, self.major, self.minor);
        Ok(match (major, minor, self.big) {
            (4, 0, _) if !(1..=6).contains(&compressor) => bail!(
                "its squashfs names the unknown compressor {compressor}, which is none of gzip, \
                 lzma, lzo, xz, lz4 and zstd: {OTHERWISE}"
            ),
            (4, 0, false) => vec![with_blocks(LE_V4_0)],
            // AVM's has some numbers in the other order.
            (4, 0, true) => vec![with_blocks(BE_V4_0), with_blocks(AVM_BE_V4_0)],
            (3, 0 | 1, big) => {
                let kind = Kind::from_const(if big { BE_V3_0 } else { LE_V3_0 });
                let kind = kind.map_err(anyhow::Error::msg)?;
                vec![kind.with_version(major, minor)]
            }
            _ => bail!(
                "its squashfs has the version {major}.{minor}, not 3.0, 3.1 or 4.0: {OTHERWISE}"
            ),
        })
    }
}

fn meta(node: &Node) -> Meta {
    Meta {
        mode: node.header.permissions.into(),
        uid: node.header.uid.into(),
        gid: node.header.gid.into(),
        mtime: node.header.mtime.into(),
    }
}

/// What two names of one file have in common. Other files of the same content may have it too.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    start: u64,
    fragment: usize,
    offset: u32,
    bytes: usize,
    links: u32,
    meta: Meta,
}

impl Key {
    /// Of a file that says that it has several names.
    fn of(file: &File, meta: Meta) -> Option<Self> {
        match file {
            File::Extended { link_count, .. } if *link_count > 1 => Some(Self {
                start: file.blocks_start(),
                fragment: file.frag_index(),
                offset: file.block_offset(),
                bytes: file.file_len(),
                links: *link_count,
                meta,
            }),
            _ => None,
        }
    }
}

/// How many names there are of each file that has several: the crate does not tell which inode a
/// name has.
struct Names(HashMap<Key, u32>);

impl Names {
    fn of(filesystem: &dyn Filesystem) -> Self {
        let mut names = HashMap::new();
        for node in filesystem.files() {
            if let Inner::File(file) = &node.inner
                && let Some(key) = Key::of(file, meta(&node))
            {
                *names.entry(key).or_insert(0) += 1;
            }
        }
        Self(names)
    }

    /// The key of a file of several names, unless more have it than the file has names: then
    /// different files share their content, and each name is kept as a file.
    fn several(&self, file: &File, meta: Meta) -> Option<Key> {
        let key = Key::of(file, meta)?;
        let names = self.0.get(&key)?;
        (*names <= key.links).then_some(key)
    }
}
