//! What holds for squashfs of every version.

use crate::tarball::Entry;

/// What to do where the image cannot be read here.
pub(super) const OTHERWISE: &str = "extract it with `sasquatch` or `unblob`, which know the \
                                    variants of vendors (or with `unsquashfs`), and use the \
                                    directory instead";

/// Whether an image that begins so has its most significant bytes first.
pub(super) fn is_big(head: &[u8]) -> bool {
    head.starts_with(b"sqsh") || head.starts_with(b"tqsh")
}

/// A device by the kernel's number of it.
pub(super) fn device(block: bool, number: u32) -> Entry<'static> {
    Entry::Device {
        block,
        major: number >> 8 & 0xfff,
        minor: number & 0xff | number >> 12 & 0xf_ff00,
    }
}
