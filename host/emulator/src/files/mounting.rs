//! A mount of an image, from the call that asks for it to what is kept of it.

use std::fs::File;
use std::os::fd::OwnedFd;

use crate::files::devices::FileId;
use crate::files::image_mount::Wanted;
use crate::process::call::Call;

/// Which image it is: the file, its size and when it was changed, and where in it the image begins.
pub type Key = (FileId, i64, (i64, u64), u64);

/// What the guest wrote to an image.
#[derive(Debug)]
pub struct Kept {
    /// The image's number in the table of mounts.
    pub image: u64,
    /// A mount of it that is nowhere.
    pub mount: OwnedFd,
}

/// A mount that the guest waits for.
#[derive(Debug)]
pub struct Mounting {
    pub call: Call,
    pub image: File,
    pub key: Key,
    pub wanted: Wanted,
    /// What is mounted, in the guest's words.
    pub source: String,
    pub fstype: String,
    /// Where, as the guest named it and as it is.
    pub target: String,
    pub real: String,
    /// The loop device that shows the image.
    pub device: Option<u32>,
}
