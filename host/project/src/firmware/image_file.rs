//! Read a root filesystem from an image of a file system, or from an archive that is not a plain
//! tar. A confined process makes a tar stream of it, so that what an archive may hold is judged in
//! one place.
//!
//! Invariant 16: an image's structure is followed only in a confined process.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::rc::Rc;

use flate2::read::GzDecoder;
use rookery_images::{Format, Reading, Unread, format};

use super::image::Image;
use super::limits::MAX_BYTES;
use super::source::{Builder, Purpose, Subject, head};
use super::stream::{Meter, Metered};
use crate::{Cancel, Error, Result};
use rookery_contract::text::escape;

/// Whether `file` is read by the process.
pub(super) fn is_image(file: &File, path: &Path) -> Result<bool> {
    let failed = |error: io::Error| Error::io("read", path, &error);
    let mut file = file.try_clone().map_err(failed)?;
    let mut is = format(&head(&mut file, |file| file).map_err(failed)?);
    if is == Format::Gzip
        && let Ok(inside) = head(&mut file, GzDecoder::new)
    {
        is = format(&inside);
    }
    Ok(is.is_image())
}

/// What reading an image may take.
pub(super) struct Bounds {
    /// Content of its files.
    pub content: u64,
    /// The process's memory.
    pub memory: u64,
    pub purpose: Purpose,
}

/// As much as a firmware may need.
pub(super) const FIRMWARE: Bounds = Bounds {
    content: MAX_BYTES,
    memory: rookery_images::MEMORY_BYTES,
    purpose: Purpose::Root,
};

/// Read an image that is open as `file`, from where that stands.
pub(super) fn read(file: File, path: &Path, most: &Bounds, cancel: &Cancel) -> Result<Image> {
    let meta = file.metadata().map_err(|e| Error::io("read", path, &e))?;
    let wanted = cancel.clone();
    let cancelled = move || wanted.is_cancelled();
    let reading = Reading::start(file, meta.len(), most.memory, cancelled)
        .map_err(|error| Error::Internal(format!("cannot start the reader of images: {error}")))?;
    let reading = Rc::new(RefCell::new(reading));
    let meter = Rc::new(Meter::of_image(meta.len(), most.content, cancel.clone()));
    let purpose = most.purpose;
    let subject = Subject { path, purpose };
    let mut builder = Builder::new(subject, Rc::clone(&meter))?;
    let read = builder.archive(Metered {
        inner: Box::new(Stream(Rc::clone(&reading))),
        meter: Rc::clone(&meter),
    });
    cancel.check()?;
    // A stream that was refused here goes on; one that ended early does so for a reason.
    if let Err(error) = &read
        && !reading.borrow().has_ended()
    {
        let refusal = meter.refusal.take();
        return Err(refusal.unwrap_or_else(|| error.clone()));
    }
    let warnings = reading.borrow_mut().end();
    for warning in warnings.map_err(|unread| not_read(subject, unread))? {
        builder.warn(escape(warning.as_bytes()));
    }
    read?;
    builder.finish()
}

fn not_read(subject: Subject, unread: Unread) -> Error {
    match unread {
        Unread::Refused(why) => subject.refused(&escape(why.as_bytes())),
        Unread::TooMuch(what) => Error::Limit(format!(
            "reading {} needs more than {what}, as an image does that is made to keep a machine \
             busy; extract it with `unblob`, and use the directory instead",
            subject.path.display()
        )),
        Unread::Host(why) => Error::Internal(format!("the reader of images: {why}")),
    }
}

/// The stream of a process that is asked for its last word afterwards.
struct Stream(Rc<RefCell<Reading>>);

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.borrow_mut().read(buffer)
    }
}
