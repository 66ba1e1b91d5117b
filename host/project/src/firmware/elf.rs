//! What an ELF file's headers say, read from its program headers alone: firmware often has no
//! section headers.

use object::elf;
use object::read::elf::{Dyn, FileHeader, ProgramHeader};
use object::{Endianness, FileKind};

use crate::penguin::architectures;

/// The longest file whose headers are looked for, in bytes.
pub(crate) const MAX_BYTES: usize = 64 << 20;
/// The most libraries that are named.
const MAX_NEEDED: usize = 256;

/// An ELF program or library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Elf {
    /// Penguin's name for the architecture, or another word where Penguin has none.
    pub arch: String,
    /// Whether the most significant byte comes first.
    pub big_endian: bool,
    /// How long the file is at least: up to the end of what is loaded of it.
    pub bytes: u64,
    /// Its code is nothing but zeros.
    pub zeroed: bool,
    /// Has an entry point: a program, or a library that can be run.
    pub executable: bool,
    /// The dynamic loader that a program asks for.
    pub interpreter: Option<Vec<u8>>,
    /// Libraries that are asked for by name.
    pub needed: Vec<Vec<u8>>,
}

/// Read the headers of `data`; none if it is no ELF file, or one that no loader would take.
pub(crate) fn parse(data: &[u8]) -> Option<Elf> {
    match FileKind::parse(data).ok()? {
        FileKind::Elf32 => read::<elf::FileHeader32<Endianness>>(data),
        FileKind::Elf64 => read::<elf::FileHeader64<Endianness>>(data),
        _ => None,
    }
}

fn read<H: FileHeader<Endian = Endianness>>(data: &[u8]) -> Option<Elf> {
    let header = H::parse(data).ok()?;
    let endian = header.endian().ok()?;
    let kind = header.e_type(endian);
    if kind != elf::ET_EXEC && kind != elf::ET_DYN {
        return None;
    }
    let segments = header.program_headers(endian, data).unwrap_or_default();
    let interpreter = segments
        .iter()
        .find_map(|s| s.interpreter(endian, data).ok().flatten())
        .map(<[u8]>::to_vec);
    let loaded = segments.iter().filter(|s| s.p_type(endian) == elf::PT_LOAD);
    let bytes = loaded
        .map(|s| {
            s.p_offset(endian)
                .into()
                .saturating_add(s.p_filesz(endian).into())
        })
        .max();
    let needed = needed::<H>(segments, endian, data).unwrap_or_default();
    Some(Elf {
        arch: arch(
            header.e_machine(endian),
            header.is_class_64(),
            endian,
            header.e_flags(endian),
        ),
        big_endian: endian == Endianness::Big,
        bytes: bytes.unwrap_or(0),
        zeroed: is_zeroed::<H>(segments, endian, data),
        executable: header.e_entry(endian).into() != 0,
        interpreter,
        needed,
    })
}

/// Whether all that is executed is zeros. The first segment begins with the headers.
fn is_zeroed<H: FileHeader<Endian = Endianness>>(
    segments: &[H::ProgramHeader],
    endian: Endianness,
    data: &[u8],
) -> bool {
    let headers = size_of::<H>() + size_of_val(segments);
    let code = segments
        .iter()
        .filter(|s| s.p_type(endian) == elf::PT_LOAD && s.p_flags(endian) & elf::PF_X != 0);
    let mut bytes = code
        .filter_map(|s| {
            s.data(endian, data)
                .ok()
                .map(|code| (s.p_offset(endian).into(), code))
        })
        .filter_map(|(offset, code)| {
            let skipped = headers.saturating_sub(usize::try_from(offset).ok()?);
            code.get(skipped..)
        })
        .flatten()
        .peekable();
    bytes.peek().is_some() && bytes.all(|byte| *byte == 0)
}

fn needed<H: FileHeader<Endian = Endianness>>(
    segments: &[H::ProgramHeader],
    endian: Endianness,
    data: &[u8],
) -> Option<Vec<Vec<u8>>> {
    let dynamic = segments
        .iter()
        .find_map(|s| s.dynamic(endian, data).ok().flatten())?;
    let value = |tag: i64| {
        dynamic
            .iter()
            .find(|d| d.d_tag(endian).into() == tag)
            .map(|d| d.d_val(endian).into())
    };
    let strings = value(elf::DT_STRTAB)?;
    // The table's address, as the loader would find it.
    let offset = segments.iter().find_map(|s| {
        let (start, length) = (s.p_vaddr(endian).into(), s.p_filesz(endian).into());
        let inside = s.p_type(endian) == elf::PT_LOAD && strings.checked_sub(start)? < length;
        inside.then(|| s.p_offset(endian).into().checked_add(strings - start))?
    })?;
    let names = dynamic
        .iter()
        .filter(|d| d.d_tag(endian).into() == elf::DT_NEEDED)
        .filter_map(|d| {
            let at = usize::try_from(offset.checked_add(d.d_val(endian).into())?).ok()?;
            let rest = data.get(at..)?;
            Some(
                rest.get(..memchr::memchr(0, rest.get(..rest.len().min(4096))?)?)?
                    .to_vec(),
            )
        })
        .take(MAX_NEEDED);
    Some(names.collect())
}

fn arch(machine: u16, wide: bool, endian: Endianness, flags: u32) -> String {
    let wide = match machine {
        // The n32 ABI has 32-bit pointers in 64-bit code.
        elf::EM_MIPS => wide || flags & elf::EF_MIPS_ABI2 != 0,
        // So have x32 and its like.
        elf::EM_X86_64 | elf::EM_AARCH64 | elf::EM_PPC64 => true,
        _ => wide,
    };
    let bits = if wide { 64 } else { 32 };
    architectures::of_elf(machine, bits, endian == Endianness::Big)
        .map_or_else(|| format!("machine-{machine}"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_running_program_is_understood() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let elf = parse(&own).unwrap();
        assert!(elf.executable);
        #[cfg(target_arch = "x86_64")]
        assert_eq!(elf.arch, "x86_64");
        #[cfg(target_env = "gnu")]
        assert!(
            elf.needed.iter().any(|n| n.starts_with(b"libc.so")),
            "{:?}",
            elf.needed
        );
    }

    #[test]
    fn damaged_headers_are_no_panic() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let head = &own[..4096.min(own.len())];
        for cut in 0..128 {
            let _ = parse(&head[..cut]);
        }
        for at in 0..512.min(head.len()) {
            let mut bad = head.to_vec();
            bad[at] ^= 0xff;
            let _ = parse(&bad);
        }
        assert_eq!(parse(b"#!/bin/sh\n"), None);
    }
}
