//! The inodes of an ext file system, as far as `ext4-view` does not tell them: which one a name
//! has, how many names it has, and the number of a device.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use ext4_view::FileType;

use crate::source::Source;

/// The inode of the root directory.
pub(super) const ROOT: u32 = 2;
/// Where the superblock begins, and its length.
const SUPERBLOCK: (u64, usize) = (1024, 1024);
/// Features that decide where things are: groups of descriptors, and wide descriptors.
const META_BG: u32 = 0x10;
const WIDE: u32 = 0x80;
/// Flags of an inode: its blocks are extents, or its content is inside it.
const EXTENTS: u32 = 0x8_0000;
const INLINE: u32 = 0x1000_0000;
/// The most blocks of one directory.
const MAX_BLOCKS: usize = 1 << 16;
/// How deep blocks that name blocks are nested at most.
const MAX_DEPTH: u16 = 5;

pub(super) struct Inodes {
    image: Source,
    block_bytes: u32,
    per_group: u32,
    inode_bytes: u16,
    /// Where the table of each group begins, by its block.
    descriptors: u64,
    descriptor_bytes: u16,
    wide: bool,
}

/// What is needed of an inode.
#[derive(Clone, Copy)]
pub(super) struct Inode {
    mode: u16,
    pub links: u16,
    flags: u32,
    blocks: [u8; 60],
}

impl Inode {
    /// Whether it is of this kind.
    pub(super) fn is(&self, kind: FileType) -> bool {
        let own = match self.mode >> 12 {
            0o01 => FileType::Fifo,
            0o02 => FileType::CharacterDevice,
            0o04 => FileType::Directory,
            0o06 => FileType::BlockDevice,
            0o10 => FileType::Regular,
            0o12 => FileType::Symlink,
            0o14 => FileType::Socket,
            _ => return false,
        };
        own == kind
    }

    /// The major and the minor number of a device, in the old form or in the new one.
    pub(super) fn device(&self) -> (u32, u32) {
        let word = |at| u32_at(&self.blocks, at).unwrap_or(0);
        match (word(0), word(4)) {
            (0, new) => (new >> 8 & 0xfff, new & 0xff | new >> 12 & 0xf_ff00),
            (old, _) => (old >> 8 & 0xff, old & 0xff),
        }
    }
}

impl Inodes {
    pub(super) fn open(image: &Source) -> Result<Self> {
        let (at, length) = SUPERBLOCK;
        let mut block = vec![0; length];
        image.read_exact_at(&mut block, at)?;
        let word = |at| u32_at(&block, at);
        let shift = word(0x18)?;
        ensure!(shift <= 6, "blocks of such a size do not exist");
        let block_bytes = 1024 << shift;
        let features = word(0x60)?;
        ensure!(features & META_BG == 0, "its descriptors are scattered");
        let old = word(0x4c)? == 0;
        let wide = features & WIDE != 0;
        let inode_bytes = if old { 128 } else { u16_at(&block, 0x58)? };
        ensure!(inode_bytes >= 128, "inodes of such a size do not exist");
        let per_group = word(0x28)?;
        ensure!(per_group > 0, "a group without inodes");
        Ok(Self {
            image: image.clone(),
            block_bytes,
            per_group,
            inode_bytes,
            descriptors: (u64::from(word(0x14)?) + 1) * u64::from(block_bytes),
            descriptor_bytes: if wide { u16_at(&block, 0xfe)? } else { 32 },
            wide,
        })
    }

    pub(super) fn inode(&self, number: u32) -> Result<Inode> {
        let index = number.checked_sub(1).context("inode 0")?;
        let (group, index) = (index / self.per_group, index % self.per_group);
        let mut descriptor = vec![0; self.descriptor_bytes.into()];
        let at = self.descriptors + u64::from(group) * u64::from(self.descriptor_bytes);
        self.image.read_exact_at(&mut descriptor, at)?;
        let high = if self.wide && descriptor.len() >= 64 {
            u32_at(&descriptor, 0x28)?
        } else {
            0
        };
        let table = u64::from(high) << 32 | u64::from(u32_at(&descriptor, 8)?);
        let at = table
            .checked_mul(self.block_bytes.into())
            .and_then(|at| at.checked_add(u64::from(index) * u64::from(self.inode_bytes)))
            .context("a table of inodes is beyond all places")?;
        let mut inode = [0; 128];
        self.image.read_exact_at(&mut inode, at)?;
        let mut blocks = [0; 60];
        blocks.copy_from_slice(&inode[0x28..0x64]);
        Ok(Inode {
            mode: u16_at(&inode, 0)?,
            links: u16_at(&inode, 0x1a)?,
            flags: u32_at(&inode, 0x20)?,
            blocks,
        })
    }

