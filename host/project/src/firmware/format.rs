//! What a file is, told from how it begins.

/// How much of a file tells what it is: the mark of ext4 lies behind its first kilobyte.
pub(super) const HEAD: usize = 2048;

pub(super) enum Format {
    Tar,
    Gzip,
    Other(&'static str),
    Unknown,
}

pub(super) fn format(head: &[u8]) -> Format {
    let starts = |magic: &[u8]| head.starts_with(magic);
    if starts(b"\x1f\x8b") {
        Format::Gzip
    } else if head.get(257..262) == Some(b"ustar") || tar_checksum(head) {
        Format::Tar
    } else {
        let known = MARKS
            .iter()
            .find(|(at, mark, _)| head.get(*at..).is_some_and(|rest| rest.starts_with(mark)));
        known.map_or(Format::Unknown, |(_, _, what)| Format::Other(what))
    }
}

/// Where a mark stands, the mark, and what has it.
const MARKS: [(usize, &[u8], &str); 22] = [
    (0, b"\xfd7zXZ", "compressed with xz"),
    (0, b"BZh", "compressed with bzip2"),
    (0, b"\x28\xb5\x2f\xfd", "compressed with zstd"),
    (0, b"\x5d\0\0", "compressed with lzma"),
    (0, b"PK", "a zip archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (0, b"hsqs", "a squashfs image"),
    (0, b"sqsh", "a squashfs image"),
    (0, b"0707", "a cpio archive"),
    (0, b"\xc7\x71", "a cpio archive"),
    (0, b"\x27\x05\x19\x56", "a U-Boot image (uImage)"),
    (
        0,
        b"\xd0\x0d\xfe\xed",
        "a device tree or a U-Boot FIT image",
    ),
    (0, b"HDR0", "a TRX firmware image"),
    (0, b"UBI#", "a UBI image"),
    (0, b"\x31\x18\x10\x06", "a UBIFS image"),
    (0, b"\x85\x19", "a JFFS2 image"),
    (0, b"\x19\x85", "a JFFS2 image"),
    (0, b"\x45\x3d\xcd\x28", "a cramfs image"),
    (0, b"\x28\xcd\x3d\x45", "a cramfs image"),
    (0, b"-rom1fs-", "a romfs image"),
    (0, b"\x7fELF", "a program (ELF)"),
    (0x438, b"\x53\xef", "an ext2, ext3 or ext4 image"),
];

/// Whether a block is the header of an entry, as in archives older than the `ustar` mark.
fn tar_checksum(head: &[u8]) -> bool {
    let Some(block) = head.first_chunk::<512>() else {
        return false;
    };
    let stored = tar::Header::from_byte_slice(block).cksum();
    let sum: u32 = block
        .iter()
        .enumerate()
        .map(|(i, b)| {
            if (148..156).contains(&i) {
                32
            } else {
                u32::from(*b)
            }
        })
        .sum();
    block[0] != 0 && stored.is_ok_and(|stored| stored == sum)
}
