//! Flash memory: its partitions, as files that the guest shares.
//!
//! They lie in a file system of their own, which is mounted nowhere. The names of one partition are
//! links to one file, each by the path that it stands for below [`DIRECTORY`]: so a descriptor
//! tells whether it is of the character or of the block device.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::rc::Rc;

use rookery_runs::plan::{Flash, Held};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::files::flash_chip::FlashChip;
use crate::models::DIRECTORY;

/// The major numbers of flash (`Documentation/admin-guide/devices.txt`).
pub const CHARACTER_MAJOR: u32 = 90;
pub const BLOCK_MAJOR: u32 = 31;

/// What is written at a time.
const PIECE: usize = 16 << 10;
const ERASED: u8 = 0xFF;

/// All partitions.
#[derive(Debug, Default)]
pub struct Partitions {
    all: Vec<Flash>,
    /// The root of the file system that they are in, once there is one.
    root: Option<OwnedFd>,
    /// What firmware reads and writes of the whole chip, past all partitions.
    chip: FlashChip,
}

impl Partitions {
    /// These.
    pub fn new(all: Vec<Flash>) -> Self {
        Self {
            all,
            ..Self::default()
        }
    }

    /// Each of them.
    pub fn all(&self) -> &[Flash] {
        &self.all
    }

    /// The whole chip.
    pub fn chip(&mut self) -> &mut FlashChip {
        &mut self.chip
    }

    /// The bytes of the file system that they need.
    pub fn bytes(&self) -> u64 {
        const REST: u64 = 1 << 20;
        self.all.iter().map(|flash| flash.size + REST).sum()
    }

    /// The partition of a device's numbers.
    pub fn of_numbers(&self, block: bool, (major, minor): (u32, u32)) -> Option<u32> {
        let number = match (block, major) {
            (true, BLOCK_MAJOR) => minor,
            (false, CHARACTER_MAJOR) => minor / 2,
            _ => return None,
        };
        self.get(number).map(|flash| flash.number)
    }

    /// A partition.
    pub fn get(&self, number: u32) -> Option<&Flash> {
        self.all.iter().find(|flash| flash.number == number)
    }

    /// Fill the file system at `root` with the partitions. A file of the project is opened by
    /// `read`.
    pub fn fill(
        &mut self,
        root: OwnedFd,
        read: impl Fn(&std::path::Path) -> std::io::Result<File>,
    ) -> std::io::Result<()> {
        for directory in [DIRECTORY.to_owned(), format!("{DIRECTORY}/dev")] {
            rustix::fs::mkdirat(&root, directory, Mode::RWXU)?;
        }
        for flash in &self.all {
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let name = inside(&path(false, flash.number));
            let file = rustix::fs::openat(&root, &name, flags, Mode::RUSR | Mode::WUSR)?;
            rustix::fs::ftruncate(&file, flash.size)?;
            let file = File::from(file);
            let held = match &flash.holds {
                Held::Zeros => flash.size,
                Held::Bytes(bytes) => {
                    file.write_all_at(bytes, 0)?;
                    bytes.len() as u64
                }
                Held::File(path) => {
                    let mut bytes = Vec::new();
                    read(path)?.take(flash.size).read_to_end(&mut bytes)?;
                    file.write_all_at(&bytes, 0)?;
                    bytes.len() as u64
                }
            };
            erase(&file, held, flash.size.saturating_sub(held))?;
            let block = inside(&path(true, flash.number));
            rustix::fs::linkat(&root, &name, &root, &block, AtFlags::empty())?;
        }
        self.root = Some(root);
        Ok(())
    }

    /// Open a partition as the guest's `flags` say.
    pub fn open(&self, block: bool, number: u32, flags: i32) -> Result<Rc<OwnedFd>, Errno> {
        let flash = self.get(number).ok_or(Errno::NODEV)?;
        if flash.read_only && flags & libc::O_ACCMODE != libc::O_RDONLY {
            return Err(Errno::ACCESS);
        }
        let root = self.root.as_ref().ok_or(Errno::NODEV)?;
        let kept = libc::O_ACCMODE | libc::O_NONBLOCK;
        let flags = OFlags::from_bits_retain((flags & kept).cast_unsigned()) | OFlags::CLOEXEC;
        rustix::fs::openat(root, inside(&path(block, number)), flags, Mode::empty()).map(Rc::new)
    }

