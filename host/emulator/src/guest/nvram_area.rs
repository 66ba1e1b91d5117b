//! What Broadcom's driver shows of the NVRAM to a program that maps it (`mmap`): the values that
//! were asked for, each at a place of its own.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::io::Errno;

/// Programs map this much of it (`NVRAM_SPACE`, 32 KiB on the smallest devices).
pub const SIZE: usize = 32 << 10;
/// Values start after the header that a device has there.
const START: usize = 64;
const ALIGNED: usize = 4;

/// The area, and where each value is in it.
#[derive(Debug)]
pub struct Area {
    file: Rc<OwnedFd>,
    places: HashMap<Vec<u8>, (usize, usize)>,
    next: usize,
}

impl Area {
    /// One in a file of [`SIZE`] bytes.
    pub fn new(file: Rc<OwnedFd>) -> Self {
        Self {
            file,
            places: HashMap::new(),
            next: START,
        }
    }

    /// The file.
    pub fn file(&self) -> &Rc<OwnedFd> {
        &self.file
    }

    /// Put the value of a key where a program finds it; gives its place. Where all is full, the
    /// first give way.
    pub fn place(&mut self, key: &[u8], value: &[u8]) -> Result<usize, Errno> {
        let needed = value.len() + 1;
        if START + needed > SIZE {
            return Err(Errno::NOSPC);
        }
        let at = match self.places.get(key) {
            Some((at, room)) if *room >= needed => *at,
            _ => {
                if self.next + needed > SIZE {
                    self.places.clear();
                    self.next = START;
                }
                let at = self.next;
                let room = needed.next_multiple_of(ALIGNED);
                self.next += room;
                self.places.insert(key.to_vec(), (at, room));
                at
            }
        };
        let bytes = [value, &[0]].concat();
        rustix::io::pwrite(&*self.file, &bytes, at as u64)?;
        Ok(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area() -> Area {
        let file = rustix::fs::memfd_create("area", rustix::fs::MemfdFlags::empty()).unwrap();
        rustix::fs::ftruncate(&file, SIZE as u64).unwrap();
        Area::new(Rc::new(file))
    }

    #[test]
    fn a_value_keeps_its_place_while_it_has_room() {
        let mut area = area();
        let first = area.place(b"lan", b"10.0.0.1").unwrap();
        let other = area.place(b"wan", b"x").unwrap();
        assert_ne!(first, other);
        assert_eq!(area.place(b"lan", b"10.0.0.2"), Ok(first));
        assert_ne!(area.place(b"lan", b"a much longer value"), Ok(first));
        let mut text = [0; 9];
        rustix::io::pread(&*area.file, &mut text, first as u64).unwrap();
        assert_eq!(&text, b"10.0.0.2\0");
    }

    #[test]
    fn it_is_never_larger_than_what_is_mapped() {
        let mut area = area();
        assert_eq!(area.place(b"k", &vec![b'v'; SIZE]), Err(Errno::NOSPC));
        for number in 0_u32..100 {
            let at = area.place(&number.to_ne_bytes(), &[b'v'; 1000]).unwrap();
            assert!(at >= START && at + 1001 <= SIZE);
        }
    }
}