    /// The inode of each name in a directory.
    pub(super) fn names(&self, directory: u32) -> Result<BTreeMap<Vec<u8>, u32>> {
        let inode = self.inode(directory)?;
        ensure!(inode.is(FileType::Directory), "it is not a directory");
        ensure!(inode.flags & INLINE == 0, "its entries are in its inode");
        let mut blocks = Vec::new();
        if inode.flags & EXTENTS != 0 {
            self.extents(&inode.blocks, MAX_DEPTH, &mut blocks)?;
        } else {
            let (direct, indirect) = inode.blocks.split_at(48);
            self.listed(direct, 0, &mut blocks)?;
            for (depth, block) in (1..).zip(indirect.chunks_exact(4)) {
                self.listed(block, depth, &mut blocks)?;
            }
        }
        let mut names = BTreeMap::new();
        for block in blocks {
            self.entries(&self.block(block)?, &mut names)?;
        }
        Ok(names)
    }

    fn block(&self, number: u64) -> Result<Vec<u8>> {
        let mut block = vec![0; self.block_bytes as usize];
        let at = number.checked_mul(self.block_bytes.into());
        self.image
            .read_exact_at(&mut block, at.context("a block beyond all places")?)?;
        Ok(block)
    }

    /// The blocks of an extent tree, in any order.
    fn extents(&self, node: &[u8], depth: u16, found: &mut Vec<u64>) -> Result<()> {
        ensure!(u16_at(node, 0)? == 0xf30a, "a node without its mark");
        let level = u16_at(node, 6)?;
        ensure!(level <= depth, "its extents are nested too deep");
        for entry in (1..=usize::from(u16_at(node, 2)?)).map(|entry| entry * 12) {
            let block = |low: usize, high: usize| -> Result<u64> {
                let high = u64::from(u16_at(node, entry + high)?);
                Ok(high << 32 | u64::from(u32_at(node, entry + low)?))
            };
            if level > 0 {
                ensure!(found.len() <= MAX_BLOCKS, "too many blocks");
                self.extents(&self.block(block(4, 8)?)?, level - 1, found)?;
                continue;
            }
            let first = block(8, 6)?;
            let length = u64::from(u16_at(node, entry + 4)?);
            ensure!(
                found.len() + usize::try_from(length)? <= MAX_BLOCKS,
                "too many blocks"
            );
            found.extend(first..first + length);
        }
        Ok(())
    }

    /// The blocks that a list of numbers names, or lists in them, `depth` times.
    fn listed(&self, list: &[u8], depth: u16, found: &mut Vec<u64>) -> Result<()> {
        for at in (0..list.len()).step_by(4) {
            let block = u64::from(u32_at(list, at)?);
            if block == 0 {
                continue;
            }
            ensure!(found.len() < MAX_BLOCKS, "too many blocks");
            if depth == 0 {
                found.push(block);
            } else {
                self.listed(&self.block(block)?, depth - 1, found)?;
            }
        }
        Ok(())
    }

    /// The entries of one block of a directory. Those of its index have the inode 0.
    fn entries(&self, block: &[u8], names: &mut BTreeMap<Vec<u8>, u32>) -> Result<()> {
        let mut rest = block;
        while rest.len() >= 8 {
            let (inode, length) = (u32_at(rest, 0)?, usize::from(u16_at(rest, 4)?));
            // The longest stands for the whole of the largest block.
            let length = if length == 0 || length == 0xffff {
                self.block_bytes as usize
            } else {
                length
            };
            ensure!(length >= 8, "an entry that is too short");
            let name = rest.get(8..8 + usize::from(rest[6]));
            if inode != 0 {
                names.insert(name.context("a name that is cut off")?.to_vec(), inode);
            }
            rest = rest.get(length..).unwrap_or_default();
        }
        Ok(())
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16> {
    let bytes = bytes.get(at..).and_then(|rest| rest.first_chunk());
    Ok(u16::from_le_bytes(*bytes.context("it is cut off")?))
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32> {
    let bytes = bytes.get(at..).and_then(|rest| rest.first_chunk());
    Ok(u32::from_le_bytes(*bytes.context("it is cut off")?))
}
