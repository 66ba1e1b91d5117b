//! What a file is, told from how it begins.

/// How much of a file tells what it is: the mark of ext4 lies behind its first kilobyte.
pub const HEAD: usize = 2048;

/// What is taken as a root filesystem, in words.
pub const TAKEN: &str = "a directory, a tar or cpio archive, or a squashfs, ext2, ext3 or ext4 \
                         image; each file also packed with gzip, xz, lzma or zstd";

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A tar archive.
    Tar,
    /// Packed with gzip.
    Gzip,
    /// Packed in another manner.
    Packed(Packing),
    /// A squashfs image.
    Squashfs,
    /// A cpio archive, as an initramfs is.
    Cpio,
    /// An ext2, ext3 or ext4 image.
    Ext,
    /// Something that is not taken.
    Other {
        /// What it is.
        what: &'static str,
        /// The tool that extracts it.
        tool: &'static str,
    },
    /// Nobody knows.
    Unknown,
}

impl Format {
    /// Whether a confined process makes a tar stream of it.
    pub fn is_image(self) -> bool {
        matches!(
            self,
            Self::Packed(_) | Self::Squashfs | Self::Cpio | Self::Ext
        )
    }

    /// In words.
    pub fn what(self) -> &'static str {
        match self {
            Self::Tar => "a tar archive",
            Self::Gzip => "a gzip file",
            Self::Packed(Packing::Xz) => "compressed with xz or lzma",
            Self::Packed(Packing::Zstd) => "compressed with zstd",
            Self::Squashfs => "a squashfs image",
            Self::Cpio => "a cpio archive",
            Self::Ext => "an ext2, ext3 or ext4 image",
            Self::Other { what, .. } => what,
            Self::Unknown => "something else",
        }
    }
}

/// How a file is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// With xz, or the older lzma.
    Xz,
    /// With zstd.
    Zstd,
}

/// Tell what a file is from its first [`HEAD`] bytes.
pub fn format(head: &[u8]) -> Format {
    if is_tar(head) {
        return Format::Tar;
    }
    let has = |at: usize, mark: &[u8]| head.get(at..).is_some_and(|rest| rest.starts_with(mark));
    let taken = KNOWN.iter().find(|(at, mark, _)| has(*at, mark));
    if let Some((_, _, format)) = taken {
        return *format;
    }
    let other = OTHERS.iter().find(|(at, mark, ..)| has(*at, mark));
    other.map_or(Format::Unknown, |(_, _, what, tool)| Format::Other {
        what,
        tool,
    })
}

/// Where a mark stands, the mark, and what has it.
const KNOWN: [(usize, &[u8], Format); 14] = [
    (0, b"\x1f\x8b", Format::Gzip),
    (0, b"\xfd7zXZ", Format::Packed(Packing::Xz)),
    (0, b"\x5d\0\0", Format::Packed(Packing::Xz)),
    (0, b"\x28\xb5\x2f\xfd", Format::Packed(Packing::Zstd)),
    (0, b"hsqs", Format::Squashfs),
    (0, b"sqsh", Format::Squashfs),
    // With lzma, by tools that marked it so.
    (0, b"hsqt", Format::Squashfs),
    (0, b"tqsh", Format::Squashfs),
    (0, b"070701", Format::Cpio),
    (0, b"070702", Format::Cpio),
    (0, b"070707", Format::Cpio),
    (0, b"\xc7\x71", Format::Cpio),
    (0, b"\x71\xc7", Format::Cpio),
    (0x438, b"\x53\xef", Format::Ext),
];

const BINWALK: &str = "`binwalk -e` or `unblob`";
const VENDOR_SQUASHFS: &str = "a squashfs image with a vendor's own mark";

