//! Where things are in the image: its superblock, its tables, and blocks of data.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use anyhow::{Context, Result, bail, ensure};

use crate::source::Source;
use crate::squashfs::every::is_big;
use crate::squashfs::lzma::Settings;

/// What a block of metadata holds, unpacked.
const METADATA: usize = 8192;
/// The largest block of data that version 3 has.
const DATA_MAX: u64 = 1 << 20;
/// What a block of a table of fragments has of them, and what each takes.
const FRAGMENTS: u64 = 512;
const FRAGMENT: u64 = 16;
const SUPERBLOCK: usize = 119;
/// A flag of the superblock: each block of metadata has a byte for checks.
const CHECKED: u8 = 4;
/// Blocks of metadata that are kept unpacked, and blocks of fragments.
const KEPT_MAX: usize = 512;
const FRAGMENTS_KEPT_MAX: usize = 16;

/// A byte in a table: the block in which it is, from the table's start, and where in that.
pub(super) type Place = (u64, usize);

/// The order of bytes, and of the bits that fields share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Order {
    pub big: bool,
}

impl Order {
    pub fn number(self, bytes: &[u8]) -> u64 {
        let add = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        if self.big {
            bytes.iter().fold(0, add)
        } else {
            bytes.iter().rev().fold(0, add)
        }
    }

    /// Two fields that share `bits`, of which the first has `first`.
    pub fn split(self, number: u64, bits: u32, first: u32) -> (u64, u64) {
        let low = |bits: u32| number & ((1 << bits) - 1);
        if self.big {
            (number >> (bits - first), low(bits - first))
        } else {
            (low(first), number >> first)
        }
    }
}

/// How much a block of data takes, and whether it is packed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size(u32);

impl Size {
    const UNPACKED: u32 = 1 << 24;

    pub fn new(number: u64) -> Self {
        Self(u32::try_from(number).unwrap_or(u32::MAX))
    }

    pub fn on_disk(self) -> u64 {
        u64::from(self.0 & !Self::UNPACKED)
    }
}

type Block = Rc<[u8]>;

/// An open image.
pub(super) struct Image {
    source: Source,
    settings: Settings,
    pub order: Order,
    pub root: Place,
    pub block_size: u64,
    checked: bool,
    pub users: Vec<u32>,
    pub groups: Vec<u32>,
    pub inodes: u64,
    pub directories: u64,
    fragments: (u64, u64),
    /// Unpacked, and where the next one is.
    kept: RefCell<HashMap<u64, (Block, u64)>>,
    fragments_kept: RefCell<HashMap<u64, Block>>,
}

impl Image {
    pub fn open(source: Source, settings: Settings) -> Result<Self> {
        let mut head = [0; SUPERBLOCK];
        source
            .read_exact_at(&mut head, 0)
            .context("its squashfs is cut off")?;
        let order = Order { big: is_big(&head) };
        let number =
            |at: usize, bytes: usize| order.number(head.get(at..at + bytes).unwrap_or_default());
        let [flags, users, groups] = [36, 37, 38].map(|at| head.get(at).copied().unwrap_or(0));
        let block_size = number(51, 4);
        ensure!(
            block_size.is_power_of_two() && (4096..=DATA_MAX).contains(&block_size),
            "its squashfs says that its blocks have {block_size} bytes"
        );
        let ids = |at: u64, count: u8| {
            let mut bytes = vec![0; usize::from(count) * 4];
            source.read_exact_at(&mut bytes, at)?;
            let ids = bytes.chunks_exact(4).map(|id| order.number(id));
            anyhow::Ok(ids.map(|id| u32::try_from(id).unwrap_or(0)).collect())
        };
        Ok(Self {
            order,
            settings,
            root: place(number(43, 8)),
            block_size,
            checked: flags & CHECKED != 0,
            users: ids(number(71, 8), users)?,
            groups: ids(number(79, 8), groups)?,
            inodes: number(87, 8),
            directories: number(95, 8),
            fragments: (number(103, 8), number(55, 4)),
            kept: RefCell::default(),
            fragments_kept: RefCell::default(),
            source,
        })
    }

