//! Tables of NVRAM values in vendors' libraries and programs: arrays of `{ name, value, next }`,
//! three pointers each, that symbols of known names lead to.

use std::collections::HashMap;

use memchr::memmem;
use object::read::{File, Relocation, RelocationTarget, SymbolIndex};
use object::{
    Architecture, Endianness, Object as _, ObjectSegment as _, ObjectSymbol,
    ObjectSymbolTable as _, RelocationFlags,
};

/// The names, as Penguin and firmadyne know them.
const NAMES: [&str; 2] = ["router_defaults", "Nvrams"];

/// Entries of one table, the pointers in them, and the bytes of one string.
const ENTRIES_MAX: u64 = 5000;
const POINTERS_MAX: usize = 15_000;
const STRING_MAX: usize = 4096;

/// The values of the first table in an ELF file. Where a loader makes the pointers, they are what
/// it would make, loaded at 0.
pub fn values(contents: &[u8]) -> Vec<(String, String)> {
    let named = NAMES
        .iter()
        .any(|name| memmem::find(contents, name.as_bytes()).is_some());
    let Some(file) = named.then(|| File::parse(contents).ok()).flatten() else {
        return Vec::new();
    };
    let symbols = file.dynamic_symbols().chain(file.symbols());
    let table = symbols
        .filter(ObjectSymbol::is_definition)
        .find(|symbol| symbol.name().is_ok_and(|name| NAMES.contains(&name)));
    let Some(table) = table.map(|symbol| symbol.address()) else {
        return Vec::new();
    };
    let size = if file.is_64() { 8 } else { 4 };
    let relocated = relocated(&file, table, ENTRIES_MAX * 3 * size);
    let pointer = |at: u64| relocated.get(&at).copied().or_else(|| pointer(&file, at));
    let entry = |index: u64| {
        let at = table.checked_add(index * 3 * size)?;
        let key = text(&file, pointer(at)?)?;
        let value = match pointer(at.checked_add(size)?)? {
            0 => String::new(),
            value => text(&file, value)?,
        };
        is_key(&key).then_some((key, value))
    };
    (0..ENTRIES_MAX).map_while(entry).collect()
}

/// The pointers of a table that a loader makes: what the file holds beside the instruction to make
/// one (RELA: on `AArch64`, RISC-V, PowerPC, x86-64), or where it belongs (REL: on MIPS, ARM, x86),
/// and where the symbol is that the instruction names, if any.
fn relocated(file: &File<'_>, table: u64, length: u64) -> HashMap<u64, u64> {
    let within = table..table.saturating_add(length);
    let symbols = file.dynamic_symbol_table();
    let all = file.dynamic_relocations().into_iter().flatten();
    let pointers = all.filter_map(|(at, relocation)| {
        if !within.contains(&at) {
            return None;
        }
        let target = match symbol_of(file, &relocation) {
            None => 0,
            Some(index) => {
                let symbol = symbols.as_ref()?.symbol_by_index(index).ok()?;
                symbol.is_definition().then(|| symbol.address())?
            }
        };
        let held = if relocation.has_implicit_addend() {
            pointer(file, at)?
        } else {
            relocation.addend().cast_unsigned()
        };
        let address = target.wrapping_add(held);
        Some((
            at,
            if file.is_64() {
                address
            } else {
                address & u64::from(u32::MAX)
            },
        ))
    });
    pointers.take(POINTERS_MAX).collect()
}

/// The symbol that an entry names.
fn symbol_of(file: &File<'_>, relocation: &Relocation) -> Option<SymbolIndex> {
    let RelocationTarget::Symbol(index) = relocation.target() else {
        return None;
    };
    // The ABI n64 of MIPS writes a number of 32 bits before three types of 8, in either byte order:
    // `object` does not turn that of little-endian files where they are REL.
    let is_turned = file.architecture() == Architecture::Mips64
        && file.endianness() == Endianness::Little
        && relocation.has_implicit_addend();
    match relocation.flags() {
        RelocationFlags::Elf { r_type } if is_turned => {
            let index = SymbolIndex(usize::try_from(r_type).ok()?);
            (index.0 != 0).then_some(index)
        }
        _ => Some(index),
    }
}

fn is_key(key: &str) -> bool {
    let first = key.chars().next();
    first.is_some_and(|first| first.is_ascii_alphanumeric() || first == '_')
        && key
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'/')
}

