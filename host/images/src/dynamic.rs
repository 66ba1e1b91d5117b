//! The symbols that a program's loader uses, and the pointers that it makes, found as the loader
//! finds them: by the program headers. They are there also where a vendor has removed the section
//! headers (`sstrip`).

use object::read::elf::{
    Dyn, ElfFile, FileHeader, GnuHashTable, HashTable, ProgramHeader, Rel, Rela,
};
use object::read::{ReadRef, StringTable};
use object::{Endianness, Pod, elf};

/// What linkers put beside the symbols.
const TABLES: [i64; 8] = [
    elf::DT_STRTAB,
    elf::DT_HASH,
    elf::DT_GNU_HASH,
    elf::DT_VERSYM,
    elf::DT_VERNEED,
    elf::DT_RELA,
    elf::DT_REL,
    elf::DT_JMPREL,
];

/// Symbols, and where their names are.
pub type Symbols<'a, H> = (&'a [<H as FileHeader>::Sym], StringTable<'a>);

/// An entry that tells the loader to make a pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relocation {
    /// Where.
    pub at: u64,
    /// To which symbol, by its number; `None` where it leads into the program itself.
    pub symbol: Option<usize>,
    /// How far behind that; `None` where the pointer's place says so (REL).
    pub addend: Option<i64>,
}

/// The symbols of a program, if it is linked dynamically and its tables make sense.
pub fn symbols<'a, H: FileHeader<Endian = Endianness>>(
    file: &ElfFile<'a, H>,
) -> Option<Symbols<'a, H>> {
    let endian = file.endian();
    let value = |tag: i64| value(file, tag);
    let (symbols_at, names_at) = (value(elf::DT_SYMTAB)?, value(elf::DT_STRTAB)?);
    let count = || {
        let of_hash = |at| HashTable::<H>::parse(endian, loaded(file, at)?).ok();
        let of_gnu_hash = |at| GnuHashTable::<H>::parse(endian, loaded(file, at)?).ok();
        let is_mips = file.elf_header().e_machine(endian) == elf::EM_MIPS;
        let of_mips = value(elf::DT_MIPS_SYMTABNO).filter(|_| is_mips);
        of_mips
            .or_else(|| Some(of_hash(value(elf::DT_HASH)?)?.symbol_table_length().into()))
            .or_else(|| {
                let length = of_gnu_hash(value(elf::DT_GNU_HASH)?)?.symbol_table_length(endian);
                length.map(u64::from)
            })
            // Nothing says it where nothing is exported: another table follows.
            .or_else(|| {
                let others = TABLES.iter().filter_map(|tag| value(*tag));
                let next = others.filter(|at| *at > symbols_at).min()?;
                Some((next - symbols_at) / size_of::<H::Sym>() as u64)
            })
    };
    let count = usize::try_from(count()?).ok()?;
    let symbols = loaded(file, symbols_at)?.read_slice_at(0, count).ok()?;
    let names = loaded(file, names_at)?;
    let end = value(elf::DT_STRSZ)?.min(names.len() as u64);
    Some((symbols, StringTable::new(names, 0, end)))
}

/// The pointers that a program's loader makes, but those to functions of other files.
pub fn relocations<'a, H: FileHeader<Endian = Endianness>>(
    file: &ElfFile<'a, H>,
) -> impl Iterator<Item = Relocation> {
    let endian = file.endian();
    let is_mips64el = file.elf_header().is_mips64el(endian);
    let number = |symbol: u64| usize::try_from(symbol).ok().filter(|number| *number != 0);
    let in_place: &'a [H::Rel] = table(file, elf::DT_REL, elf::DT_RELSZ).unwrap_or_default();
    let in_place = in_place.iter().map(move |entry| {
        // The ABI n64 of MIPS has a number of 32 bits before three types of 8, in either byte
        // order, which `object` heeds in entries of RELA only.
        let symbol = if is_mips64el {
            entry.r_info(endian).into() & u64::from(u32::MAX)
        } else {
            entry.r_sym(endian).into()
        };
        Relocation {
            at: entry.r_offset(endian).into(),
            symbol: number(symbol),
            addend: None,
        }
    });
    let beside: &'a [H::Rela] = table(file, elf::DT_RELA, elf::DT_RELASZ).unwrap_or_default();
    let beside = beside.iter().map(move |entry| Relocation {
        at: entry.r_offset(endian).into(),
        symbol: number(entry.r_sym(endian, is_mips64el).into()),
        addend: Some(entry.r_addend(endian).into()),
    });
    in_place.chain(beside)
}

/// A table of the loader's, by the entries that say where it is and how long.
fn table<'a, H: FileHeader<Endian = Endianness>, T: Pod>(
    file: &ElfFile<'a, H>,
    at: i64,
    length: i64,
) -> Option<&'a [T]> {
    let bytes = loaded(file, value(file, at)?)?;
    let length = usize::try_from(value(file, length)?).ok()?.min(bytes.len());
    bytes.read_slice_at(0, length / size_of::<T>()).ok()
}

/// What the program says to its loader by this tag.
fn value<H: FileHeader<Endian = Endianness>>(file: &ElfFile<'_, H>, tag: i64) -> Option<u64> {
    let endian = file.endian();
    let headers = file.elf_program_headers().iter();
    let mut tables = headers.filter_map(|header| header.dynamic(endian, file.data()).ok()?);
    let mut entries = tables.next()?.iter();
    let found = entries.find(|entry| entry.tag(endian) == tag)?;
    Some(found.d_val(endian).into())
}

/// What is loaded from an address on, up to the end of its segment.
fn loaded<'a, H: FileHeader<Endian = Endianness>>(
    file: &ElfFile<'a, H>,
    address: u64,
) -> Option<&'a [u8]> {
    let endian = file.endian();
    file.elf_program_headers().iter().find_map(|header| {
        let is_loaded = header.p_type(endian) == elf::PT_LOAD;
        let at = address.checked_sub(header.p_vaddr(endian).into());
        let at = usize::try_from(at.filter(|_| is_loaded)?).ok()?;
        header.data(endian, file.data()).ok()?.get(at..)
    })
}
