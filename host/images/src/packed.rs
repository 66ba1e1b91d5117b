//! Images that are packed as a whole.

use std::io::{BufRead, BufReader, Read, Write};

use anyhow::{Result, bail, ensure};
use flate2::bufread::MultiGzDecoder;
use liblzma::bufread::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};

use crate::format::{Format, HEAD, Packing, format};
use crate::source::Source;
use crate::tarball::Tarball;
use crate::{cpio, ext, squashfs};

/// The most memory that unpacking xz may take: its own highest setting takes 65 MiB.
const XZ_BYTES: u64 = 256 << 20;
/// The largest file system that may be inside: it is held in memory.
const MAX_INSIDE: u64 = 512 << 20;

pub(crate) fn read(image: Source, to: &mut Tarball<impl Write>) -> Result<()> {
    let packing = format(&image.head()?);
    let packed = image.buffered();
    let plain: Box<dyn Read> = match packing {
        Format::Gzip => Box::new(MultiGzDecoder::new(packed)),
        Format::Packed(Packing::Xz) => {
            let stream = Stream::new_auto_decoder(XZ_BYTES, CONCATENATED)?;
            Box::new(XzDecoder::new_stream(packed, stream))
        }
        Format::Packed(Packing::Zstd) => Box::new(zstd::Decoder::with_buffer(packed)?),
        _ => bail!("it is not packed"),
    };
    let mut plain = BufReader::with_capacity(HEAD.max(64 << 10), plain);
    let head = head(&mut plain)?;
    match format(&head) {
        Format::Tar => to.whole(plain),
        Format::Cpio => cpio::read(plain, to),
        Format::Squashfs => squashfs::read(&whole(plain)?, to),
        Format::Ext => ext::read(&whole(plain)?, to),
        Format::Gzip | Format::Packed(_) => {
            bail!("it is packed twice: unpack it once, and give what is inside")
        }
        Format::Other { what, tool } => bail!(
            "what is packed in it is {what}: unpack it, extract that with {tool}, and give the \
             directory"
        ),
        Format::Unknown => bail!("what is packed in it is nothing that is known"),
    }
}

/// How the content begins, which stays to be read. A decoder gives little at a time, and the buffer
/// is filled only when it is empty, so what was read is put before the rest.
fn head(plain: &mut BufReader<Box<dyn Read>>) -> Result<Vec<u8>> {
    let mut head = Vec::new();
    plain.by_ref().take(HEAD as u64).read_to_end(&mut head)?;
    let rest = std::mem::replace(plain, BufReader::new(Box::new(std::io::empty())));
    let again = std::io::Cursor::new(head.clone()).chain(rest);
    *plain = BufReader::with_capacity(64 << 10, Box::new(again));
    Ok(head)
}

fn whole(plain: impl BufRead) -> Result<Source> {
    let mut bytes = Vec::new();
    plain.take(MAX_INSIDE + 1).read_to_end(&mut bytes)?;
    ensure!(
        bytes.len() as u64 <= MAX_INSIDE,
        "what is packed in it is longer than {} MiB: unpack it, and give what is inside",
        MAX_INSIDE >> 20
    );
    Ok(Source::memory(bytes))
}
