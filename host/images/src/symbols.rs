//! The symbols of an ELF file, as lines of text.
//!
//! Firmware's files are whatever somebody made them: their tables may lie, overlap and be as large
//! as the file. So they are followed in the confined process, as images are.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use object::read::elf::{ElfFile, FileHeader, Sym};
use object::{Endianness, FileKind, Object, ObjectSymbol, elf};

use crate::dynamic;

/// What the process is called with, before its limits.
pub const READ_SYMBOLS: &str = "read-symbols";

/// Most symbols that are written.
pub const MAX_SYMBOLS: usize = 200_000;
/// Longest name, in bytes. The names of C++ are long.
const MAX_NAME: usize = 1024;
/// Most bytes of all names: each could be the whole table.
const MAX_NAMES: usize = 16 << 20;

/// The process: write the symbols of the file on stdin to stdout. `arguments` are what follows
/// [`READ_SYMBOLS`].
///
/// The first line says whether there is a table of local symbols (`full` or `stripped`). Each of
/// the others is a symbol: its kind, who has it, its address and its size in hexadecimal, and its
/// name up to a zero byte.
pub fn read_symbols(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    rookery_confined::work(arguments, || {
        std::panic::set_hook(Box::new(|_| {}));
        let mut file = Vec::new();
        let read = std::io::stdin().lock().read_to_end(&mut file);
        read.map_err(|error| error.to_string())?;
        write_symbols(&file, std::io::stdout().lock()).map_err(|error| format!("{error:#}"))
    })
}

/// This is the process's work without its limits, for tests.
pub fn write_symbols(file: &[u8], to: impl Write) -> Result<()> {
    // Whatever the crate does not expect is damage.
    let write = std::panic::AssertUnwindSafe(|| match FileKind::parse(file) {
        Ok(FileKind::Elf32) => write_of::<elf::FileHeader32<Endianness>>(file, to),
        Ok(FileKind::Elf64) => write_of::<elf::FileHeader64<Endianness>>(file, to),
        _ => bail!("it is not an ELF file"),
    });
    std::panic::catch_unwind(write).unwrap_or_else(|_| bail!("its structure makes no sense"))
}

fn write_of<H: FileHeader<Endian = Endianness>>(file: &[u8], mut to: impl Write) -> Result<()> {
    let file = ElfFile::<H>::parse(file).context("its headers make no sense")?;
    let is_full = file.symbols().next().is_some();
    writeln!(to, "{}", if is_full { "full" } else { "stripped" })?;
    let mut written = Written::default();
    for symbol in file.dynamic_symbols().chain(file.symbols()) {
        let Ok(name) = symbol.name_bytes() else {
            continue;
        };
        written.write(&mut to, name, symbol.elf_symbol(), file.endian())?;
    }
    if file.dynamic_symbols().next().is_none()
        && let Some((symbols, names)) = dynamic::symbols(&file)
    {
        for symbol in symbols {
            if let Ok(name) = symbol.name(file.endian(), names) {
                written.write(&mut to, name, symbol, file.endian())?;
            }
        }
    }
    Ok(())
}

/// What was written so far.
#[derive(Default)]
struct Written<'a> {
    seen: BTreeSet<(&'a [u8], u64)>,
    bytes: usize,
}

