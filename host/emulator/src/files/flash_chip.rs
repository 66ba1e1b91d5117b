//! A vendor's flash chip, which firmware reads and writes by addresses and not by partitions.

use std::collections::BTreeMap;

use rustix::io::Errno;

/// What is erased at a time.
const SECTOR: u64 = 64 << 10;
/// The largest chip that these drivers know: how large this one is, nobody says.
const SIZE: u64 = 16 << 20;
const ERASED: u8 = 0xFF;

/// What was written to it. It takes memory for the sectors that were, at most [`SIZE`] in all.
#[derive(Debug, Default)]
pub struct FlashChip(BTreeMap<u64, Vec<u8>>);

impl FlashChip {
    /// The bytes of a place, of a chip that held `first` at first and was erased behind that.
    pub fn read(&self, first: &[u8], start: u64, bytes: u64) -> Result<Vec<u8>, Errno> {
        let end = end(start, bytes)?;
        let byte = |at: u64| {
            let written = self.0.get(&(at / SECTOR));
            let (from, place) = written.map_or((first, at), |sector| (sector, at % SECTOR));
            let known = usize::try_from(place)
                .ok()
                .and_then(|place| from.get(place));
            known.copied().unwrap_or(ERASED)
        };
        Ok((start..end).map(byte).collect())
    }

    /// Write bytes over whatever was there.
    pub fn write(&mut self, first: &[u8], start: u64, bytes: &[u8]) -> Result<(), Errno> {
        let end = end(start, bytes.len() as u64)?;
        for sector in start / SECTOR..end.div_ceil(SECTOR) {
            if !self.0.contains_key(&sector) {
                let held = self.read(first, sector * SECTOR, SECTOR)?;
                self.0.insert(sector, held);
            }
        }
        for (at, byte) in (start..end).zip(bytes) {
            let place = usize::try_from(at % SECTOR).map_err(|_| Errno::INVAL)?;
            let sector = self.0.get_mut(&(at / SECTOR));
            if let Some(held) = sector.and_then(|sector| sector.get_mut(place)) {
                *held = *byte;
            }
        }
        Ok(())
    }
}

/// Where a part ends that begins at `start`.
fn end(start: u64, bytes: u64) -> Result<u64, Errno> {
    let end = start.checked_add(bytes).filter(|end| *end <= SIZE);
    end.ok_or(Errno::INVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_the_rest_is_as_it_was() {
        let mut chip = FlashChip::default();
        assert_eq!(chip.read(b"boot", 2, 4).unwrap(), *b"ot\xff\xff");
        // Over the end of a sector.
        chip.write(b"boot", SECTOR - 2, b"12345").unwrap();
        assert_eq!(
            chip.read(b"boot", SECTOR - 3, 7).unwrap(),
            *b"\xff12345\xff"
        );
        assert_eq!(chip.read(b"boot", 0, 5).unwrap(), *b"boot\xff");
        chip.write(b"boot", SECTOR, b"x").unwrap();
        assert_eq!(chip.read(b"", SECTOR - 2, 5).unwrap(), *b"12x45");
    }

    #[test]
    fn nothing_is_beyond_its_end() {
        let mut chip = FlashChip::default();
        chip.write(b"", SIZE - 1, b"z").unwrap();
        assert_eq!(chip.read(b"", SIZE - 1, 1).unwrap(), *b"z");
        assert_eq!(chip.read(b"", SIZE - 1, 2), Err(Errno::INVAL));
        assert_eq!(chip.write(b"", SIZE, b"z"), Err(Errno::INVAL));
        assert_eq!(chip.read(b"", u64::MAX, 2), Err(Errno::INVAL));
    }
}
