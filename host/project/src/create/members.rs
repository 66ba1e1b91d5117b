//! Packing with gzip on all processors: block by block, each a member of its own. All readers of
//! gzip take such a file for the one text that its members are together (RFC 1952, 2.2).

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use flate2::Compression;
use flate2::write::GzEncoder;

/// A smaller block packs worse, and a larger one takes more memory.
const BLOCK: usize = 1 << 20;
/// Blocks that one thread has at a time: one it packs, and the next.
const WAITING: usize = 2;
/// More threads than this are not waited for by one who reads a disk.
const MAX_THREADS: usize = 16;

/// What is written into it goes to `out`, packed. The bytes there do not depend on how many threads
/// there are.
pub struct Members<W> {
    out: W,
    block: Vec<u8>,
    packers: Vec<Packer>,
    /// How many blocks were given away, and how many came back. Block `n` goes to packer `n`, and
    /// so on in turns.
    given: usize,
    written: usize,
}

/// A thread that ends when this is dropped.
struct Packer {
    blocks: SyncSender<Vec<u8>>,
    packed: Receiver<io::Result<Vec<u8>>>,
}

impl Packer {
    fn start() -> io::Result<Self> {
        let (blocks, to_pack) = sync_channel::<Vec<u8>>(WAITING);
        let (done, packed) = sync_channel(WAITING);
        thread::Builder::new().name("packs".into()).spawn(move || {
            for block in to_pack {
                let mut member = GzEncoder::new(Vec::new(), Compression::default());
                let member = member.write_all(&block).and_then(|()| member.finish());
                if done.send(member).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self { blocks, packed })
    }
}

impl<W: Write> Members<W> {
    pub fn new(out: W) -> io::Result<Self> {
        let processors = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self::on(processors.min(MAX_THREADS), out)
    }

    fn on(threads: usize, out: W) -> io::Result<Self> {
        Ok(Self {
            out,
            block: Vec::with_capacity(BLOCK),
            packers: (0..threads)
                .map(|_| Packer::start())
                .collect::<Result<_, _>>()?,
            given: 0,
            written: 0,
        })
    }

    /// Wait for what is being packed, and give `out` back.
    pub fn finish(mut self) -> io::Result<W> {
        // A text without a byte has a member too.
        if !self.block.is_empty() || self.given == 0 {
            self.give()?;
        }
        while self.written < self.given {
            self.take()?;
        }
        self.out.flush()?;
        Ok(self.out)
    }

    fn give(&mut self) -> io::Result<()> {
        if self.given - self.written == WAITING * self.packers.len() {
            self.take()?;
        }
        let block = std::mem::replace(&mut self.block, Vec::with_capacity(BLOCK));
        let packer = self.packer(self.given)?;
        packer.blocks.send(block).map_err(io::Error::other)?;
        self.given += 1;
        Ok(())
    }

    /// Write the oldest block that was given away.
    fn take(&mut self) -> io::Result<()> {
        let packed = self.packer(self.written)?.packed.recv();
        let member = packed.map_err(io::Error::other)??;
        self.written += 1;
        self.out.write_all(&member)
    }

    fn packer(&self, block: usize) -> io::Result<&Packer> {
        let packer = self.packers.get(block % self.packers.len().max(1));
        packer.ok_or_else(|| io::Error::other("there is no thread that packs"))
    }
}

impl<W: Write> Write for Members<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = BLOCK - self.block.len();
        let taken = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        self.block.extend_from_slice(taken);
        if self.block.len() == BLOCK {
            self.give()?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::MultiGzDecoder;

    use super::*;

    fn packed(threads: usize, text: &[u8]) -> Vec<u8> {
        let mut members = Members::on(threads, Vec::new()).unwrap();
        members.write_all(text).unwrap();
        members.finish().unwrap()
    }

    #[test]
    fn what_is_packed_in_parts_is_unpacked_as_a_whole() {
        let byte = |n: usize| u8::try_from(n * n % 251).unwrap();
        let text: Vec<u8> = (0..9 * BLOCK / 2).map(byte).collect();
        for length in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, text.len()] {
            let text = &text[..length];
            let archive = packed(3, text);
            let mut unpacked = Vec::new();
            MultiGzDecoder::new(&archive[..])
                .read_to_end(&mut unpacked)
                .unwrap();
            assert!(unpacked == text, "{length}");
            assert!(
                packed(1, text) == archive,
                "{length}: another number of threads"
            );
        }
    }

    #[test]
    fn a_disk_that_is_full_is_an_error_and_leaves_no_thread_waiting() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut members = Members::on(2, Full).unwrap();
        let written = members.write_all(&vec![7; 20 * BLOCK]);
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