    /// Erase a part of a partition.
    pub fn erase(&self, number: u32, start: u64, length: u64) -> Result<(), Errno> {
        let flash = self.get(number).ok_or(Errno::NODEV)?;
        let end = start.checked_add(length).filter(|end| *end <= flash.size);
        if end.is_none() || !start.is_multiple_of(flash.erase_size.into()) {
            return Err(Errno::INVAL);
        }
        if flash.read_only {
            return Err(Errno::ROFS);
        }
        let file = self.open(false, number, libc::O_RDWR)?;
        let file = File::from(file.try_clone().map_err(|_| Errno::MFILE)?);
        erase(&file, start, length).map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))
    }

    /// The bytes of memory that they take.
    pub fn held(&self) -> u64 {
        let status = self.root.as_ref().map(rustix::fs::fstatfs);
        let Some(Ok(status)) = status else { return 0 };
        let blocks = status.f_blocks.saturating_sub(status.f_bfree);
        blocks.saturating_mul(u64::try_from(status.f_bsize).unwrap_or(0))
    }

    /// `/proc/mtd`.
    pub fn table(&self) -> String {
        let mut text = "dev:    size   erasesize  name\n".to_owned();
        for flash in &self.all {
            let (number, size, erase, name) =
                (flash.number, flash.size, flash.erase_size, &flash.name);
            let _ = writeln!(text, "mtd{number}: {size:08x} {erase:08x} \"{name}\"");
        }
        text
    }

    /// What `/sys/class/mtd` says of them, by path.
    pub fn descriptions(&self) -> Vec<(String, String)> {
        let of = |flash: &Flash| {
            [
                ("name", flash.name.clone()),
                ("type", if flash.nand { "nand" } else { "nor" }.to_owned()),
                ("size", flash.size.to_string()),
                ("erasesize", flash.erase_size.to_string()),
                ("writesize", flash.write_size.to_string()),
                ("subpagesize", flash.write_size.to_string()),
                ("oobsize", flash.oob_size.to_string()),
                ("numeraseregions", "0".to_owned()),
                ("flags", format!("{:#x}", flash.flags())),
                ("dev", format!("{CHARACTER_MAJOR}:{}", 2 * flash.number)),
            ]
            .map(|(file, text)| {
                let number = flash.number;
                (format!("/sys/class/mtd/mtd{number}/{file}"), text + "\n")
            })
        };
        self.all.iter().flat_map(of).collect()
    }
}

/// How the path of each partition's device begins.
const DEVICE: &str = "/dev/mtd";

/// The path of a partition's device.
pub fn path(block: bool, number: u32) -> String {
    let kind = if block { "block" } else { "" };
    format!("{DEVICE}{kind}{number}")
}

/// Every path by which programs look for a partition, and its numbers: those of `devtmpfs`, and of
/// the older `devfs`; or else, `as_file`, the first partition in the place of the directory.
pub fn nodes(number: u32, as_file: bool) -> Vec<(String, bool, (u32, u32))> {
    let character = (CHARACTER_MAJOR, 2 * number);
    let read_only = (CHARACTER_MAJOR, 2 * number + 1);
    let block = (BLOCK_MAJOR, number);
    let mut nodes = vec![
        (path(false, number), false, character),
        (format!("{DEVICE}{number}ro"), false, read_only),
        (path(true, number), true, block),
        (format!("{DEVICE}block/{number}"), true, block),
    ];
    match (as_file, number) {
        (false, _) => nodes.push((format!("{DEVICE}/{number}"), false, character)),
        (true, 0) => nodes.push((DEVICE.to_owned(), false, character)),
        (true, _) => {}
    }
    nodes
}

/// The device that a path of a descriptor stands for: whether it is the block device, and its
/// partition.
pub fn of_path(path: &str) -> Option<(bool, u32)> {
    let rest = path.strip_prefix(DEVICE)?;
    if rest.is_empty() {
        return Some((false, 0));
    }
    let block = rest.strip_prefix("block");
    let number = block.unwrap_or(rest);
    let number = number.strip_prefix('/').unwrap_or(number).parse().ok()?;
    Some((block.is_some(), number))
}

fn inside(path: &str) -> String {
    format!("{DIRECTORY}{path}")
}

