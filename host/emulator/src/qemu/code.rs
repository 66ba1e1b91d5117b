//! The instructions of an emulator, as far as what is changed in it has to be found.

use std::ops::RangeTo;

use object::read::elf::{ElfFile64, ProgramHeader};
use object::{Endianness, elf};

/// `call` with a distance of 32 bits.
const CALL: u8 = 0xE8;
pub const CALL_LENGTH: usize = 5;

/// A part of the file that is loaded.
struct Part {
    offset: usize,
    length: usize,
    address: u64,
    executable: bool,
}

/// What of a file is executed. Places in it lie as far from each other as their addresses do.
pub struct Code<'a> {
    file: &'a [u8],
    parts: Vec<Part>,
    /// The instructions, and where they are in the file.
    pub text: &'a [u8],
    pub offset: usize,
    address: u64,
}

impl<'a> Code<'a> {
    /// `None` where the file has not one executable part.
    pub fn of(file: &'a [u8]) -> Option<Self> {
        let parts = parts(file)?;
        let mut executable = parts.iter().filter(|part| part.executable);
        let (code, None) = (executable.next()?, executable.next()) else {
            return None;
        };
        let text = file.get(code.offset..code.offset.checked_add(code.length)?)?;
        let (offset, address) = (code.offset, code.address);
        Some(Self {
            file,
            parts,
            text,
            offset,
            address,
        })
    }

    /// Where these bytes are, if they are there once.
    pub fn only(&self, wanted: &[u8]) -> Option<usize> {
        only(self.text, wanted)
    }

    /// The one place at which the address is taken of a text, wherever else the file holds that:
    /// `lea` of a place relative to the instruction, into any register. Where that distance is.
    pub fn use_of(&self, text: &[u8]) -> Option<usize> {
        const LEA: u8 = 0x8D;
        let wanted: Vec<u64> = memchr::memmem::find_iter(self.file, text)
            .filter_map(|found| self.distance_to(found))
            .collect();
        let byte = |at: usize| self.text.get(at).copied().unwrap_or(0);
        let mut uses = memchr::memchr_iter(LEA, self.text).filter(|at| {
            let prefix = at.checked_sub(1).map_or(0, byte);
            let takes = matches!(prefix, 0x48 | 0x4C) && byte(at + 1) & 0xC7 == 0x05;
            takes && self.reaches(at + 2).is_some_and(|to| wanted.contains(&to))
        });
        match (uses.next(), uses.next()) {
            (Some(at), None) => Some(at + 2),
            _ => None,
        }
    }

    /// How far behind the beginning of the instructions is what lies here in the file.
    fn distance_to(&self, place: usize) -> Option<u64> {
        let address = self.parts.iter().find_map(|part| {
            let within = place.checked_sub(part.offset)?;
            (within < part.length).then(|| part.address + within as u64)
        })?;
        address.checked_sub(self.address)
    }

    /// Where in the file is what the first `mov %rax` behind `at` stores to: a place relative to
    /// the instruction, of a part that is not executed.
    pub fn store_behind(&self, at: usize) -> Option<usize> {
        const STORE: [u8; 3] = [0x48, 0x89, 0x05];
        const NEAR: usize = 256;
        let near = self.text.get(at..at + NEAR)?;
        let store = at + memchr::memmem::find(near, &STORE)? + STORE.len();
        let address = self.address.checked_add(self.reaches(store)?)?;
        let parts = self.parts.iter().filter(|part| !part.executable);
        let mut found = parts.filter_map(|part| {
            let within = usize::try_from(address.checked_sub(part.address)?).ok()?;
            (within + 8 <= part.length).then_some(part.offset + within)
        });
        found.next()
    }

    /// All that may be calls: where they are, and where they lead to.
    pub fn calls(&self, within: RangeTo<usize>) -> impl Iterator<Item = (usize, usize)> {
        let text = self.text.get(within).unwrap_or_default();
        memchr::memchr_iter(CALL, text).filter_map(|at| {
            let to = usize::try_from(self.reaches(at + 1)?).ok()?;
            (to < self.text.len()).then_some((at, to))
        })
    }

    /// Where the distance of 32 bits at `at` leads to, from the end of its instruction.
    pub fn reaches(&self, at: usize) -> Option<u64> {
        let distance: [u8; 4] = self.text.get(at..at + 4)?.try_into().ok()?;
        let distance = i64::from(i32::from_le_bytes(distance));
        (at as u64 + 4).checked_add_signed(distance)
    }
}

/// Write into a file.
pub fn put(file: &mut [u8], at: usize, bytes: &[u8]) -> Option<()> {
    file.get_mut(at..at + bytes.len())?.copy_from_slice(bytes);
    Some(())
}

fn parts(file: &[u8]) -> Option<Vec<Part>> {
    let elf = ElfFile64::<Endianness>::parse(file).ok()?;
    let endian = elf.endian();
    let loaded = elf.elf_program_headers().iter();
    let loaded = loaded.filter(|header| header.p_type(endian) == elf::PT_LOAD);
    loaded
        .map(|header| {
            Some(Part {
                offset: usize::try_from(header.p_offset(endian)).ok()?,
                length: usize::try_from(header.p_filesz(endian)).ok()?,
                address: header.p_vaddr(endian),
                executable: header.p_flags(endian) & elf::PF_X != 0,
            })
        })
        .collect()
}

/// Where `wanted` is, if it is there once.
fn only(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let mut found = memchr::memmem::find_iter(bytes, wanted);
    match (found.next(), found.next()) {
        (Some(at), None) => Some(at),
        _ => None,
    }
}

#[cfg(test)]
pub mod tests {
    use crate::qemu::emulator::{COMPLETE, Qemu};

    /// Every older emulator here whose name begins so can be changed, and that once.
    pub fn changes_every_older_emulator(start: &str, patch: fn(&mut [u8]) -> bool) {
        let all = Qemu::all().into_iter();
        for qemu in all.filter(|qemu| qemu.arch.qemu.starts_with(start)) {
            let mut file = std::fs::read(&qemu.path).unwrap();
            if qemu
                .version(&file)
                .is_none_or(|version| version >= COMPLETE)
            {
                continue;
            }
            assert!(patch(&mut file), "{}", qemu.arch.qemu);
            assert!(!patch(&mut file), "only once");
        }
    }
}
