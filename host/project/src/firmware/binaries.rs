//! Programs and libraries, looked into: their symbols and their strings.

use std::fs::File;
use std::io::{Read, Seek, Write};

use regex::bytes::{Regex, RegexBuilder};
use rookery_contract::options::{StringOptions, SymbolOptions};
use rookery_contract::shapes::{FoundString, Strings, Symbol, SymbolKind, SymbolSide, Symbols};
use rookery_contract::text::escape;
use rookery_images::{Reading, Unread};

use super::Firmware;
use super::elf::MAX_BYTES;
use super::tree::{Content, Entry, shown};
use crate::{Cancel, Error, Result};

/// Most bytes that the reader of symbols may say: more than it does.
const MAX_SAID: u64 = 64 << 20;
/// Longest string that is shown, in bytes.
const MAX_TEXT: usize = 300;
/// How much of a file is read at once.
const CHUNK: usize = 1 << 20;

impl Firmware {
    /// `binaries.symbols`
    pub fn symbols(&self, path: &str, options: &SymbolOptions, cancel: &Cancel) -> Result<Symbols> {
        let pattern = pattern(&options.pattern)?;
        let (resolved, entry) = self.binary(path)?;
        let said = self.read_symbols(path, entry, cancel)?;
        let (first, rest) = split(&said, b'\n').unwrap_or((&said, &[]));
        let mut symbols: Vec<Symbol> = rest
            .split(|byte| *byte == 0)
            .filter_map(|record| symbol(record, &pattern))
            .filter(|symbol| options.which.has(symbol.which))
            .collect();
        symbols.sort_by(|one, other| one.name.cmp(&other.name));
        let total = symbols.len();
        let limit = options.limit.min(SymbolOptions::MAX_SYMBOLS) as usize;
        let page = symbols.into_iter().skip(options.offset as usize);
        let symbols: Vec<Symbol> = page.take(limit).collect();
        Ok(Symbols {
            path: shown(&resolved),
            truncated: symbols.len() < total,
            symbols,
            total: total as u64,
            stripped: first == b"stripped",
        })
    }

    /// `binaries.strings`
    pub fn strings(&self, path: &str, options: &StringOptions, cancel: &Cancel) -> Result<Strings> {
        let pattern = pattern(&options.pattern)?;
        let (resolved, entry) = self.binary(path)?;
        let mut found = Found {
            pattern,
            min: options.min.max(StringOptions::MIN_CHARS) as usize,
            offset: u64::from(options.offset),
            limit: options.limit.min(StringOptions::MAX_STRINGS) as usize,
            strings: Vec::new(),
            total: 0,
        };
        // Strings end where a file does: a run across two chunks is one.
        let (mut run, mut start, mut at) = (Vec::new(), 0, 0);
        loop {
            cancel.check()?;
            let chunk = self.image.read(entry, at, CHUNK)?;
            if chunk.is_empty() {
                found.take(&run, start);
                break;
            }
            for byte in &chunk {
                if byte.is_ascii_graphic() || matches!(byte, b' ' | b'\t') {
                    if run.is_empty() {
                        start = at;
                    }
                    run.push(*byte);
                } else if !run.is_empty() {
                    found.take(&run, start);
                    run.clear();
                }
                at += 1;
            }
        }
        Ok(Strings {
            path: shown(&resolved),
            truncated: (found.strings.len() as u64) < found.total,
            strings: found.strings,
            total: found.total,
        })
    }

    /// A file that is not too long to be looked into.
    fn binary(&self, path: &str) -> Result<(Vec<u8>, &Entry)> {
        let (resolved, entry) = self.follow(path)?;
        let Content::File { bytes, .. } = entry.content else {
            return Err(Error::InvalidArgument(format!(
                "{path:?} is a {}, not a file",
                entry.content.kind()
            )));
        };
        if bytes > MAX_BYTES as u64 {
            return Err(Error::Limit(format!(
                "{path:?} has {bytes} bytes, and files of at most {} MiB are looked into",
                MAX_BYTES >> 20
            )));
        }
        Ok((resolved, entry))
    }

