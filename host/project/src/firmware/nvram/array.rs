//! Tables of NVRAM values in vendors' libraries and programs: arrays of `{ name, value, next }`,
//! three pointers each, that symbols of known names lead to.

use std::collections::HashMap;

use memchr::memmem;
use object::read::{File, RelocationTarget};
use object::{Endianness, Object as _, ObjectSegment as _, ObjectSymbol, ObjectSymbolTable as _};

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

/// The pointers of a table that the file does not hold where they belong, but beside the
/// instruction to put them there (RELA): on `AArch64`, RISC-V, PowerPC, x86-64. Others hold them
/// already (REL).
fn relocated(file: &File<'_>, table: u64, length: u64) -> HashMap<u64, u64> {
    let within = table..table.saturating_add(length);
    let symbols = file.dynamic_symbol_table();
    let all = file.dynamic_relocations().into_iter().flatten();
    let pointers = all.filter_map(|(at, relocation)| {
        let target = match relocation.target() {
            RelocationTarget::Absolute => 0,
            RelocationTarget::Symbol(index) => {
                let symbol = symbols.as_ref()?.symbol_by_index(index).ok()?;
                symbol.is_definition().then(|| symbol.address())?
            }
            _ => return None,
        };
        let beside = within.contains(&at) && !relocation.has_implicit_addend();
        beside.then(|| (at, target.wrapping_add_signed(relocation.addend())))
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
}
