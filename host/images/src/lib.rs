//! Images of file systems, read as tar streams.
//!
//! A reader of file systems believes what the image says of itself, so a hostile one may keep it
//! busy, blow it up or take it over. It therefore works in a process of its own, confined as
//! `rookery-confined` says: the image is its stdin, and what it gives is a tar stream, which
//! whoever asked for it checks as any other archive. The symbols of a program are read so, too.

mod cpio;
pub mod dynamic;
mod ext;
mod format;
mod packed;
mod process;
mod source;
mod squashfs;
mod symbols;
mod tarball;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use anyhow::{Result, bail};

pub use self::format::{Format, HEAD, TAKEN, format};
pub use self::process::{MEMORY_BYTES, Reading, Unread};
use self::source::Source;
pub use self::symbols::{READ_SYMBOLS, read_symbols, write_symbols};
use self::tarball::Tarball;

/// What the process is called with, before its limits.
pub const READ_IMAGE: &str = "read-image";

/// The process: write the image on stdin as a tar stream to stdout, and what its reader should know
/// to stderr, a line each. `arguments` are what follows [`READ_IMAGE`].
pub fn read_image(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    rookery_confined::work(arguments, || {
        // What panics is told as damage, below.
        std::panic::set_hook(Box::new(|_| {}));
        let warnings = Source::stdin()
            .map_err(anyhow::Error::from)
            .and_then(|image| convert(image, std::io::stdout().lock()))
            .map_err(|error| format!("{error:#}"))?;
        for warning in warnings {
            eprintln!("{warning}");
        }
        Ok(())
    })
}

/// Write `image` as a tar stream to `to`. This is the process's work without its limits, for tests:
/// the image may make it as large and as slow as it likes.
pub fn convert_unconfined(image: Vec<u8>, to: impl Write) -> Result<Vec<String>> {
    convert(Source::memory(image), to)
}

fn convert(image: Source, to: impl Write) -> Result<Vec<String>> {
    // Whatever a crate that reads images does not expect is damage.
    let read = std::panic::AssertUnwindSafe(|| read(image, to));
    std::panic::catch_unwind(read).unwrap_or_else(|_| bail!("its structure makes no sense"))
}

fn read(image: Source, to: impl Write) -> Result<Vec<String>> {
    let mut tarball = Tarball::new(to);
    match format(&image.head()?) {
        Format::Squashfs => squashfs::read(&image, &mut tarball)?,
        Format::Ext => ext::read(&image, &mut tarball)?,
        Format::Cpio => cpio::read(image.buffered(), &mut tarball)?,
        Format::Gzip | Format::Packed(_) => packed::read(image, &mut tarball)?,
        Format::Tar | Format::Other { .. } | Format::Unknown => bail!("it is not such an image"),
    }
    tarball.finish()
}
