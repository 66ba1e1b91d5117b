//! How a hook prints an argument or a result.

use std::fmt::Write as _;

use rookery_project::quoted;

use crate::process::memory::Memory;
use crate::process::record::Record;

/// Of a string that an argument points at.
const TEXT: usize = 256;

/// A value as its item says: an argument of `record`'s, or what a call gave it.
pub fn value(record: &mut Record, value: u64, item: &str, big_endian: bool) -> String {
    match item {
        "%d" | "%i" => signed(value).to_string(),
        "%u" => value.to_string(),
        "%x" => format!("{value:x}"),
        "%X" => format!("{value:X}"),
        "%p" => format!("{value:#018x}"),
        "%b" => (value != 0).to_string(),
        "%c" => char::from(value.to_le_bytes()[0])
            .escape_default()
            .to_string(),
        "%s" => match record.memory().and_then(|of| text(&of, value)) {
            Some(text) => format!("\"{}\"", quoted(&text, TEXT)),
            None => format!("{value:#x}(?)"),
        },
        "%fd" => {
            // The kernel ignores the upper half as well.
            let [a, b, c, d, ..] = value.to_le_bytes();
            let fd = i32::from_le_bytes([a, b, c, d]);
            let file = record.base(fd);
            let file = file.map_or_else(|| "?".to_owned(), |file| quoted(file.as_bytes(), TEXT));
            format!("{fd}({file})")
        }
        _ => pointed_at(record, value, item, big_endian),
    }
}

/// A string, or the beginning of one that has no end there: what is written need not have one.
fn text(memory: &Memory, address: u64) -> Option<Vec<u8>> {
    let begins = || {
        let mut head = vec![0; TEXT];
        memory.read(address, &mut head).ok()?;
        Some(head)
    };
    memory.string(address, TEXT).or_else(begins)
}

/// A number in the caller's memory, such as `%u16`, in the guest's order of bytes.
fn pointed_at(record: &mut Record, address: u64, item: &str, big_endian: bool) -> String {
    let kind = item.get(1..2).unwrap_or_default();
    let bits: usize = item
        .get(2..)
        .and_then(|bits| bits.parse().ok())
        .unwrap_or(8);
    let mut bytes = [0; 8];
    let size = (bits / 8).clamp(1, 8);
    let wanted = bytes.get_mut(..size).unwrap_or_default();
    let read = record.memory().map(|memory| memory.read(address, wanted));
    if !matches!(read, Some(Ok(()))) {
        return format!("*{address:#x}(?)");
    }
    if big_endian {
        wanted.reverse();
    }
    let value = u64::from_le_bytes(bytes);
    let mut text = String::new();
    let _ = match kind {
        "x" => write!(text, "{value:#x}"),
        "u" => write!(text, "{value}"),
        _ => {
            let unused = 64 - 8 * u32::try_from(size).unwrap_or(8);
            write!(text, "{}", (value << unused).cast_signed() >> unused)
        }
    };
    text
}

/// A guest of 32 bits passes a negative number either way.
fn signed(value: u64) -> i64 {
    match u32::try_from(value) {
        Ok(low) => i64::from(low.cast_signed()),
        Err(_) => value.cast_signed(),
    }
}
