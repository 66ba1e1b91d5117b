//! The bytes of an archive, counted as they come: how many were read, and how many came of them.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, BufRead, Read};
use std::path::Path;
use std::rc::Rc;

use flate2::bufread::GzDecoder;
use sha2::{Digest, Sha256};

use super::limits::{MAX_BYTES, MAX_META, MAX_RATIO, RATIO_FROM};
use crate::{Cancel, Error, Result};

/// What was read so far, and what may still be.
pub(super) struct Meter {
    compressed: Cell<u64>,
    /// Bytes that may be read until the next entry begins.
    pub allowance: Cell<u64>,
    content: Cell<u64>,
    /// The most content, in bytes.
    most: u64,
    /// Something follows the end of the compressed data.
    pub garbage: Cell<bool>,
    cancel: Cancel,
    /// The reason behind an I/O error that was made here.
    pub refusal: RefCell<Option<Error>>,
}

impl Meter {
    pub(super) fn new(cancel: Cancel) -> Self {
        Self {
            compressed: Cell::new(0),
            allowance: Cell::new(0),
            content: Cell::new(0),
            most: MAX_BYTES,
            garbage: Cell::new(false),
            cancel,
            refusal: RefCell::new(None),
        }
    }

    /// Of an image of so many bytes, which a process reads, with at most so many of content.
    pub(super) fn of_image(bytes: u64, most: u64, cancel: Cancel) -> Self {
        let meter = Self {
            most: most.min(MAX_BYTES),
            ..Self::new(cancel)
        };
        meter.compressed.set(bytes);
        meter
    }

    fn stop(&self, error: Error) -> io::Error {
        self.refusal.replace(Some(error));
        io::Error::other("refused")
    }

    /// Count content that came out, and refuse a bomb.
    pub(super) fn content(&self, bytes: u64, path: &Path) -> Result<()> {
        self.cancel.check()?;
        let total = self.content.get() + bytes;
        self.content.set(total);
        if total > self.most {
            return Err(Error::Limit(format!(
                "{} holds more than {} bytes of files",
                path.display(),
                self.most
            )));
        }
        let compressed = self.compressed.get();
        if total > RATIO_FROM && compressed > 0 && total / compressed > MAX_RATIO {
            return Err(Error::Limit(format!(
                "{} unpacks to more than {MAX_RATIO} times its size, as only an archive that is \
                 made to fill a disk does",
                path.display()
            )));
        }
        Ok(())
    }
}

pub(super) struct Compressed {
    pub inner: File,
    pub meter: Rc<Meter>,
    /// Of all that was read.
    pub digest: Rc<RefCell<Sha256>>,
}

impl Read for Compressed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        let read = buffer.get(..n).unwrap_or_default();
        self.digest.borrow_mut().update(read);
        self.meter
            .compressed
            .set(self.meter.compressed.get() + n as u64);
        Ok(n)
    }
}

pub(super) struct Metered {
    pub inner: Box<dyn Read>,
    pub meter: Rc<Meter>,
}

impl Read for Metered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.meter.cancel.is_cancelled() {
            return Err(self.meter.stop(Error::Cancelled));
        }
        let allowance = self.meter.allowance.get();
        let want = usize::try_from(allowance)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        if want == 0 && !buffer.is_empty() {
            return Err(self.meter.stop(Error::Limit(format!(
                "the archive has more than {MAX_META} bytes of names and headers for one entry"
            ))));
        }
        let n = self
            .inner
            .read(buffer.get_mut(..want).unwrap_or_default())?;
        self.meter.allowance.set(allowance - n as u64);
        Ok(n)
    }
}

/// The content of a gzip file of one or more members. The check sum of each is looked at when its
/// end is read.
pub(super) struct Gunzip<R> {
    /// None at the end.
    member: Option<GzDecoder<R>>,
    meter: Rc<Meter>,
}

impl<R: BufRead> Gunzip<R> {
    pub(super) fn new(reader: R, meter: Rc<Meter>) -> Self {
        Self {
            member: Some(GzDecoder::new(reader)),
            meter,
        }
    }
}

impl<R: BufRead> Read for Gunzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let n = member.read(buffer)?;
            if n > 0 || buffer.is_empty() {
                return Ok(n);
            }
            let Some(mut reader) = self.member.take().map(GzDecoder::into_inner) else {
                break;
            };
            let rest = reader.fill_buf()?;
            if rest.starts_with(b"\x1f\x8b") {
                self.member = Some(GzDecoder::new(reader));
            } else {
                self.meter.garbage.set(!rest.is_empty());
            }
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_grows_to_more_than_any_firmware_is_a_bomb() {
        let path = Path::new("a.tar.gz");
        let meter = Meter::new(Cancel::default());
        meter.compressed.set(1 << 20);
        assert!(meter.content(RATIO_FROM, path).is_ok());
        assert!(meter.content(1, path).is_err());
        let meter = Meter::new(Cancel::default());
        meter.compressed.set(1 << 30);
        assert!(meter.content(MAX_BYTES, path).is_ok());
        assert!(meter.content(1, path).is_err());
    }
}
