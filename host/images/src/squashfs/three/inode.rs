//! Inodes and directories.

use anyhow::{Result, bail, ensure};

use super::metadata::{Image, Place, Size};
use crate::tarball::Meta;

/// The group of a file that has its user's number.
const SAME: u64 = 255;
const NO_FRAGMENT: u64 = 0xFFFF_FFFF;
/// What the size of a directory counts without having it: `.` and `..`.
const DOTS: u64 = 3;
const TARGET_MAX: u64 = 4096;

pub(super) struct Inode {
    pub meta: Meta,
    pub number: u32,
    pub kind: Kind,
}

pub(super) enum Kind {
    Directory(Directory),
    File(File),
    Symlink(Vec<u8>),
    Device { block: bool, number: u16 },
    Fifo,
    Socket,
}

pub(super) struct Directory {
    place: Place,
    bytes: u64,
}

pub(super) struct File {
    pub bytes: u64,
    pub start: u64,
    pub blocks: Vec<Size>,
    /// Its number, and where in it the file's last bytes are.
    pub fragment: Option<(u64, u64)>,
    pub names: u64,
}

impl Image {
    pub fn inode(&self, place: Place) -> Result<Inode> {
        let mut from = self.cursor(self.inodes, place)?;
        let (kind, mode) = self.order.split(from.number(2)?, 16, 4);
        let (user, group) = (from.number(1)?, from.number(1)?);
        let id = |ids: &[u32], at: u64| {
            let id = usize::try_from(at).ok().and_then(|at| ids.get(at));
            id.copied().map_or(0, u64::from)
        };
        let uid = id(&self.users, user);
        let meta = Meta {
            mode: u32::try_from(mode)?,
            uid,
            gid: if group == SAME {
                uid
            } else {
                id(&self.groups, group)
            },
            mtime: from.number(4)?,
        };
        let number = u32::try_from(from.number(4)?)?;
        let kind = match kind {
            1 | 8 => {
                from.number(4)?;
                let (width, bits, first) = if kind == 1 { (4, 32, 19) } else { (5, 40, 27) };
                let shared = from.number(width)?;
                let (bytes, offset) = self.order.split(shared, bits, first);
                let place = (from.number(4)?, usize::try_from(offset)?);
                Kind::Directory(Directory { place, bytes })
            }
            2 | 9 => {
                let names = if kind == 9 { from.number(4)? } else { 1 };
                let start = from.number(8)?;
                let (fragment, offset) = (from.number(4)?, from.number(4)?);
                let bytes = from.number(if kind == 9 { 8 } else { 4 })?;
                let fragment = (fragment != NO_FRAGMENT).then_some((fragment, offset));
                let count = match fragment {
                    Some(_) => bytes / self.block_size,
                    None => bytes.div_ceil(self.block_size),
                };
                let blocks = (0..count).map(|_| from.number(4).map(Size::new));
                Kind::File(File {
                    bytes,
                    start,
                    blocks: blocks.collect::<Result<_>>()?,
                    fragment,
                    names,
                })
            }
            3 => {
                from.number(4)?;
                let length = from.number(2)?;
                ensure!(length <= TARGET_MAX, "a link of it is too long");
                Kind::Symlink(from.take(usize::try_from(length)?)?)
            }
            4 | 5 => {
                from.number(4)?;
                let number = u16::try_from(from.number(2)?)?;
                let block = kind == 4;
                Kind::Device { block, number }
            }
            6 => Kind::Fifo,
            7 => Kind::Socket,
            _ => bail!("it has an inode of the unknown kind {kind}"),
        };
        Ok(Inode { meta, number, kind })
    }

    /// The names in a directory, each with its inode's place.
    pub fn list(&self, directory: &Directory) -> Result<Vec<(Vec<u8>, Place)>> {
        let mut names = Vec::new();
        let mut left = directory.bytes.saturating_sub(DOTS);
        let mut from = self.cursor(self.directories, directory.place)?;
        while left > 0 {
            let (count, block) = (from.number(1)? + 1, from.number(4)?);
            from.number(4)?;
            let mut used = 9;
            for _ in 0..count {
                let (offset, _) = self.order.split(from.number(2)?, 16, 13);
                let length = from.number(1)? + 1;
                from.number(2)?;
                let name = from.take(usize::try_from(length)?)?;
                let bad =
                    name.contains(&b'/') || name.contains(&0) || matches!(&name[..], b"." | b"..");
                ensure!(!bad, "a name in it is none");
                names.push((name, (block, usize::try_from(offset)?)));
                used += 5 + length;
            }
            ensure!(used <= left, "a directory of it is longer than it says");
            left -= used;
        }
        Ok(names)
    }
}
