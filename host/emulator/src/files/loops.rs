//! Loop devices: which file each shows as a disk, and what the kernel tells of that
//! (`linux/loop.h`).

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::io::Errno;

use crate::files::devices::FileId;

/// The major number of loop devices, and how many there may be.
pub const MAJOR: u32 = 7;
const DEVICES_MAX: u32 = 64;
/// As many a kernel makes at its start (`CONFIG_BLK_DEV_LOOP_MIN_COUNT`).
pub const NODES: u32 = 8;
/// The device that gives out the others: its path, and its numbers.
pub const CONTROL: &str = "/dev/loop-control";
pub const CONTROL_NUMBERS: (u32, u32) = (10, 237);

/// `LO_FLAGS_READ_ONLY`, `LO_FLAGS_AUTOCLEAR`.
const READ_ONLY: u32 = 1;
const AUTOCLEAR: u32 = 4;
/// What a program may change of the flags of a device that is in use: `LO_FLAGS_AUTOCLEAR`,
/// `LO_FLAGS_PARTSCAN`, `LO_FLAGS_DIRECT_IO`.
const SETTABLE: u32 = AUTOCLEAR | 8 | 16;

/// The path of a loop device.
pub fn path(number: u32) -> String {
    format!("/dev/loop{number}")
}

/// Its number, from [`path`].
pub fn number(path: &str) -> Option<u32> {
    path.strip_prefix("/dev/loop")?.parse().ok()
}

/// What a program says of a loop device, and is told again: `struct loop_info64`.
#[derive(Debug, Clone)]
pub struct Info([u8; Self::LENGTH]);

impl Default for Info {
    fn default() -> Self {
        Self([0; Self::LENGTH])
    }
}

impl Info {
    pub const LENGTH: usize = 232;
    /// Of the older `struct loop_info`.
    pub const OLD_LENGTH: usize = 168;
    const OFFSET: usize = 24;
    const NUMBER: usize = 40;
    const FLAGS: usize = 52;
    const NAME: usize = 56;
    const NAME_LENGTH: usize = 64;
    const OLD_OFFSET: usize = 32;
    const OLD_FLAGS: usize = 44;
    const OLD_NAME: usize = 48;

    pub fn of(bytes: [u8; Self::LENGTH]) -> Self {
        Self(bytes)
    }

    /// From the older structure, whose offset is an `int`.
    pub fn of_old(old: &[u8; Self::OLD_LENGTH]) -> Self {
        let mut info = Self::default();
        let offset = i64::from(i32::from_ne_bytes(word(old, Self::OLD_OFFSET)));
        info.put(Self::OFFSET, &offset.to_ne_bytes());
        info.put(Self::FLAGS, &word(old, Self::OLD_FLAGS));
        info.put(Self::NAME, part(old, Self::OLD_NAME, Self::NAME_LENGTH));
        info
    }

    /// As the kernel tells it: of the device `number`, whose file is this one.
    pub fn told(&self, number: u32, file: FileId) -> [u8; Self::LENGTH] {
        let mut told = self.clone();
        told.put(0, &file.0.to_ne_bytes());
        told.put(8, &file.1.to_ne_bytes());
        told.put(16, &libc::makedev(MAJOR, number).to_ne_bytes());
        told.put(Self::NUMBER, &number.to_ne_bytes());
        told.0
    }

    /// As [`Info::told`], in the older structure. `OVERFLOW` where it has no room.
    pub fn told_old(&self, number: u32, file: FileId) -> Result<[u8; Self::OLD_LENGTH], Errno> {
        let offset = i32::try_from(self.offset()).map_err(|_| Errno::OVERFLOW)?;
        let mut old = [0; Self::OLD_LENGTH];
        for (at, bytes) in [
            (0, &number.to_ne_bytes()[..]),
            (8, &file.0.to_ne_bytes()),
            (16, &file.1.to_ne_bytes()),
            (24, &libc::makedev(MAJOR, number).to_ne_bytes()),
            (Self::OLD_OFFSET, &offset.to_ne_bytes()),
            (Self::OLD_FLAGS, &self.flags().to_ne_bytes()),
            (Self::OLD_NAME, part(&self.0, Self::NAME, Self::NAME_LENGTH)),
        ] {
            put(&mut old, at, bytes);
        }
        Ok(old)
    }