fn pointer(file: &File<'_>, at: u64) -> Option<u64> {
    let little = file.endianness() == Endianness::Little;
    if file.is_64() {
        let bytes: [u8; 8] = bytes(file, at, 8)?.try_into().ok()?;
        Some(if little {
            u64::from_le_bytes(bytes)
        } else {
            u64::from_be_bytes(bytes)
        })
    } else {
        let bytes: [u8; 4] = bytes(file, at, 4)?.try_into().ok()?;
        let value = if little {
            u32::from_le_bytes(bytes)
        } else {
            u32::from_be_bytes(bytes)
        };
        Some(value.into())
    }
}

fn text(file: &File<'_>, at: u64) -> Option<String> {
    let found = (at != 0).then(|| rest(file, at))??;
    let found = found.get(..found.len().min(STRING_MAX))?;
    let end = found.iter().position(|byte| *byte == 0)?;
    Some(std::str::from_utf8(found.get(..end)?).ok()?.to_owned())
}

fn bytes<'a>(file: &File<'a>, at: u64, size: usize) -> Option<&'a [u8]> {
    rest(file, at)?.get(..size)
}

/// What a segment holds from an address on.
fn rest<'a>(file: &File<'a>, at: u64) -> Option<&'a [u8]> {
    file.segments().find_map(|segment| {
        let offset = usize::try_from(at.checked_sub(segment.address())?).ok()?;
        segment.data().ok()?.get(offset..)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_table_has_no_values() {
        assert_eq!(values(b"\x7fELF"), []);
        let own = std::fs::read("/proc/self/exe").unwrap();
        assert_eq!(values(&own), []);
        assert!(!is_key("") && !is_key("a b") && !is_key("-x") && is_key("0:macaddr"));
    }

    /// How a library with a table is written.
    #[derive(Debug, Clone, Copy)]
    struct Library {
        machine: u16,
        wide: bool,
        little: bool,
        /// Types of entries: with a symbol, and without.
        types: [u32; 2],
        /// RELA, and not REL.
        beside: bool,
    }

    /// Where the parts of one are.
    const NAMES_AT: usize = 0x100;
    const SYMBOLS_AT: usize = 0x140;
    const ENTRIES_AT: usize = 0x190;
    const TEXTS_AT: usize = 0x1e0;
    const TABLE_AT: usize = 0x220;
    const SECTIONS_AT: usize = 0x280;
    const LENGTH: usize = 0x400;

    impl Library {
        fn number(self, value: usize, size: usize) -> Vec<u8> {
            let mut bytes = value.to_le_bytes()[..size].to_vec();
            if !self.little {
                bytes.reverse();
            }
            bytes
        }

        fn word(self, value: usize) -> Vec<u8> {
            self.number(value, if self.wide { 8 } else { 4 })
        }

        /// Numbers of 2 and 4 bytes, and words.
        fn join(self, parts: &[(usize, u8)]) -> Vec<u8> {
            let part = |&(value, size): &(usize, u8)| match size {
                0 => self.word(value),
                size => self.number(value, size.into()),
            };
            parts.iter().flat_map(part).collect()
        }

        fn header(self) -> Vec<u8> {
            let class = if self.wide { 2 } else { 1 };
            let order = if self.little { 1 } else { 2 };
            let (header, program, section) = if self.wide {
                (64, 56, 64)
            } else {
                (52, 32, 40)
            };
            let kind = [(3, 2), (self.machine.into(), 2), (1, 4), (0, 0)];
            let tables = [(header, 0), (SECTIONS_AT, 0), (0, 4)];
            let sizes = [
                (header, 2),
                (program, 2),
                (1, 2),
                (section, 2),
                (4, 2),
                (1, 2),
            ];
            let mut segment = vec![(1, 4), (0, 0), (0, 0), (0, 0), (LENGTH, 0), (LENGTH, 0)];
            segment.insert(if self.wide { 1 } else { 6 }, (6, 4));
            segment.push((0x1000, 0));
            let all = [&kind[..], &tables, &sizes, &segment].concat();
            [
                b"\x7fELF",
                &[class, order, 1, 0][..],
                &[0; 8],
                &self.join(&all),
            ]
            .concat()
        }

        fn symbol(self, name: usize, address: usize) -> Vec<u8> {
            // A global object of the first section.
            let kind = [&[0x11, 0][..], &self.number(1, 2)].concat();
            let (name, address) = (self.number(name, 4), self.word(address));
            if self.wide {
                [name, kind, address, self.word(0)].concat()
            } else {
                [name, address, self.word(0), kind].concat()
            }
        }

        /// An entry for the pointer at a place of the table.
        fn entry(self, at: usize, symbol: usize, addend: usize) -> Vec<u8> {
            let types = self.types[usize::from(symbol == 0)] as usize;
            let info = if self.machine == object::elf::EM_MIPS && self.wide {
                // A special symbol, the third type, the second, the first.
                let each = types.to_be_bytes()[4..].to_vec();
                [self.number(symbol, 4), each].concat()
            } else {
                self.word(symbol << if self.wide { 32 } else { 8 } | types)
            };
            let addend = if self.beside {
                self.word(addend)
            } else {
                Vec::new()
            };
            [self.word(at), info, addend].concat()
        }

        /// A table of one value that begins two bytes behind a symbol.
        fn file(self) -> Vec<u8> {
            let size = self.word(0).len();
            let symbols = [
                vec![0; if self.wide { 24 } else { 16 }],
                self.symbol(1, TABLE_AT),
                self.symbol(17, TEXTS_AT + 8),
            ];
            let (symbols, key) = (symbols.concat(), TEXTS_AT);
            let entries = [
                self.entry(TABLE_AT, 0, key),
                self.entry(TABLE_AT + size, 2, 2),
            ];
            let entries = entries.concat();
            let kind = if self.beside { 4 } else { 9 };
            let each = if self.beside { 3 * size } else { 2 * size };
            let sections = [
                [0; 6],
                [3, NAMES_AT, 0x40, 0, 0, 0],
                [11, SYMBOLS_AT, symbols.len(), 1, 1, symbols.len() / 3],
                [kind, ENTRIES_AT, entries.len(), 2, 0, each],
            ];
            let section = |[kind, at, length, link, info, each]: &[usize; 6]| {
                let place = [(0, 4), (*kind, 4), (2, 0), (*at, 0), (*at, 0), (*length, 0)];
                self.join(&[&place[..], &[(*link, 4), (*info, 4), (1, 0), (*each, 0)]].concat())
            };
            let held = if self.beside { [0, 0] } else { [key, 2] };
            let mut file = vec![0; LENGTH];
            for (at, part) in [
                (0, self.header()),
                (NAMES_AT, b"\0router_defaults\0shared\0".to_vec()),
                (SYMBOLS_AT, symbols),
                (ENTRIES_AT, entries),
                (TEXTS_AT, b"lan_ip\0\0xx10.0.0.1\0".to_vec()),
                (TABLE_AT, held.map(|value| self.word(value)).concat()),
                (SECTIONS_AT, sections.iter().flat_map(section).collect()),
            ] {
                file[at..at + part.len()].copy_from_slice(&part);
            }
            file
        }
    }

    #[test]
    fn a_loaders_pointers_are_read_of_every_machine_and_in_both_byte_orders() {
        use object::elf;
        let library = |machine, wide, little, types, beside| Library {
            machine,
            wide,
            little,
            types,
            beside,
        };
        // REL32, then a number of 64 bits, then nothing.
        let n64 = [0x1203, 0x1203];
        for library in [
            library(elf::EM_MIPS, true, true, n64, false),
            library(elf::EM_MIPS, true, false, n64, false),
            library(elf::EM_MIPS, true, true, n64, true),
            library(elf::EM_MIPS, true, false, n64, true),
            library(elf::EM_MIPS, false, true, [3, 3], false),
            library(elf::EM_MIPS, false, false, [3, 3], false),
            library(elf::EM_ARM, false, true, [2, 23], false),
            library(elf::EM_386, false, true, [1, 8], false),
            library(elf::EM_PPC, false, false, [1, 22], true),
            library(elf::EM_AARCH64, true, true, [257, 1027], true),
            library(elf::EM_X86_64, true, true, [1, 8], true),
        ] {
            let file = library.file();
            let expected = [("lan_ip".to_owned(), "10.0.0.1".to_owned())];
            assert_eq!(values(&file), expected, "{library:?}");
            for at in 0..file.len() {
                let mut damaged = file.clone();
                damaged[at] ^= 0xff;
                let _ = values(&damaged);
            }
        }
    }
}
