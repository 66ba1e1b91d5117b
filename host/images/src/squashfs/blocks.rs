//! Blocks of squashfs 4, in every compression that its tools write. The crate's own code for lzo
//! and lzma is under the GPL.

use std::io::Read;

use backhand::compression::{CompressionAction, Compressor, DefaultCompressor};
use backhand::{BackhandError, FilesystemCompressor, SuperBlock};
use liblzma::bufread::XzDecoder;
use liblzma::stream::Stream;

use super::lzma::Settings;

/// The largest block, of metadata or of a file.
const MAX_BLOCK: usize = 1 << 20;
/// The most memory that unpacking a block of lzma may take.
const LZMA_BYTES: u64 = 64 << 20;

pub(super) struct Blocks;

impl CompressionAction for Blocks {
    type Error = BackhandError;
    type Compressor = Compressor;
    type FilesystemCompressor = FilesystemCompressor;
    type SuperBlock = SuperBlock;

    fn decompress(
        &self,
        bytes: &[u8],
        out: &mut Vec<u8>,
        compressor: Compressor,
    ) -> Result<(), BackhandError> {
        match compressor {
            Compressor::Lzo => {
                let block = lzokay_native::decompress_all(bytes, None)
                    .map_err(|_| BackhandError::CorruptedOrInvalidSquashfs)?;
                out.extend_from_slice(&block);
                Ok(())
            }
            Compressor::Lzma => lzma(bytes, out),
            // Vendors write lzma and leave the number of gzip.
            Compressor::Gzip if bytes.starts_with(b"\x5d\0\0") => lzma(bytes, out),
            other => DefaultCompressor.decompress(bytes, out, other),
        }
    }

    fn compress(
        &self,
        _: &[u8],
        _: FilesystemCompressor,
        _: u32,
    ) -> Result<Vec<u8>, BackhandError> {
        Err(BackhandError::UnsupportedCompression(String::new()))
    }
}

/// As squashfs-tools write it, or with another header, as vendors changed them.
fn lzma(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), BackhandError> {
    if let Some(settings) = Settings::of(bytes)
        && settings != Settings::FILE
    {
        let block = settings.unpack(bytes, MAX_BLOCK);
        out.extend(block.map_err(|_| BackhandError::CorruptedOrInvalidSquashfs)?);
        return Ok(());
    }
    let stream = Stream::new_lzma_decoder(LZMA_BYTES).map_err(std::io::Error::other)?;
    let mut block = XzDecoder::new_stream(bytes, stream).take(MAX_BLOCK as u64);
    block.read_to_end(out)?;
    Ok(())
}
