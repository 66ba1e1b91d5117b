//! Tables of NVRAM values in vendors' libraries and programs: arrays of `{ name, value, next }`,
//! three pointers each, that symbols of known names lead to.

use std::collections::HashMap;
use std::ops::Range;

use memchr::memmem;
use object::read::elf::{ElfFile, FileHeader, Sym};
use object::{Endianness, FileKind, Object as _, ObjectSegment as _, ObjectSymbol, elf};
use rookery_images::dynamic::{self, Symbols};

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
    let values = match FileKind::parse(contents) {
        Ok(FileKind::Elf32) if named => values_of::<elf::FileHeader32<Endianness>>(contents),
        Ok(FileKind::Elf64) if named => values_of::<elf::FileHeader64<Endianness>>(contents),
        _ => None,
    };
    values.unwrap_or_default()
}

fn values_of<H: FileHeader<Endian = Endianness>>(contents: &[u8]) -> Option<Vec<(String, String)>> {
    let file = ElfFile::<H>::parse(contents).ok()?;
    let symbols = dynamic::symbols(&file);
    let table = table(&file, symbols)?;
    let size = if file.is_64() { 8 } else { 4 };
    let within = table..table.saturating_add(ENTRIES_MAX * 3 * size);
    let relocated = relocated(&file, symbols, &within);
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
    Some((0..ENTRIES_MAX).map_while(entry).collect())
}

/// Where the table is: by what the loader knows, or else what is left of the linker's names.
fn table<H: FileHeader<Endian = Endianness>>(
    file: &ElfFile<'_, H>,
    symbols: Option<Symbols<'_, H>>,
) -> Option<u64> {
    let endian = file.endian();
    let known = symbols.and_then(|(symbols, names)| {
        let mut defined = symbols.iter().filter(|symbol| !symbol.is_undefined(endian));
        let is_named = |symbol: &&H::Sym| {
            let name = symbol.name(endian, names);
            name.is_ok_and(|name| NAMES.iter().any(|known| known.as_bytes() == name))
        };
        Some(defined.find(is_named)?.st_value(endian).into())
    });
    known.or_else(|| {
        let mut defined = file.symbols().filter(ObjectSymbol::is_definition);
        let named = defined.find(|symbol| symbol.name().is_ok_and(|name| NAMES.contains(&name)));
        Some(named?.address())
    })
}

/// The pointers of a table that a loader makes: what the file holds beside the instruction to make
/// one (RELA: on `AArch64`, RISC-V, PowerPC, x86-64), or where it belongs (REL: on MIPS, ARM, x86),
/// and where the symbol is that the instruction names, if any.
fn relocated<H: FileHeader<Endian = Endianness>>(
    file: &ElfFile<'_, H>,
    symbols: Option<Symbols<'_, H>>,
    within: &Range<u64>,
) -> HashMap<u64, u64> {
    let endian = file.endian();
    let all = dynamic::relocations(file).filter(|relocation| within.contains(&relocation.at));
    let pointers = all.filter_map(|relocation| {
        let target = match relocation.symbol {
            None => 0,
            Some(number) => {
                let symbol = symbols?.0.get(number)?;
                let address: u64 = symbol.st_value(endian).into();
                (!symbol.is_undefined(endian)).then_some(address)?
            }
        };
        let held = match relocation.addend {
            None => pointer(file, relocation.at)?,
            Some(addend) => addend.cast_unsigned(),
        };
        let address = target.wrapping_add(held);
        let address = if file.is_64() {
            address
        } else {
            address & u64::from(u32::MAX)
        };
        Some((relocation.at, address))
    });
    pointers.take(POINTERS_MAX).collect()
}

fn is_key(key: &str) -> bool {
    let first = key.chars().next();
    first.is_some_and(|first| first.is_ascii_alphanumeric() || first == '_')
        && key
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'/')
}

fn pointer<H: FileHeader<Endian = Endianness>>(file: &ElfFile<'_, H>, at: u64) -> Option<u64> {
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

fn text<H: FileHeader<Endian = Endianness>>(file: &ElfFile<'_, H>, at: u64) -> Option<String> {
    let found = (at != 0).then(|| rest(file, at))??;
    let found = found.get(..found.len().min(STRING_MAX))?;
    let end = found.iter().position(|byte| *byte == 0)?;
    Some(std::str::from_utf8(found.get(..end)?).ok()?.to_owned())
}

fn bytes<'a, H: FileHeader<Endian = Endianness>>(
    file: &ElfFile<'a, H>,
    at: u64,
    size: usize,
) -> Option<&'a [u8]> {
    rest(file, at)?.get(..size)
}

/// What a segment holds from an address on.
fn rest<'a, H: FileHeader<Endian = Endianness>>(
    file: &ElfFile<'a, H>,
    at: u64,
) -> Option<&'a [u8]> {
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

    /// Where the parts of one are. Names follow the symbols.
    const SYMBOLS_AT: usize = 0x100;
    const ENTRIES_AT: usize = 0x190;
    const TEXTS_AT: usize = 0x1e0;
    const TABLE_AT: usize = 0x220;
    const DYNAMIC_AT: usize = 0x280;
    const LENGTH: usize = 0x300;

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

        /// Of a file without sections, that is loaded where it is.
        fn header(self) -> Vec<u8> {
            let class = if self.wide { 2 } else { 1 };
            let order = if self.little { 1 } else { 2 };
            let (header, program) = if self.wide { (64, 56) } else { (52, 32) };
            let kind = [(3, 2), (self.machine.into(), 2), (1, 4), (0, 0)];
            let tables = [(header, 0), (0, 0), (0, 4)];
            let sizes = [(header, 2), (program, 2), (2, 2), (0, 2), (0, 2), (0, 2)];
            let segment = |kind, at, length| {
                let place = [
                    (kind, 4),
                    (at, 0),
                    (at, 0),
                    (at, 0),
                    (length, 0),
                    (length, 0),
                ];
                let mut segment = [&place[..], &[(1, 0)]].concat();
                segment.insert(if self.wide { 1 } else { 6 }, (6, 4));
                segment
            };
            let loaded = segment(1, 0, LENGTH);
            let dynamic = segment(2, DYNAMIC_AT, LENGTH - DYNAMIC_AT);
            let all = [&kind[..], &tables, &sizes, &loaded, &dynamic].concat();
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
            let names = b"\0router_defaults\0shared\0".to_vec();
            let names_at = SYMBOLS_AT + symbols.len();
            let (tag, length_tag) = if self.beside { (7, 8) } else { (17, 18) };
            let dynamic = [
                (6, SYMBOLS_AT),
                (5, names_at),
                (10, names.len()),
                (tag, ENTRIES_AT),
                (length_tag, entries.len()),
                (0, 0),
            ];
            let dynamic = dynamic.map(|(tag, value)| [self.word(tag), self.word(value)].concat());
            let held = if self.beside { [0, 0] } else { [key, 2] };
            let mut file = vec![0; LENGTH];
            for (at, part) in [
                (0, self.header()),
                (SYMBOLS_AT, symbols),
                (names_at, names),
                (ENTRIES_AT, entries),
                (TEXTS_AT, b"lan_ip\0\0xx10.0.0.1\0".to_vec()),
                (TABLE_AT, held.map(|value| self.word(value)).concat()),
                (DYNAMIC_AT, dynamic.concat()),
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