impl<'a> Written<'a> {
    fn write<S: Sym<Endian = Endianness>>(
        &mut self,
        to: &mut impl Write,
        name: &'a [u8],
        symbol: &S,
        endian: Endianness,
    ) -> Result<()> {
        let kind = match symbol.st_type() {
            elf::STT_FUNC | elf::STT_GNU_IFUNC => "f",
            elf::STT_OBJECT | elf::STT_COMMON | elf::STT_TLS => "o",
            // Of no use to anybody: they name parts of the file.
            elf::STT_FILE | elf::STT_SECTION => return Ok(()),
            _ => "x",
        };
        let side = if symbol.is_undefined(endian) {
            "i"
        } else if symbol.st_bind() != elf::STB_LOCAL {
            "e"
        } else {
            "l"
        };
        let address: u64 = symbol.st_value(endian).into();
        let bytes: u64 = symbol.st_size(endian).into();
        // Both tables have what is exported.
        let is_new = self.seen.insert((name, address));
        if name.is_empty() || name.len() > MAX_NAME || !is_new {
            return Ok(());
        }
        self.bytes += name.len();
        if self.seen.len() > MAX_SYMBOLS || self.bytes > MAX_NAMES {
            bail!("it has more symbols than {MAX_SYMBOLS}, or longer names than are read");
        }
        write!(to, "{kind} {side} {address:x} {bytes:x} ")?;
        to.write_all(name)?;
        to.write_all(b"\0")?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_that_a_program_has_and_imports_are_told_apart_in_both_byte_orders() {
        // Of `int nvram_get(void); static int n; int main(void) {…}`.
        let programs: [&[u8]; 2] = [
            include_bytes!("../../../tests/fuzz/seeds/firmware_symbols/x86_64.o"),
            include_bytes!("../../../tests/fuzz/seeds/firmware_symbols/mips.o"),
        ];
        for program in programs {
            let mut text = Vec::new();
            write_symbols(program, &mut text).expect("it is an ELF file");
            let text = String::from_utf8_lossy(&text);
            let (first, symbols) = text.split_once('\n').expect("a line");
            assert_eq!(first, "full");
            let symbols: Vec<&str> = symbols.split_terminator('\0').collect();
            let has = |start: &str, end: &str| {
                let mut symbols = symbols.iter();
                symbols.any(|symbol| symbol.starts_with(start) && symbol.ends_with(end))
            };
            assert!(has("f e ", " main"), "{symbols:?}");
            assert!(has("x i 0 0 ", " nvram_get"), "{symbols:?}");
            assert!(has("o l ", " n"), "{symbols:?}");
        }
    }

    /// The symbols of a program of this machine's, each as it is written.
    fn symbols(program: &[u8]) -> BTreeSet<String> {
        let mut text = Vec::new();
        write_symbols(program, &mut text).expect("it is an ELF file");
        let text = String::from_utf8_lossy(&text);
        let (_, symbols) = text.split_once('\n').expect("a line");
        symbols.split_terminator('\0').map(str::to_owned).collect()
    }

    #[test]
    fn a_program_without_section_headers_has_the_symbols_that_its_loader_uses() {
        for file in ["/bin/true", "/proc/self/exe"] {
            let whole = std::fs::read(file).expect("it is there");
            // `e_shoff`, `e_shnum` and `e_shstrndx` of a 64-bit header, as `sstrip` leaves them.
            let mut without = whole.clone();
            without[0x28..0x30].fill(0);
            without[0x3c..0x40].fill(0);
            let (all, left) = (symbols(&whole), symbols(&without));
            let imports = |all: &BTreeSet<String>| {
                let imports = all.iter().filter(|symbol| symbol[2..].starts_with('i'));
                imports.cloned().collect::<BTreeSet<_>>()
            };
            assert!(!imports(&left).is_empty(), "{file}");
            assert_eq!(imports(&all), imports(&left), "{file}");
            assert!(left.is_subset(&all), "{file}");
        }
    }

    #[test]
    fn what_is_damaged_or_something_else_is_refused_and_never_a_crash() {
        for other in [&b""[..], b"#!/bin/sh\n", b"\x7fELF", b"\x7fELF\x01\x01\x01"] {
            assert!(write_symbols(other, std::io::sink()).is_err());
        }
        let own = std::fs::read("/proc/self/exe").expect("it is there");
        let head = own.get(..4096).expect("it is longer");
        for at in 0..head.len() {
            let mut damaged = head.to_vec();
            damaged[at] ^= 0xff;
            let _ = write_symbols(&damaged, std::io::sink());
        }
        // The same where only the program headers lead anywhere.
        let mut without = own.clone();
        without[0x28..0x30].fill(0);
        without[0x3c..0x40].fill(0);
        let of_headers = 0x40..0x400;
        for at in of_headers {
            let before = without[at];
            without[at] ^= 0xff;
            let _ = write_symbols(&without, std::io::sink());
            without[at] = before;
        }
    }
}