    /// Where in the file the disk begins.
    pub fn offset(&self) -> u64 {
        let low = u64::from(u32::from_ne_bytes(word(&self.0, Self::OFFSET)));
        let high = u64::from(u32::from_ne_bytes(word(&self.0, Self::OFFSET + 4)));
        if cfg!(target_endian = "little") {
            high << 32 | low
        } else {
            low << 32 | high
        }
    }

    fn flags(&self) -> u32 {
        u32::from_ne_bytes(word(&self.0, Self::FLAGS))
    }

    fn set_flags(&mut self, flags: u32) {
        self.put(Self::FLAGS, &flags.to_ne_bytes());
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        put(&mut self.0, at, bytes);
    }
}

fn put(into: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = into.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

fn part(bytes: &[u8], at: usize, length: usize) -> &[u8] {
    bytes.get(at..at + length).unwrap_or_default()
}

fn word(bytes: &[u8], at: usize) -> [u8; 4] {
    part(bytes, at, 4).try_into().unwrap_or_default()
}

/// A file that a loop device shows.
#[derive(Debug, Clone)]
pub struct Shown {
    /// To be looked at only: what is read is opened anew, since a file may be copied before it is
    /// first written to.
    pub file: Rc<OwnedFd>,
    pub id: FileId,
    pub info: Info,
}

impl Shown {
    /// `file`, which nobody may write to through the device where `read_only`.
    pub fn new(file: OwnedFd, id: FileId, mut info: Info, read_only: bool) -> Self {
        let flags = info.flags() & !READ_ONLY;
        info.set_flags(flags | if read_only { READ_ONLY } else { 0 });
        let file = Rc::new(file);
        Self { file, id, info }
    }

    pub fn is_read_only(&self) -> bool {
        self.info.flags() & READ_ONLY != 0
    }
}

/// All loop devices.
#[derive(Debug, Default)]
pub struct Loops {
    shown: BTreeMap<u32, Shown>,
    /// File systems that are mounted from one, by the kernel's number of each.
    mounted: Vec<(u64, u32)>,
}

impl Loops {
    /// What a device shows. `ENXIO` where that is nothing.
    pub fn get(&self, number: u32) -> Result<&Shown, Errno> {
        self.shown.get(&number).ok_or(Errno::NXIO)
    }

    /// The device that shows this file.
    pub fn of_file(&self, file: FileId) -> Option<u32> {
        let mut shown = self.shown.iter();
        shown.find_map(|(number, shown)| (shown.id == file).then_some(*number))
    }

    /// The first device that shows nothing.
    pub fn free(&self) -> Result<u32, Errno> {
        let mut numbers = 0..DEVICES_MAX;
        let free = numbers.find(|number| !self.shown.contains_key(number));
        free.ok_or(Errno::NOSPC)
    }

    /// Let a device show a file.
    pub fn show(&mut self, number: u32, shown: Shown) -> Result<(), Errno> {
        if self.shown.contains_key(&number) {
            return Err(Errno::BUSY);
        }
        if number >= DEVICES_MAX {
            return Err(Errno::NODEV);
        }
        self.shown.insert(number, shown);
        Ok(())
    }

    /// Take over what a program says of a device.
    pub fn describe(&mut self, number: u32, mut info: Info) -> Result<(), Errno> {
        let shown = self.shown.get_mut(&number).ok_or(Errno::NXIO)?;
        let flags = shown.info.flags() & !SETTABLE | info.flags() & SETTABLE;
        info.set_flags(flags);
        shown.info = info;
        Ok(())
    }

    /// Let a device show nothing; one that is mounted, once it is not any more.
    pub fn clear(&mut self, number: u32) -> Result<(), Errno> {
        let is_mounted = self.mounted.iter().any(|(_, own)| *own == number);
        let shown = self.shown.get_mut(&number).ok_or(Errno::NXIO)?;
        if is_mounted {
            let flags = shown.info.flags();
            shown.info.set_flags(flags | AUTOCLEAR);
        } else {
            self.shown.remove(&number);
        }
        Ok(())
    }

    /// The file system `device` is mounted from a loop device.
    pub fn mount(&mut self, device: u64, number: u32) {
        if !self.mounted.contains(&(device, number)) {
            self.mounted.push((device, number));
        }
    }

    /// The file system `device` is mounted nowhere any more.
    pub fn unmount(&mut self, device: u64) {
        let mut numbers = Vec::new();
        self.mounted.retain(|(known, number)| {
            if *known == device {
                numbers.push(*number);
            }
            *known != device
        });
        for number in numbers {
            let clears = |shown: &Shown| shown.info.flags() & AUTOCLEAR != 0;
            if self.shown.get(&number).is_some_and(clears) {
                // One that another file system is mounted from stays.
                let _ = self.clear(number);
            }
        }
    }

    /// The guest starts anew: its kernel knows of none.
    pub fn forget_start(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(flags: u32) -> Shown {
        let mut info = Info::default();
        info.set_flags(flags);
        let file = std::fs::File::open("/dev/null").unwrap().into();
        Shown::new(file, (1, 2), info, false)
    }

    #[test]
    fn a_device_shows_one_file_until_it_is_cleared() {
        let mut loops = Loops::default();
        assert_eq!(loops.free(), Ok(0));
        loops.show(0, shown(0)).unwrap();
        assert_eq!(loops.show(0, shown(0)), Err(Errno::BUSY));
        assert_eq!((loops.free(), loops.of_file((1, 2))), (Ok(1), Some(0)));
        assert_eq!(loops.show(DEVICES_MAX, shown(0)), Err(Errno::NODEV));
        assert_eq!(loops.clear(0), Ok(()));
        assert_eq!(loops.clear(0), Err(Errno::NXIO));
    }

    #[test]
    fn a_device_that_is_mounted_shows_its_file_until_it_is_not() {
        let mut loops = Loops::default();
        loops.show(3, shown(0)).unwrap();
        loops.mount(40, 3);
        loops.clear(3).unwrap();
        assert!(loops.get(3).is_ok());
        loops.unmount(40);
        assert!(loops.get(3).is_err());
        // As losetup leaves it.
        loops.show(3, shown(0)).unwrap();
        loops.mount(41, 3);
        loops.unmount(41);
        assert!(loops.get(3).is_ok());
    }

    #[test]
    fn both_structures_tell_the_same() {
        let mut old = [0; Info::OLD_LENGTH];
        put(&mut old, Info::OLD_OFFSET, &512_i32.to_ne_bytes());
        put(&mut old, Info::OLD_FLAGS, &AUTOCLEAR.to_ne_bytes());
        put(&mut old, Info::OLD_NAME, b"/etc/img");
        let info = Info::of_old(&old);
        assert_eq!((info.offset(), info.flags()), (512, AUTOCLEAR));
        let told = info.told_old(2, (5, 6)).unwrap();
        assert_eq!(told[Info::OLD_OFFSET..], old[Info::OLD_OFFSET..]);
        assert_eq!(told[..4], 2_u32.to_ne_bytes());
        let told = info.told(2, (5, 6));
        assert_eq!(told[Info::NAME..Info::NAME + 9], *b"/etc/img\0");
        assert_eq!(told[Info::NUMBER..Info::NUMBER + 4], 2_u32.to_ne_bytes());
        let mut far = Info::default();
        far.put(Info::OFFSET, &(1_u64 << 40).to_ne_bytes());
        assert_eq!(far.offset(), 1 << 40);
        assert_eq!(far.told_old(2, (5, 6)), Err(Errno::OVERFLOW));
    }
}