fn erase(file: &File, start: u64, length: u64) -> std::io::Result<()> {
    let erased = [ERASED; PIECE];
    let mut done = 0;
    while done < length {
        let piece = usize::try_from(length - done).unwrap_or(PIECE).min(PIECE);
        file.write_all_at(erased.get(..piece).unwrap_or_default(), start + done)?;
        done += piece as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(number: u32, size: u64, holds: Held) -> Flash {
        Flash {
            number,
            name: format!("part{number}"),
            size,
            erase_size: 4096,
            write_size: 1,
            oob_size: 0,
            nand: false,
            read_only: number == 9,
            holds,
        }
    }

    fn filled(all: Vec<Flash>) -> (tempfile::TempDir, Partitions) {
        let directory = tempfile::tempdir().unwrap();
        let mut partitions = Partitions::new(all);
        let root = File::open(directory.path()).unwrap();
        partitions
            .fill(root.into(), |path| File::open(path))
            .unwrap();
        (directory, partitions)
    }

    fn contents(file: &OwnedFd) -> Vec<u8> {
        let mut bytes = vec![0; 16];
        let length = rustix::io::pread(file, &mut bytes, 0).unwrap();
        bytes.truncate(length);
        bytes
    }

    #[test]
    fn a_partition_is_one_file_by_both_its_devices_and_what_is_beyond_its_bytes_is_erased() {
        let (_directory, flash) = filled(vec![partition(3, 8192, Held::Bytes(b"head".to_vec()))]);
        let file = flash.open(false, 3, libc::O_RDWR | libc::O_TRUNC).unwrap();
        assert_eq!(contents(&file), [b"head".as_slice(), &[0xFF; 12]].concat());
        rustix::io::pwrite(&*file, b"HEAD", 0).unwrap();
        let block = flash.open(true, 3, libc::O_RDONLY).unwrap();
        assert_eq!(&contents(&block)[..4], b"HEAD");
        assert_eq!(flash.open(true, 4, 0).unwrap_err(), Errno::NODEV);
    }

    #[test]
    fn blocks_are_erased_and_nothing_else() {
        let (_directory, flash) = filled(vec![
            partition(0, 8192, Held::Zeros),
            partition(9, 8192, Held::Zeros),
        ]);
        flash.erase(0, 4096, 4096).unwrap();
        let file = flash.open(false, 0, libc::O_RDONLY).unwrap();
        let mut bytes = [1; 8];
        rustix::io::pread(&*file, &mut bytes, 4092).unwrap();
        assert_eq!(bytes, [0, 0, 0, 0, 255, 255, 255, 255]);
        for (number, start, length, errno) in [
            (0, 4096, 8192, Errno::INVAL),
            (0, 1, 4096, Errno::INVAL),
            (0, u64::MAX - 4095, 4096, Errno::INVAL),
            (9, 0, 4096, Errno::ROFS),
            (1, 0, 4096, Errno::NODEV),
        ] {
            assert_eq!(flash.erase(number, start, length), Err(errno));
        }
        assert_eq!(
            flash.open(true, 9, libc::O_RDWR).unwrap_err(),
            Errno::ACCESS
        );
    }

    #[test]
    fn it_is_told_as_the_kernel_tells_it() {
        let flash = Partitions::new(vec![partition(2, 0x4_0000, Held::Zeros)]);
        assert!(
            flash
                .table()
                .ends_with("\nmtd2: 00040000 00001000 \"part2\"\n")
        );
        assert_eq!(flash.of_numbers(true, (31, 2)), Some(2));
        assert_eq!(flash.of_numbers(false, (90, 5)), Some(2));
        assert_eq!(flash.of_numbers(false, (31, 2)), None);
        assert_eq!(of_path("/dev/mtdblock12"), Some((true, 12)));
        assert_eq!(of_path("/dev/mtd2"), Some((false, 2)));
        assert_eq!(of_path("/dev/mtd/3"), Some((false, 3)));
        assert_eq!(of_path("/dev/mtdblock/4"), Some((true, 4)));
        assert_eq!(of_path("/dev/mtd"), Some((false, 0)));
        assert_eq!(of_path("/dev/mtd2ro"), None);
        let of_sys = flash.descriptions();
        assert!(of_sys.contains(&("/sys/class/mtd/mtd2/erasesize".into(), "4096\n".into())));
    }
}
