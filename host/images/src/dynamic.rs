//! The symbols that a program's loader uses, found as the loader finds them: by the program
//! headers. They are there also where a vendor has removed the section headers (`sstrip`).

use object::read::elf::{Dyn, ElfFile, FileHeader, GnuHashTable, HashTable, ProgramHeader};
use object::read::{ReadRef, StringTable};
use object::{Endianness, elf};

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
pub(crate) type Symbols<'a, H> = (&'a [<H as FileHeader>::Sym], StringTable<'a>);

/// The symbols of a program without section headers, if it is linked dynamically and its tables
/// make sense.
pub(crate) fn symbols<'a, H: FileHeader<Endian = Endianness>>(
    file: &ElfFile<'a, H>,
) -> Option<Symbols<'a, H>> {
    let endian = file.endian();
    let headers = file.elf_program_headers().iter();
    let mut tables = headers.filter_map(|header| header.dynamic(endian, file.data()).ok()?);
    let entries = tables.next()?;
    let value = |tag: i64| {
        let mut entries = entries.iter();
        let found = entries.find(|entry| entry.tag(endian) == tag)?;
        Some(found.d_val(endian).into())
    };
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