    /// The first block of metadata that is packed, as it is in the image.
    pub fn first(&self) -> Result<Option<Vec<u8>>> {
        for table in [self.inodes, self.directories] {
            let (bytes, packed, _) = self.raw(table)?;
            if packed {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }

    /// A block of metadata as it is in the image, whether it is packed, and where the next one is.
    fn raw(&self, at: u64) -> Result<(Vec<u8>, bool, u64)> {
        const UNPACKED: u64 = 1 << 15;
        let mut length = [0; 2];
        self.source.read_exact_at(&mut length, at)?;
        let length = self.order.number(&length);
        let start = at + 2 + u64::from(self.checked);
        let bytes = match length & !UNPACKED {
            0 => UNPACKED,
            bytes => bytes,
        };
        let mut block = vec![0; usize::try_from(bytes)?];
        self.source.read_exact_at(&mut block, start)?;
        Ok((block, length & UNPACKED == 0, start + bytes))
    }

    fn metadata(&self, at: u64) -> Result<(Block, u64)> {
        if let Some(known) = self.kept.borrow().get(&at) {
            return Ok(known.clone());
        }
        let (bytes, packed, next) = self.raw(at)?;
        let bytes = if packed {
            self.settings.unpack(&bytes, METADATA)?
        } else {
            bytes
        };
        let block = (Block::from(bytes), next);
        let mut kept = self.kept.borrow_mut();
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(at, block.clone());
        Ok(block)
    }

    /// Read a table from a place on.
    pub fn cursor(&self, table: u64, (block, at): Place) -> Result<Cursor<'_>> {
        let block = table.checked_add(block).context("a block lies outside")?;
        let (bytes, next) = self.metadata(block)?;
        Ok(Cursor {
            image: self,
            bytes,
            at,
            next,
        })
    }

    /// A block of data, of which `length` bytes are wanted.
    pub fn block(&self, at: u64, size: Size, length: u64) -> Result<Vec<u8>> {
        let length = usize::try_from(length)?;
        if size.on_disk() == 0 {
            return Ok(vec![0; length]);
        }
        let mut block = self.data(at, size)?;
        ensure!(block.len() >= length, "a block of it is too short");
        block.truncate(length);
        Ok(block)
    }

    fn data(&self, at: u64, size: Size) -> Result<Vec<u8>> {
        ensure!(
            size.on_disk() <= self.block_size,
            "a block of it is too long"
        );
        let mut bytes = vec![0; usize::try_from(size.on_disk())?];
        self.source.read_exact_at(&mut bytes, at)?;
        if size.0 & Size::UNPACKED != 0 {
            return Ok(bytes);
        }
        self.settings
            .unpack(&bytes, usize::try_from(self.block_size)?)
    }

    fn fragment_block(&self, table: u64, number: u64) -> Result<Block> {
        if let Some(known) = self.fragments_kept.borrow().get(&number) {
            return Ok(Rc::clone(known));
        }
        let mut at = [0; 8];
        let index = table.saturating_add(number / FRAGMENTS * 8);
        self.source.read_exact_at(&mut at, index)?;
        let offset = usize::try_from(number % FRAGMENTS * FRAGMENT)?;
        let mut entry = self.cursor(self.order.number(&at), (0, offset))?;
        let (start, size) = (entry.number(8)?, Size::new(entry.number(4)?));
        let block = Block::from(self.data(start, size)?);
        let mut kept = self.fragments_kept.borrow_mut();
        if kept.len() >= FRAGMENTS_KEPT_MAX {
            kept.clear();
        }
        kept.insert(number, Rc::clone(&block));
        Ok(block)
    }

    /// A part of a block in which files share the rest of theirs.
    pub fn fragment(&self, number: u64, offset: u64, length: u64) -> Result<Vec<u8>> {
        let (table, count) = self.fragments;
        ensure!(
            number < count,
            "a file ends in fragment {number} of {count}"
        );
        let block = self.fragment_block(table, number)?;
        let (from, to) = (usize::try_from(offset)?, usize::try_from(offset + length)?);
        let Some(part) = block.get(from..to) else {
            bail!("a file ends outside of its fragment");
        };
        Ok(part.to_vec())
    }
}

/// Where an inode is, as one number has it.
pub(super) fn place(number: u64) -> Place {
    let offset = usize::try_from(number & 0xFFFF);
    (number >> 16, offset.unwrap_or_default())
}

/// Reads a table, across its blocks.
pub(super) struct Cursor<'a> {
    image: &'a Image,
    bytes: Block,
    at: usize,
    next: u64,
}

impl Cursor<'_> {
    pub fn take(&mut self, length: usize) -> Result<Vec<u8>> {
        let mut taken = Vec::new();
        while taken.len() < length {
            if self.at >= self.bytes.len() {
                ensure!(self.at == self.bytes.len(), "a table of it ends early");
                (self.bytes, self.next) = self.image.metadata(self.next)?;
                self.at = 0;
                ensure!(!self.bytes.is_empty(), "a table of it ends early");
            }
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let part = rest.get(..length - taken.len()).unwrap_or(rest);
            taken.extend_from_slice(part);
            self.at += part.len();
        }
        Ok(taken)
    }

    /// A number of so many bytes.
    pub fn number(&mut self, bytes: usize) -> Result<u64> {
        Ok(self.image.order.number(&self.take(bytes)?))
    }
}
