//! The lines of a file that may be too long to be read at every call: how many it has, and where
//! the last ones begin.
//!
//! A count is remembered. Logs only grow, so the next call counts what has come since.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use memchr::{memchr, memchr_iter, memrchr_iter};

use crate::ground::regular::read_at_most;
use crate::{Cancel, Error, Result};

/// How much is read at once.
const BLOCK: usize = 256 << 10;
/// Files whose count is remembered.
const KEPT: usize = 64;
/// Counting the lines of a shorter file costs no more than remembering them.
const SHORT: u64 = 1 << 20;
/// So much before the end of what was counted must be as it was, or the file is counted anew.
const MARK: usize = 4096;

/// How long one call may read a file.
pub(super) struct Patience<'a> {
    name: &'a str,
    timeout: Duration,
    deadline: Instant,
    cancel: &'a Cancel,
}

impl<'a> Patience<'a> {
    pub(super) fn new(name: &'a str, timeout: Duration, cancel: &'a Cancel) -> Self {
        Self {
            name,
            timeout,
            deadline: Instant::now() + timeout,
            cancel,
        }
    }

    /// Whether to go on, with so many bytes behind.
    pub(super) fn check(&self, done: u64) -> Result<()> {
        self.cancel.check()?;
        if Instant::now() > self.deadline {
            return Err(Error::Limit(format!(
                "searching {} took longer than {} ms; {done} bytes were searched. Use a simpler \
                 pattern, or read-text",
                self.name,
                self.timeout.as_millis()
            )));
        }
        Ok(())
    }

    /// What an error of reading the file is.
    pub(super) fn unreadable(&self, error: &io::Error) -> Error {
        Error::Internal(format!("cannot read {}: {error}", self.name))
    }

    fn read<'b>(&self, file: &File, buffer: &'b mut [u8], at: u64) -> Result<&'b [u8]> {
        let got = read_at_most(file, buffer, at).map_err(|error| self.unreadable(&error))?;
        Ok(buffer.get(..got).unwrap_or_default())
    }
}

/// What is remembered of a file.
struct Counted {
    device: u64,
    inode: u64,
    /// When the file was last changed, in whatever way.
    changed: (i64, i64),
    bytes: u64,
    ends: u64,
    mark: Vec<u8>,
}

static COUNTED: Mutex<Vec<Counted>> = Mutex::new(Vec::new());

/// How many lines the first `bytes` of a file have; the last one may have no end.
pub(super) fn total(file: &File, bytes: u64, patience: &Patience) -> Result<u64> {
    let mut last = [0];
    let last = patience.read(file, &mut last, bytes.saturating_sub(1))?;
    let is_open = bytes > 0 && last.first().is_some_and(|byte| *byte != b'\n');
    Ok(line_ends(file, bytes, patience)? + u64::from(is_open))
}

fn line_ends(file: &File, bytes: u64, patience: &Patience) -> Result<u64> {
    let meta = file
        .metadata()
        .map_err(|error| patience.unreadable(&error))?;
    let (device, inode) = (meta.dev(), meta.ino());
    let changed = (meta.ctime(), meta.ctime_nsec());
    let is_it = |known: &Counted| (known.device, known.inode) == (device, inode);
    let known = {
        let counted = COUNTED.lock().unwrap_or_else(PoisonError::into_inner);
        let known = counted.iter().find(|known| is_it(known));
        known
            .filter(|known| known.bytes < bytes || (known.bytes, known.changed) == (bytes, changed))
            .map(|known| (known.bytes, known.ends, known.mark.clone()))
    };
    let (mut at, mut ends) = match known {
        Some((counted, ends, mark)) if mark_before(file, counted, patience)? == mark => {
            (counted, ends)
        }
        _ => (0, 0),
    };
    let mut buffer = vec![0; BLOCK];
    while at < bytes {
        patience.check(at)?;
        let want = usize::try_from(bytes - at).map_or(BLOCK, |left| left.min(BLOCK));
        let block = patience.read(file, buffer.get_mut(..want).unwrap_or_default(), at)?;
        if block.is_empty() {
            break;
        }
        ends += memchr_iter(b'\n', block).count() as u64;
        at += block.len() as u64;
    }
    if at == bytes && bytes > SHORT {
        let mark = mark_before(file, bytes, patience)?;
        let mut counted = COUNTED.lock().unwrap_or_else(PoisonError::into_inner);
        counted.retain(|known| !is_it(known));
        let now = Counted {
            device,
            inode,
            changed,
            bytes,
            ends,
            mark,
        };
        counted.insert(0, now);
        counted.truncate(KEPT);
    }
    Ok(ends)
}

