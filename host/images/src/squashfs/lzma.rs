//! Blocks of lzma without a word about their settings.

use std::io::{ErrorKind, Read};

use anyhow::{Result, bail};
use liblzma::bufread::XzDecoder;
use liblzma::stream::Stream;

use crate::squashfs::every::OTHERWISE;

/// The most memory that unpacking a block may take.
const MEMORY: u64 = 64 << 20;
/// A dictionary as large as the largest block.
const DICTIONARY: u32 = 1 << 20;
const UNKNOWN_LENGTH: u64 = u64::MAX;
/// `lc`, `lp` and `pb`.
const DEFAULT: [u8; 3] = [3, 0, 2];

/// How a vendor's tool called lzma, and what stands before the data in each block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settings {
    /// Nothing; `lc`, `lp` and `pb` of lzma are the same for all blocks.
    Bare([u8; 3]),
    /// A mark of so many bytes, then as usual.
    Marked(usize),
    /// What a file of lzma has, or only the first so many bytes of it.
    Header(usize),
    /// A byte each for `pb`, `lc` and `lp`, and one more.
    Bytes,
}

impl Settings {
    /// What most have, and lzma's default.
    pub const USUAL: Self = Self::Bare(DEFAULT);

    /// What a file of lzma has.
    pub const FILE: Self = Self::Header(13);

    /// Those that are tried, in turn.
    pub fn all() -> impl Iterator<Item = Self> {
        let headers = [
            Self::USUAL,
            Self::Bytes,
            Self::FILE,
            Self::Header(5),
            Self::Marked(4),
        ];
        let others = (0..5)
            .flat_map(|pb| (0..5).flat_map(move |lp| (0..5 - lp).map(move |lc| [lc, lp, pb])));
        let others = others.map(Self::Bare).filter(|one| *one != Self::USUAL);
        headers.into_iter().chain(others)
    }

    /// Those that a block tells by itself, since the data of lzma begins with a zero.
    pub fn of(block: &[u8]) -> Option<Self> {
        let whole = |before| match (before, block.get(5..13)) {
            (13, Some(bytes)) => {
                let bytes = bytes.try_into().map_or(0, u64::from_le_bytes);
                bytes == UNKNOWN_LENGTH || bytes <= DICTIONARY.into()
            }
            _ => true,
        };
        let told = [Self::FILE, Self::Header(5), Self::Bytes, Self::USUAL];
        told.into_iter().find(|one| {
            let before = one.before();
            block.get(before) == Some(&0) && whole(before)
        })
    }

    /// Unpack a block, of at most `most` bytes.
    pub fn unpack(self, block: &[u8], most: usize) -> Result<Vec<u8>> {
        let byte = |at: usize| block.get(at).copied().unwrap_or_default();
        let one = |[lc, lp, pb]: [u8; 3]| (pb.min(4) * 5 + lp.min(4)) * 9 + lc.min(8);
        let settings = match self {
            Self::Bare(own) => one(own),
            Self::Marked(_) => one(DEFAULT),
            Self::Header(_) => byte(0),
            Self::Bytes => one([byte(1), byte(2), byte(0)]),
        };
        let data = block.get(self.before()..).unwrap_or_default();
        let header = [
            &[settings][..],
            &DICTIONARY.to_le_bytes(),
            &UNKNOWN_LENGTH.to_le_bytes(),
        ];
        let packed = [header.concat(), data.to_vec()].concat();
        let stream = Stream::new_lzma_decoder(MEMORY)?;
        let mut unpacked = Vec::new();
        let mut decoder = XzDecoder::new_stream(&packed[..], stream).take(most as u64);
        match decoder.read_to_end(&mut unpacked) {
            // Not every tool marks the end of a block.
            Err(error) if error.kind() != ErrorKind::UnexpectedEof => {
                bail!("a block of it is damaged ({error}): {OTHERWISE}")
            }
            _ if unpacked.is_empty() => bail!("a block of it is empty: {OTHERWISE}"),
            _ => {}
        }
        Ok(unpacked)
    }

    /// How many bytes stand before the data.
    fn before(self) -> usize {
        match self {
            Self::Bare(_) => 0,
            Self::Marked(before) | Self::Header(before) => before,
            Self::Bytes => 4,
        }
    }
}

#[cfg(test)]
mod tests {
    use liblzma::bufread::XzEncoder;
    use liblzma::stream::LzmaOptions;

    use super::*;

    /// What a file of lzma holds.
    fn packed(content: &[u8]) -> Vec<u8> {
        let mut options = LzmaOptions::new_preset(6).unwrap();
        options.literal_context_bits(1).literal_position_bits(2);
        let stream = Stream::new_lzma_encoder(&options).unwrap();
        let mut packed = Vec::new();
        let mut encoder = XzEncoder::new_stream(content, stream);
        encoder.read_to_end(&mut packed).unwrap();
        packed
    }

    #[test]
    fn a_block_tells_which_header_it_has() {
        let content = b"squashfs of a vendor, of a vendor, of a vendor";
        let file = packed(content);
        let cut = [&file[..5], &file[13..]].concat();
        for (block, settings) in [(file, Settings::FILE), (cut, Settings::Header(5))] {
            assert_eq!(Settings::of(&block), Some(settings));
            let unpacked = settings.unpack(&block, 1 << 20).unwrap();
            assert_eq!(unpacked, content, "{settings:?}");
        }
        assert_eq!(Settings::of(b"\x78\xda\x01\x02\x03\x04"), None);
    }
}