/// Where a mark stands, the mark, what has it, and what extracts that.
const OTHERS: [(usize, &[u8], &str, &str); 36] = [
    (0, b"BZh", "compressed with bzip2", "`bunzip2`"),
    (0, b"PK\x03\x04", "a zip archive", "`unzip`"),
    (0, b"PK", "a zip archive", "`unzip`"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", "`7z x`"),
    (0, b"Rar!", "a RAR archive", "`unrar x`"),
    (0, b"\x27\x05\x19\x56", "a U-Boot image (uImage)", BINWALK),
    (
        0,
        b"\xd0\x0d\xfe\xed",
        "a device tree or a U-Boot FIT image",
        "`dumpimage` or `unblob`",
    ),
    (0, b"HDR0", "a TRX firmware image", BINWALK),
    (
        0,
        b"UBI#",
        "a UBI image",
        "`ubireader_extract_files` or `unblob`",
    ),
    (
        0,
        b"\x31\x18\x10\x06",
        "a UBIFS image",
        "`ubireader_extract_files`",
    ),
    (0, b"\x85\x19", "a JFFS2 image", "`jefferson`"),
    (0, b"\x19\x85", "a JFFS2 image", "`jefferson`"),
    (
        0,
        b"\x45\x3d\xcd\x28",
        "a cramfs image",
        "`fsck.cramfs --extract`",
    ),
    (
        0,
        b"\x28\xcd\x3d\x45",
        "a cramfs image",
        "`fsck.cramfs --extract`",
    ),
    (0, b"-rom1fs-", "a romfs image", "`unblob`"),
    (
        0x400,
        b"\xe2\xe1\xf5\xe0",
        "an EROFS image",
        "`fsck.erofs --extract`",
    ),
    (0x400, b"\x10\x20\xf5\xf2", "an F2FS image", "`unblob`"),
    (
        0,
        b"\x03\0\0\0\x01\0\0\0\xff\xff",
        "a YAFFS image",
        "`unblob`",
    ),
    (
        0,
        b"\0\0\0\x03\0\0\0\x01\xff\xff",
        "a YAFFS image",
        "`unblob`",
    ),
    (
        0,
        b"\x01\0\0\0\x01\0\0\0\xff\xff",
        "a YAFFS image",
        "`unblob`",
    ),
    (
        0,
        b"\0\0\0\x01\0\0\0\x01\xff\xff",
        "a YAFFS image",
        "`unblob`",
    ),
    (
        0,
        b"\x3a\xff\x26\xed",
        "an Android sparse image",
        "`simg2img`, which makes an ext4 image of it",
    ),
    (
        0,
        b"ANDROID!",
        "an Android boot image",
        "`unpack_bootimg`, whose ramdisk is taken",
    ),
    (0, b"shsq", VENDOR_SQUASHFS, "`sasquatch`"),
    (0, b"qshs", VENDOR_SQUASHFS, "`sasquatch`"),
    (0, b"sqlz", VENDOR_SQUASHFS, "`sasquatch`"),
    (0, b"qlzs", VENDOR_SQUASHFS, "`sasquatch`"),
    (0, b"*#$^", "a NETGEAR update file (CHK)", BINWALK),
    (
        0,
        b"\x5e\xa3\xa4\x17",
        "a D-Link update file (SEAMA)",
        BINWALK,
    ),
    (
        0,
        b"SHRS",
        "an encrypted D-Link update file",
        "`unblob`, which decrypts it",
    ),
    (4, b"TP-LINK", "a TP-Link update file", BINWALK),
    (0, b"UBNT", "a Ubiquiti update file", BINWALK),
    (
        512,
        b"EFI PART",
        "a disk with partitions",
        "`7z x`, or `unblob`",
    ),
    (0, b"\x7fELF", "a program (ELF)", BINWALK),
    (0, b"MZ", "a program for Windows", "`7z x`"),
    (510, b"\x55\xaa", "a disk with partitions", "`7z x`"),
];

/// Whether the first block is the header of an entry, also in archives older than the `ustar` mark.
fn is_tar(head: &[u8]) -> bool {
    let Some(block) = head.first_chunk::<512>() else {
        return false;
    };
    if block.get(257..262) == Some(b"ustar") {
        return true;
    }
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
