//! `statfs`: to the guest its first root is what a kernel unpacks an archive into, and no overlay.
//! `switch_root` only leaves such a root.

use std::os::fd::OwnedFd;

use rustix::fs::StatFs;
use rustix::io::Errno;

use crate::guest::access::{Callers, Paths, Reports};
use crate::handlers::names;
use crate::process::call::{Action, Call};
use crate::process::path_arg::PathArg;

/// `OVERLAYFS_SUPER_MAGIC` and `TMPFS_MAGIC` of `linux/magic.h`.
const OVERLAY: i64 = 0x794c_7630;
const TMPFS: i64 = 0x0102_1994;

/// `statfs`.
pub fn of_path(guest: &mut (impl Paths + Reports), call: &Call) -> Action {
    let path = guest.path(call, PathArg::FIRST);
    let found = path.and_then(|path| guest.view(call).ok_or(Errno::SRCH)?.find(&path));
    match found.ok() {
        Some(found) => answer(guest, call, &found),
        None => names::looks_for(guest, call, "statfs", PathArg::FIRST),
    }
}

/// `fstatfs`.
pub fn of_descriptor(guest: &mut impl Callers, call: &Call) -> Action {
    let held = guest.caller(call).map(|record| record.held(call.int(0)));
    match held {
        Some(Ok(held)) => answer(guest, call, &held),
        _ => Action::Continue,
    }
}

fn answer(guest: &mut impl Callers, call: &Call, file: &OwnedFd) -> Action {
    let (Ok(status), Some(memory)) = (rustix::fs::fstatfs(file), guest.memory(call)) else {
        return Action::Continue;
    };
    if status.f_type != OVERLAY {
        return Action::Continue;
    }
    match memory.write(call, call.arg(1), &as_tmpfs(&status)) {
        Ok(()) => Action::Return(0),
        Err(errno) => errno.into(),
    }
}

/// A status as the kernel lays it out (`struct statfs` of `asm-generic/statfs.h`), which is that of
/// a file system in memory.
fn as_tmpfs(status: &StatFs) -> Vec<u8> {
    let words = [
        TMPFS.cast_unsigned(),
        status.f_bsize.cast_unsigned(),
        status.f_blocks,
        status.f_bfree,
        status.f_bavail,
        status.f_files,
        status.f_ffree,
        0, // which one it is
        status.f_namelen.cast_unsigned(),
        status.f_frsize.cast_unsigned(),
        libc::ST_RELATIME,
        0,
        0,
        0,
        0,
    ];
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_the_kernels() {
        let status = rustix::fs::statfs("/").unwrap();
        let bytes = as_tmpfs(&status);
        assert_eq!(bytes.len(), size_of::<libc::statfs>());
        let at = |offset: usize| u64::from_ne_bytes(bytes[offset..][..8].try_into().unwrap());
        let blocks = std::mem::offset_of!(libc::statfs, f_blocks);
        let name = std::mem::offset_of!(libc::statfs, f_namelen);
        assert_eq!(at(blocks), status.f_blocks);
        assert_eq!(at(name), status.f_namelen.cast_unsigned());
        assert_eq!(at(0), TMPFS.cast_unsigned());
    }
}
