//! The parts of an ELF file by which a library is fitted to a program: flags, segments, and the
//! symbols that it offers. Every field is looked up within the file, and absent where it is not
//! there.

use std::borrow::Cow;
use std::ops::Range;

const PT_DYNAMIC: u32 = 2;
const DT_HASH: u64 = 4;
const DT_STRTAB: u64 = 5;
const DT_SYMTAB: u64 = 6;

/// Segments, and entries of the dynamic section, that are looked at.
const ENTRIES_MAX: usize = 64;

/// A file, or its beginning.
#[derive(Debug)]
pub struct Elf<'a> {
    bytes: Cow<'a, [u8]>,
    wide: bool,
    big: bool,
}

impl<'a> Elf<'a> {
    /// `None` where it is none.
    pub fn new(bytes: Cow<'a, [u8]>) -> Option<Self> {
        let (wide, big) = match (bytes.get(..4)?, bytes.get(4)?, bytes.get(5)?) {
            (b"\x7fELF", class @ 1..=2, order @ 1..=2) => (*class == 2, *order == 2),
            _ => return None,
        };
        Some(Self { bytes, wide, big })
    }

    /// The file.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes.into_owned()
    }

    /// `e_flags`.
    pub fn flags(&self) -> Option<u32> {
        self.word(self.flags_at())
    }

    /// Change `e_flags`.
    pub fn set_flags(&mut self, flags: u32) -> Option<()> {
        self.set_word(self.flags_at(), flags)
    }

    /// Whether a loader prepares it.
    pub fn is_dynamic(&self) -> bool {
        self.segment(PT_DYNAMIC).is_some()
    }

    /// Where the first segment of a kind is in the file.
    pub fn segment(&self, kind: u32) -> Option<Range<usize>> {
        let table = self.long(if self.wide { 32 } else { 28 })?;
        let sizes = if self.wide { 54 } else { 42 };
        let (size, count) = (self.half(sizes)?, self.half(sizes + 2)?);
        let (offset_at, size_at) = if self.wide { (8, 32) } else { (4, 16) };
        (0..count.min(ENTRIES_MAX)).find_map(|index| {
            let at = table.checked_add(index * size)?;
            if self.word(at)? != kind {
                return None;
            }
            let offset = self.long(at.checked_add(offset_at)?)?;
            Some(offset..offset.checked_add(self.long(at + size_at)?)?)
        })
    }

    /// A value of the dynamic section.
    pub fn dynamic(&self, tag: u64) -> Option<usize> {
        let section = self.segment(PT_DYNAMIC)?;
        let size = self.long_size();
        let entries = section.step_by(2 * size).take(ENTRIES_MAX);
        entries
            .take_while(|at| self.long(*at).is_some_and(|tag| tag != 0))
            .find(|at| self.long(*at).is_some_and(|known| known as u64 == tag))
            .and_then(|at| self.long(at + size))
    }

    /// The symbols that it offers. Its tables must be where they are in memory, as in a library of
    /// ours.
    pub fn symbols(&self) -> Option<Symbols> {
        let hash = self.dynamic(DT_HASH)?;
        Some(Symbols {
            table: self.dynamic(DT_SYMTAB)?,
            strings: self.dynamic(DT_STRTAB)?,
            buckets: usize::try_from(self.word(hash)?).ok().filter(|n| *n > 0)?,
            count: usize::try_from(self.word(hash + 4)?).ok()?,
            hash,
        })
    }

    fn flags_at(&self) -> usize {
        if self.wide { 48 } else { 36 }
    }

    fn symbol_size(&self) -> usize {
        if self.wide { 24 } else { 16 }
    }

    fn long_size(&self) -> usize {
        if self.wide { 8 } else { 4 }
    }

    fn half(&self, at: usize) -> Option<usize> {
        let bytes: [u8; 2] = self.at(at, 2)?.try_into().ok()?;
        let value = if self.big {
            u16::from_be_bytes(bytes)
        } else {
            u16::from_le_bytes(bytes)
        };
        Some(value.into())
    }

    fn word(&self, at: usize) -> Option<u32> {
        let bytes: [u8; 4] = self.at(at, 4)?.try_into().ok()?;
        Some(if self.big {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        })
    }

    /// As wide as a pointer.
    fn long(&self, at: usize) -> Option<usize> {
        if !self.wide {
            return usize::try_from(self.word(at)?).ok();
        }
        let bytes: [u8; 8] = self.at(at, 8)?.try_into().ok()?;
        let value = if self.big {
            u64::from_be_bytes(bytes)
        } else {
            u64::from_le_bytes(bytes)
        };
        usize::try_from(value).ok()
    }

    fn at(&self, at: usize, size: usize) -> Option<&[u8]> {
        self.bytes.get(at..at.checked_add(size)?)
    }

    fn set_word(&mut self, at: usize, value: u32) -> Option<()> {
        let bytes = if self.big {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        };
        self.write(at, &bytes)
    }

    fn write(&mut self, at: usize, bytes: &[u8]) -> Option<()> {
        let place = self
            .bytes
            .to_mut()
            .get_mut(at..at.checked_add(bytes.len())?)?;
        place.copy_from_slice(bytes);
        Some(())
    }
}

