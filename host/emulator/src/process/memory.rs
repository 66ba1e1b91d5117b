//! The memory of a guest process, which is hostile: every read is bounded, every failure is the
//! guest's.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::process::call::Call;
use crate::process::proc_dir::ProcDir;

const PAGE: u64 = 4096;

/// The longest path that the kernel takes, with its NUL.
pub const PATH_MAX: usize = 4096;

/// What the arguments and environment of a program may take together, and the longest single one.
pub const ARGUMENTS_MAX: usize = 2 * 1024 * 1024;
const STRING_MAX: usize = 128 * 1024;

/// `UIO_MAXIOV`.
const PIECES_MAX: u64 = 1024;

/// The open memory of one process. It stays that of the program that ran when it was opened, even
/// after an `execve`.
#[derive(Debug)]
pub struct Memory(File);

impl Memory {
    /// The memory that the thread `thread` of a process sees. The first thread of a process may
    /// have ended and has none then.
    pub fn open(process: &ProcDir, thread: u32) -> Result<Self, Errno> {
        let file = process.file(&format!("task/{thread}/mem"), OFlags::RDWR)?;
        Ok(Self(file.into()))
    }

    /// Fill `buffer`.
    pub fn read(&self, address: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(buffer, address)
    }

    /// Write all of `data` for the caller, also to pages that it may only read. `SRCH` where it no
    /// longer waits: then nothing is written.
    pub fn write(&self, call: &Call, address: u64, data: &[u8]) -> Result<(), Errno> {
        if !call.is_valid() {
            return Err(Errno::SRCH);
        }
        let written = self.0.write_all_at(data, address);
        written.map_err(|_| Errno::FAULT)
    }

    /// A NUL-terminated string without its NUL, read page by page. `None` where it is unreadable or
    /// has `max` bytes or more.
    pub fn string(&self, address: u64, max: usize) -> Option<Vec<u8>> {
        let mut found = Vec::new();
        let mut at = address;
        let mut chunk = [0_u8; 256];
        while at != 0 && found.len() < max {
            let to_page_end = usize::try_from(PAGE - at % PAGE).unwrap_or(chunk.len());
            let part = chunk.get_mut(..to_page_end.min(256))?;
            self.read(at, part).ok()?;
            if let Some(end) = part.iter().position(|byte| *byte == 0) {
                found.extend_from_slice(part.get(..end)?);
                return (found.len() < max).then_some(found);
            }
            found.extend_from_slice(part);
            at = at.checked_add(part.len() as u64)?;
        }
        None
    }

    /// Addresses and lengths of the pieces that `count` entries of `struct iovec` name
    /// (`readv(2)`): as many as the kernel takes. `None` where one is unreadable.
    pub fn pieces(&self, array: u64, count: u64) -> Option<Vec<(u64, u64)>> {
        (0..count.min(PIECES_MAX))
            .map(|index| {
                let mut entry = [[0_u8; 8]; 2];
                self.read(array.checked_add(index * 16)?, entry.as_flattened_mut())
                    .ok()?;
                Some((u64::from_ne_bytes(entry[0]), u64::from_ne_bytes(entry[1])))
            })
            .collect()
    }

    /// The strings of a NULL-terminated array of pointers, such as `argv`: `EFAULT` where one is
    /// unreadable, `E2BIG` where they exceed what the kernel lets a program have.
    pub fn strings(&self, array: u64, budget: &mut usize) -> Result<Vec<Vec<u8>>, Errno> {
        let mut all = Vec::new();
        let mut at = array;
        while at != 0 {
            let mut pointer = [0_u8; 8];
            self.read(at, &mut pointer).map_err(|_| Errno::FAULT)?;
            let pointer = u64::from_ne_bytes(pointer);
            if pointer == 0 {
                break;
            }
            let max = (*budget).min(STRING_MAX);
            let Some(string) = self.string(pointer, max) else {
                // Unreadable, or too long: the first byte tells.
                return Err(if self.read(pointer, &mut [0]).is_ok() {
                    Errno::TOOBIG
                } else {
                    Errno::FAULT
                });
            };
            *budget = budget.checked_sub(string.len() + 9).ok_or(Errno::TOOBIG)?;
            all.push(string);
            at = at.checked_add(8).ok_or(Errno::FAULT)?;
        }
        Ok(all)
    }
}

/// Guest text as a string of at most 4 KiB, for events.
pub fn text(bytes: &[u8]) -> String {
    let mut end = bytes.len().min(4096);
    while end < bytes.len() && end > 4092 && bytes.get(end).is_some_and(|byte| byte & 0xC0 == 0x80)
    {
        end -= 1;
    }
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
}

/// What the strings of one list in an event take together, and how many they are.
const TEXTS_BYTES: usize = 32 * 1024;
const TEXTS_MAX: usize = 256;

/// As [`text`] each of a list, such as the arguments of a program: as many from its beginning as an
/// event may hold.
pub fn texts<'a>(all: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
    let mut left = TEXTS_BYTES;
    all.into_iter()
        .take(TEXTS_MAX)
        .map(text)
        .take_while(|text| {
            let fits = text.len() <= left;
            left = left.saturating_sub(text.len());
            fits
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::proc_dir::PidNamespace;

    #[test]
    fn strings_are_read_across_pages_and_bounded() {
        let own = std::process::id();
        let process = ProcDir::of_thread(own, &PidNamespace::of(own).unwrap()).unwrap();
        let memory = Memory::open(&process, own).unwrap();
        let long = [vec![b'a'; 3 * 4096], vec![0]].concat();
        let address = long.as_ptr() as u64;
        assert_eq!(memory.string(address, 20_000).unwrap().len(), 3 * 4096);
        assert_eq!(memory.string(address, 100), None);
        assert_eq!(memory.string(0, 100), None);
        assert_eq!(memory.string(8, 100), None);
        let array = [address, address + 3 * 4096, 0];
        assert_eq!(
            memory.strings(array.as_ptr() as u64, &mut 20_000).unwrap(),
            [vec![b'a'; 3 * 4096], vec![]]
        );
        assert_eq!(
            memory.strings(array.as_ptr() as u64, &mut 5000),
            Err(Errno::TOOBIG)
        );
        assert_eq!(memory.strings(8, &mut 5000), Err(Errno::FAULT));
    }

    #[test]
    fn event_text_never_exceeds_its_bound() {
        assert_eq!(text("é".repeat(3000).as_bytes()).len(), 4096);
        assert_eq!(text(b"a\xff"), "a\u{fffd}");
        let many = |word: &[u8]| texts(vec![word; 2000]);
        assert_eq!(many(&[b'a'; 4000]).concat().len(), 8 * 4000);
        assert_eq!(many(b"").len(), 256);
    }
}