    /// What the confined process says of a file.
    fn read_symbols(&self, path: &str, entry: &Entry, cancel: &Cancel) -> Result<Vec<u8>> {
        let host = |error: std::io::Error| {
            Error::Internal(format!("cannot start the reader of symbols: {error}"))
        };
        let file = self.copy_of(entry, cancel).map_err(host)?;
        let wanted = cancel.clone();
        let mut reading =
            Reading::start_symbols(file, move || wanted.is_cancelled()).map_err(host)?;
        let mut said = Vec::new();
        let read = (&mut reading).take(MAX_SAID).read_to_end(&mut said);
        cancel.check()?;
        reading.end().map_err(|unread| match unread {
            Unread::Refused(why) => Error::InvalidArgument(format!(
                "the symbols of {path:?} cannot be read: {}",
                escape(why.as_bytes())
            )),
            Unread::TooMuch(what) => Error::Limit(format!(
                "reading the symbols of {path:?} needs more than {what}, as a file does that is \
                 made to keep a machine busy"
            )),
            Unread::Host(why) => Error::Internal(format!("the reader of symbols: {why}")),
        })?;
        read.map_err(host)?;
        Ok(said)
    }

    fn copy_of(&self, entry: &Entry, cancel: &Cancel) -> std::io::Result<File> {
        let mut file = tempfile::tempfile()?;
        self.image
            .copy(entry, &mut file, cancel)
            .map_err(std::io::Error::other)?;
        file.flush()?;
        file.rewind()?;
        Ok(file)
    }
}

/// One record of the process's, if its name is asked for. It may have been taken over: what does
/// not fit is left out.
fn symbol(record: &[u8], pattern: &Regex) -> Option<Symbol> {
    let (kind, rest) = split(record, b' ')?;
    let (side, rest) = split(rest, b' ')?;
    let (address, rest) = split(rest, b' ')?;
    let (bytes, name) = split(rest, b' ')?;
    let hexadecimal = |digits: &[u8]| {
        let digits = std::str::from_utf8(digits).ok()?;
        u64::from_str_radix(digits, 16).ok()
    };
    pattern.is_match(name).then_some(())?;
    Some(Symbol {
        name: escape(name),
        kind: match kind {
            b"f" => SymbolKind::Function,
            b"o" => SymbolKind::Object,
            _ => SymbolKind::Other,
        },
        which: match side {
            b"i" => SymbolSide::Imported,
            b"e" => SymbolSide::Exported,
            _ => SymbolSide::Local,
        },
        address: format!("{:#x}", hexadecimal(address)?),
        bytes: hexadecimal(bytes)?,
    })
}

fn split(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(at, bytes)?;
    Some((bytes.get(..at)?, bytes.get(at + 1..)?))
}

fn pattern(pattern: &str) -> Result<Regex> {
    let regex = RegexBuilder::new(pattern).unicode(false).build();
    regex.map_err(|error| {
        Error::InvalidArgument(format!(
            "`pattern` is not a regular expression: {error}. The syntax is that of Rust's regex \
             crate"
        ))
    })
}

/// Strings that were found.
struct Found {
    pattern: Regex,
    min: usize,
    offset: u64,
    limit: usize,
    strings: Vec<FoundString>,
    total: u64,
}

impl Found {
    fn take(&mut self, run: &[u8], at: u64) {
        if run.len() < self.min || !self.pattern.is_match(run) {
            return;
        }
        if self.total >= self.offset && self.strings.len() < self.limit {
            let text = run.get(..MAX_TEXT).unwrap_or(run);
            self.strings.push(FoundString {
                at,
                text: escape(text),
            });
        }
        self.total += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_that_was_taken_over_says_is_no_symbol() {
        let all = pattern("").expect("a pattern");
        let read = |record: &[u8]| symbol(record, &all);
        let own = read(b"f e 1f0 c main").expect("a symbol");
        assert_eq!(
            (own.name.as_str(), own.address.as_str(), own.bytes),
            ("main", "0x1f0", 12)
        );
        let hidden = read("f i 0 0 a\u{202e}b c".as_bytes()).expect("a symbol");
        assert_eq!(hidden.name, "a\\u{202e}b c");
        for wrong in [
            &b""[..],
            b"f e 1f0 main",
            b"f e zz c main",
            b"f e 1 -c main",
        ] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }
}