fn mark_before(file: &File, end: u64, patience: &Patience) -> Result<Vec<u8>> {
    let start = end.saturating_sub(MARK as u64);
    let mut mark = vec![0; usize::try_from(end - start).unwrap_or(MARK)];
    let got = patience.read(file, &mut mark, start)?.len();
    mark.truncate(got);
    Ok(mark)
}

/// The last `most` lines of the first `bytes` of a file: the offset and the length of each, the
/// last line first.
pub(super) fn last(
    file: &File,
    bytes: u64,
    most: usize,
    patience: &Patience,
) -> Result<Vec<(u64, u64)>> {
    last_in_blocks(file, bytes, most, BLOCK, patience)
}

fn last_in_blocks(
    file: &File,
    bytes: u64,
    most: usize,
    block: usize,
    patience: &Patience,
) -> Result<Vec<(u64, u64)>> {
    let mut lines = Vec::new();
    // The end of the line whose beginning is looked for; the end of the last line is no line.
    let (mut line_end, mut start) = (bytes, bytes);
    let mut buffer = vec![0; block];
    while start > 0 && lines.len() < most {
        patience.check(bytes - start)?;
        let from = start.saturating_sub(block as u64);
        let want = usize::try_from(start - from).unwrap_or(block);
        let part = patience.read(file, buffer.get_mut(..want).unwrap_or_default(), from)?;
        for end in memrchr_iter(b'\n', part) {
            let end = from + end as u64;
            if end + 1 < bytes && lines.len() < most {
                lines.push((end + 1, line_end - end - 1));
            }
            line_end = end;
        }
        start = from;
    }
    if start == 0 && bytes > 0 && lines.len() < most {
        lines.push((0, line_end));
    }
    Ok(lines)
}

/// Where the last line that begins in the first `end` bytes of a file is over at the latest: a
/// line that is not over within a block is cut.
pub(super) fn end_of_line(file: &File, end: u64, patience: &Patience) -> Result<u64> {
    let mut buffer = vec![0; BLOCK];
    let block = patience.read(file, &mut buffer, end)?;
    Ok(end + memchr(b'\n', block).map_or(0, |at| at as u64 + 1))
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, SeekFrom, Write};

    use super::*;

    fn index(number: u64) -> usize {
        usize::try_from(number).unwrap()
    }

    fn patient<T>(work: impl FnOnce(&Patience) -> Result<T>) -> T {
        let cancel = Cancel::default();
        work(&Patience::new("log", Duration::from_mins(1), &cancel)).unwrap()
    }

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    proptest::proptest! {
        #[test]
        fn the_last_lines_are_those_that_reading_all_of_it_finds(
            text in "[a\n]{0,60}", most in 0_usize..8, block in 1_usize..9,
        ) {
            let whole = text.as_bytes();
            let mut all: Vec<&[u8]> = whole.split(|byte| *byte == b'\n').collect();
            if whole.is_empty() || whole.ends_with(b"\n") {
                all.pop();
            }
            let file = file(whole);
            let found = patient(|patience| {
                last_in_blocks(&file, whole.len() as u64, most, block, patience)
            });
            let found: Vec<&[u8]> = found
                .iter()
                .map(|(at, length)| &whole[index(*at)..index(at + length)])
                .collect();
            let expected: Vec<&[u8]> = all.into_iter().rev().take(most).collect();
            proptest::prop_assert_eq!(found, expected);
        }
    }

    /// What the kernel says that this thread has read so far.
    fn read_so_far() -> u64 {
        let text = std::fs::read_to_string("/proc/thread-self/io").unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("rchar: "));
        line.unwrap().parse().unwrap()
    }

    #[test]
    fn what_was_counted_is_not_read_again_and_what_was_replaced_is() {
        let size = 16 * SHORT;
        let mut log = file(&b"0123456\n".repeat(index(size / 8)));
        let count = |log: &File, bytes| {
            let before = read_so_far();
            let ends = patient(|patience| line_ends(log, bytes, patience));
            (ends, read_so_far() - before)
        };
        let (ends, read) = count(&log, size);
        assert!(ends == size / 8 && read >= size);
        let (ends, read) = count(&log, size);
        assert!(ends == size / 8 && read < SHORT, "{read}");
        log.write_all(b"more\nand more\n").unwrap();
        let (ends, read) = count(&log, size + 14);
        assert!(ends == size / 8 + 2 && read < SHORT, "{read}");
        // Another text of the same length, and one that is longer.
        for longer in [0, 50] {
            log.seek(SeekFrom::Start(0)).unwrap();
            log.write_all(&b"0\n".repeat(index(size / 2 + longer)))
                .unwrap();
            let bytes = log.metadata().unwrap().len();
            let (ends, read) = count(&log, bytes);
            assert!(ends > size / 4 && read >= size, "{ends} {read}");
        }
    }
}
