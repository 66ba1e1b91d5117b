//! The bytes of an image, read at any place.

use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::sync::Arc;

use crate::format::HEAD;

/// Bytes of an image that is read from its place on.
#[derive(Clone)]
pub(crate) struct Source {
    bytes: Bytes,
    length: u64,
    at: u64,
}

#[derive(Clone)]
enum Bytes {
    /// A regular file, from this place on.
    Stdin(u64),
    Memory(Arc<[u8]>),
}

impl Source {
    /// What is on stdin, from where that stands.
    pub(crate) fn stdin() -> io::Result<Self> {
        let (file, here) = (io::stdin(), rustix::fs::SeekFrom::Current(0));
        let start = rustix::fs::seek(file.as_fd(), here)?;
        let size = rustix::fs::fstat(file.as_fd())?.st_size;
        Ok(Self {
            bytes: Bytes::Stdin(start),
            length: u64::try_from(size).unwrap_or(0).saturating_sub(start),
            at: 0,
        })
    }

    pub(crate) fn memory(bytes: Vec<u8>) -> Self {
        Self {
            length: bytes.len() as u64,
            bytes: Bytes::Memory(bytes.into()),
            at: 0,
        }
    }

    pub(crate) fn buffered(self) -> BufReader<Self> {
        BufReader::with_capacity(64 << 10, self)
    }

    /// How the image begins.
    pub(crate) fn head(&self) -> io::Result<Vec<u8>> {
        let mut head = vec![0; HEAD.min(usize::try_from(self.length).unwrap_or(HEAD))];
        self.read_exact_at(&mut head, 0)?;
        Ok(head)
    }

    /// Fill `buffer` from the place `at`.
    pub(crate) fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        Self { at, ..self.clone() }.read_exact(buffer)
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = match &self.bytes {
            Bytes::Stdin(start) => {
                rustix::io::pread(io::stdin().as_fd(), buffer, start.saturating_add(self.at))?
            }
            Bytes::Memory(bytes) => {
                let at = usize::try_from(self.at).unwrap_or(usize::MAX);
                bytes.get(at..).unwrap_or_default().read(buffer)?
            }
        };
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for Source {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        // No file is longer.
        self.at = at
            .filter(|at| i64::try_from(*at).is_ok())
            .ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
