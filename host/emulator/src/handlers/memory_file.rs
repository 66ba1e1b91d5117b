//! Files in memory, whose name tells the path that they stand for, whatever the guest does with
//! their descriptors.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::rc::Rc;

use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};
use rustix::io::Errno;

use crate::handlers::behind::MEMORY_FILE;
use crate::kernel::shortage;

/// A memory file for `path` that holds `contents`, which nobody can change: its memory is nobody's,
/// and a guest would fill it.
pub fn memory_file(path: &str, contents: &[u8]) -> Result<Rc<OwnedFd>, Errno> {
    let file = open_to_change(path, contents)?;
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&file, seals)?;
    Ok(file)
}

/// As [`memory_file`], but it can be changed: who makes one sees to it that it does not grow.
pub fn open_to_change(path: &str, contents: &[u8]) -> Result<Rc<OwnedFd>, Errno> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let fd =
        rustix::fs::memfd_create(name_of(path), flags).map_err(shortage::of("memfd_create"))?;
    let mut written = 0;
    while let Some(rest) = contents.get(written..).filter(|rest| !rest.is_empty()) {
        written += rustix::io::pwrite(&fd, rest, written as u64)?;
    }
    Ok(Rc::new(fd))
}

/// The name of a memory file for a path.
fn name_of(path: &str) -> String {
    let mut end = path.len().min(200);
    while !path.is_char_boundary(end) {
        end -= 1;
    }
    format!("{MEMORY_FILE}{}", path.get(..end).unwrap_or_default())
}

/// An open of its own of a memory file, as the guest's `flags` say.
pub fn reopen(file: &OwnedFd, flags: i32) -> Result<Rc<OwnedFd>, Errno> {
    let kept = libc::O_ACCMODE | libc::O_NONBLOCK | libc::O_APPEND;
    let flags = OFlags::from_bits_retain((flags & kept).cast_unsigned()) | OFlags::CLOEXEC;
    let path = format!("/proc/self/fd/{}", file.as_fd().as_raw_fd());
    let opened = rustix::fs::open(path, flags, Mode::empty()).map_err(shortage::of("open"));
    opened.map(Rc::new)
}

/// What one copy of a descriptor that is only written to takes, where its writes do not come to the
/// supervisor.
const SINK: u64 = 1 << 20;

/// A file that is only written to.
pub fn sink(path: &str, flags: i32) -> Result<Rc<OwnedFd>, Errno> {
    let file = open_to_change(path, &[])?;
    rustix::fs::ftruncate(&file, SINK)?;
    let seals = SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&file, seals)?;
    // There is room before its end only.
    reopen(&file, flags & !libc::O_APPEND)
}

/// A file that nobody can write to by whatever descriptor: one of huge pages has no `write`, and
/// the kernel says `EINVAL`, as of a driver that has none.
pub fn refusing(path: &str) -> Result<Rc<OwnedFd>, Errno> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING | MemfdFlags::HUGETLB;
    let file = rustix::fs::memfd_create(name_of(path), flags)?;
    rustix::fs::fcntl_add_seals(&file, SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
    Ok(Rc::new(file))
}