/// Where the tables of a library's symbols are. A symbol is its number in them.
#[derive(Debug)]
pub struct Symbols {
    table: usize,
    strings: usize,
    hash: usize,
    buckets: usize,
    count: usize,
}

impl Symbols {
    /// The name of each.
    pub fn names(&self, elf: &Elf<'_>) -> Vec<String> {
        let name = |index| self.name(elf, index).unwrap_or_default();
        (0..self.count).map(name).collect()
    }

    /// Where one is; 0 where it is not in the library.
    pub fn address(&self, elf: &Elf<'_>, index: usize) -> u64 {
        let value_at = if elf.wide { 8 } else { 4 };
        elf.long(self.entry(elf, index) + value_at)
            .map_or(0, |at| at as u64)
    }

    /// Those that it wants of others.
    #[cfg(test)]
    pub fn undefined(&self, elf: &Elf<'_>) -> Vec<String> {
        let section_at = if elf.wide { 6 } else { 14 };
        let section = |index: usize| elf.half(self.entry(elf, index) + section_at);
        (1..self.count)
            .filter(|index| section(*index) == Some(0))
            .filter_map(|index| self.name(elf, index))
            .collect()
    }

    /// The address of one by its name, as a loader finds it.
    #[cfg(test)]
    pub fn find(&self, elf: &Elf<'_>, name: &str) -> Option<u64> {
        let mut index = elf.word(self.bucket(name))? as usize;
        while index != 0 {
            if self.name(elf, index).as_deref() == Some(name) {
                return Some(self.address(elf, index));
            }
            index = elf.word(self.chain(index))? as usize;
        }
        None
    }

    /// Give one another name, which is not longer.
    pub fn rename(&self, elf: &mut Elf<'_>, index: usize, name: &str) -> Option<()> {
        let at = self.name_at(elf, index)?;
        let room = self.name(elf, index)?.len();
        (name.len() <= room).then_some(())?;
        elf.write(at, &[name.as_bytes(), &[0]].concat())
    }

    /// Let one lead to where another leads.
    pub fn redirect(&self, elf: &mut Elf<'_>, index: usize, to: usize) -> Option<()> {
        let size = elf.symbol_size();
        let (from, into) = (self.entry(elf, to), self.entry(elf, index));
        // All but its name.
        let copied = elf.at(from + 4, size - 4)?.to_vec();
        elf.write(into + 4, &copied)
    }

    /// Make the table of hashes anew (System V ABI, "Hash Table"), after names were changed.
    pub fn hash_again(&self, elf: &mut Elf<'_>) -> Option<()> {
        for index in 0..self.buckets + self.count {
            elf.set_word(self.hash + 8 + 4 * index, 0)?;
        }
        for index in 1..self.count {
            let bucket = self.bucket(&self.name(elf, index)?);
            let first = elf.word(bucket)?;
            elf.set_word(self.chain(index), first)?;
            elf.set_word(bucket, u32::try_from(index).ok()?)?;
        }
        Some(())
    }

    fn name(&self, elf: &Elf<'_>, index: usize) -> Option<String> {
        let rest = elf.bytes.get(self.name_at(elf, index)?..)?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        Some(String::from_utf8_lossy(rest.get(..end)?).into_owned())
    }

    fn name_at(&self, elf: &Elf<'_>, index: usize) -> Option<usize> {
        let offset = elf.word(self.entry(elf, index))?;
        self.strings.checked_add(usize::try_from(offset).ok()?)
    }

    fn entry(&self, elf: &Elf<'_>, index: usize) -> usize {
        self.table
            .saturating_add(index.saturating_mul(elf.symbol_size()))
    }

    fn bucket(&self, name: &str) -> usize {
        self.hash + 8 + 4 * (hash(name) as usize % self.buckets)
    }

    fn chain(&self, index: usize) -> usize {
        self.hash + 8 + 4 * (self.buckets + index)
    }
}

/// The hash of a name (System V ABI, "Hash Table").
fn hash(name: &str) -> u32 {
    name.bytes().fold(0_u32, |hash, byte| {
        let hash = (hash << 4).wrapping_add(byte.into());
        let high = hash & 0xF000_0000;
        (hash ^ high >> 24) & !high
    })
}
