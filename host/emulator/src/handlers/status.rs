//! `stat` and `statx` of the files that the supervisor answers for, in the host's layout: qemu
//! translates it.

use std::hash::{DefaultHasher, Hash, Hasher};

use rustix::io::Errno;

use crate::files::devices::Device;
use crate::guest::access::{Callers, HasConsole, HasDevices, HasKept, Paths, Reports};
use crate::guest::tree::CONSOLE;
use crate::handlers::behind;
use crate::process::call::{Action, Call};
use crate::process::path_arg::PathArg;

/// `stat`, `lstat`, `newfstatat`.
pub fn stat<'a>(
    guest: &mut (impl Paths + Reports + HasDevices + HasConsole<'a> + HasKept),
    call: &Call,
    file: PathArg,
) -> Action {
    let flags = if file.directory.is_some() {
        call.int(3)
    } else {
        0
    };
    match find(guest, call, file, flags) {
        Some((path, device)) => {
            let mut bytes = stat_bytes(&path, &device);
            if path == CONSOLE
                && let Ok(own) = guest.console().status()
            {
                name_console(&mut bytes, &own);
            }
            give(guest, call, file.after(1), &bytes)
        }
        None => Action::Continue,
    }
}

/// `statx`.
pub fn statx<'a>(
    guest: &mut (impl Paths + Reports + HasDevices + HasConsole<'a> + HasKept),
    call: &Call,
) -> Action {
    match find(guest, call, PathArg::AT, call.int(2)) {
        Some((path, device)) => {
            let mut bytes = statx_bytes(&path, &device);
            if path == CONSOLE
                && let Ok(own) = guest.console().status()
            {
                name_console_x(&mut bytes, &own);
            }
            give(guest, call, 4, &bytes)
        }
        None => Action::Continue,
    }
}

fn find(
    guest: &mut (impl Paths + Reports + HasDevices + HasKept),
    call: &Call,
    file: PathArg,
    flags: i32,
) -> Option<(String, Device)> {
    if file.directory.is_some() && flags & libc::AT_EMPTY_PATH != 0 {
        return of_descriptor(guest, call);
    }
    let path = guest.path(call, file).ok()?;
    let syscall = match call.number() {
        libc::SYS_lstat => "lstat",
        libc::SYS_newfstatat => "newfstatat",
        libc::SYS_statx => "statx",
        _ => "stat",
    };
    let follow = call.number() != libc::SYS_lstat && flags & libc::AT_SYMLINK_NOFOLLOW == 0;
    match guest.resolve_device(call, &path, follow) {
        Ok(Some(found)) => {
            guest.report_lookup(call, syscall, &path, 0, Some(0));
            Some(found)
        }
        Ok(None) => {
            guest.report_lookup(call, syscall, &path, 0, None);
            None
        }
        Err(errno) => {
            guest.report_missing(call, syscall, &path, 0, errno);
            None
        }
    }
}

/// A descriptor that a model was given as.
fn of_descriptor(
    guest: &mut (impl Callers + HasDevices + HasKept),
    call: &Call,
) -> Option<(String, Device)> {
    let link = guest.caller(call)?.directory(call.int(0))?;
    let path = behind::path_behind(guest, &link)?;
    let device = guest.devices().get(&path)?.clone();
    Some((path, device))
}

fn give(guest: &mut impl Callers, call: &Call, buffer: usize, bytes: &[u8]) -> Action {
    let memory = guest.memory(call);
    match memory {
        Some(memory) if memory.write(call, call.arg(buffer), bytes).is_ok() => Action::Return(0),
        _ => Errno::FAULT.into(),
    }
}

/// A number of its own for each path.
fn inode(path: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    hasher.finish() & 0x7FFF_FFFF
}

const BLOCK: u64 = 4096;

/// Make a status that of the console's own node, as `fstat` of a descriptor shows it: `ttyname`
/// compares them.
fn name_console(bytes: &mut [u8; 144], own: &rustix::fs::Stat) {
    for (at, value) in [
        (std::mem::offset_of!(libc::stat, st_dev), own.st_dev),
        (std::mem::offset_of!(libc::stat, st_ino), own.st_ino),
        (std::mem::offset_of!(libc::stat, st_rdev), own.st_rdev),
    ] {
        if let Some(field) = bytes.get_mut(at..at + 8) {
            field.copy_from_slice(&value.to_ne_bytes());
        }
    }
}

/// As `name_console`, for `statx`.
fn name_console_x(bytes: &mut [u8; 256], own: &rustix::fs::Stat) {
    let mut put = |at: usize, value: &[u8]| {
        if let Some(field) = bytes.get_mut(at..at + value.len()) {
            field.copy_from_slice(value);
        }
    };
    put(
        std::mem::offset_of!(libc::statx, stx_ino),
        &own.st_ino.to_ne_bytes(),
    );
    for (at, device) in [
        (std::mem::offset_of!(libc::statx, stx_dev_major), own.st_dev),
        (
            std::mem::offset_of!(libc::statx, stx_rdev_major),
            own.st_rdev,
        ),
    ] {
        put(at, &libc::major(device).to_ne_bytes());
        put(at + 4, &libc::minor(device).to_ne_bytes());
    }
}

/// `struct stat` of x86-64.
fn stat_bytes(path: &str, device: &Device) -> [u8; 144] {
    let mut out = [0; 144];
    let mut at = Writer(&mut out);
    at.put(5_u64.to_ne_bytes());
    at.put(inode(path).to_ne_bytes());
    at.put(1_u64.to_ne_bytes());
    at.put(device.mode.to_ne_bytes());
    at.put([0; 12]); // owner, group, padding
    at.put(libc::makedev(device.numbers.0, device.numbers.1).to_ne_bytes());
    at.put(device.size.to_ne_bytes());
    at.put(BLOCK.to_ne_bytes());
    out
}

/// `struct statx`.
fn statx_bytes(path: &str, device: &Device) -> [u8; 256] {
    let mut out = [0; 256];
    let mut at = Writer(&mut out);
    at.put(libc::STATX_BASIC_STATS.to_ne_bytes());
    at.put(4096_u32.to_ne_bytes());
    at.put([0; 8]); // attributes
    at.put(1_u32.to_ne_bytes());
    at.put([0; 8]); // owner, group
    at.put(u16::try_from(device.mode).unwrap_or(0).to_ne_bytes());
    at.put([0; 2]);
    at.put(inode(path).to_ne_bytes());
    at.put(device.size.to_ne_bytes());
    at.put([0; 16 + 4 * 16]); // blocks, attribute mask, four times
    at.put(device.numbers.0.to_ne_bytes());
    at.put(device.numbers.1.to_ne_bytes());
    at.put([0; 4]);
    at.put(5_u32.to_ne_bytes());
    out
}

struct Writer<'a>(&'a mut [u8]);

impl Writer<'_> {
    fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        let rest = std::mem::take(&mut self.0);
        if let Some((here, rest)) = rest.split_at_mut_checked(N) {
            here.copy_from_slice(&bytes);
            self.0 = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::devices::Backing;

    /// The kernel's own answer for a known device must be laid out as ours.
    #[test]
    fn the_layout_is_the_kernels() {
        let device = Device {
            mode: libc::S_IFCHR | 0o666,
            numbers: (1, 3),
            size: 7,
            backing: Backing::Nothing,
        };
        let ours = stat_bytes("/dev/null", &device);
        let word = |at: usize| u64::from_ne_bytes(ours[at..at + 8].try_into().unwrap());
        assert_eq!(std::mem::size_of::<libc::stat>(), ours.len());
        assert_eq!(
            word(std::mem::offset_of!(libc::stat, st_rdev)),
            libc::makedev(1, 3)
        );
        assert_eq!(word(std::mem::offset_of!(libc::stat, st_size)), 7);
        assert_eq!(
            ours[std::mem::offset_of!(libc::stat, st_mode)..][..4],
            device.mode.to_ne_bytes()
        );
        let ours = statx_bytes("/dev/null", &device);
        assert_eq!(std::mem::size_of::<libc::statx>(), ours.len());
        assert_eq!(
            ours[std::mem::offset_of!(libc::statx, stx_rdev_minor)..][..4],
            3_u32.to_ne_bytes()
        );
        assert_eq!(
            ours[std::mem::offset_of!(libc::statx, stx_size)..][..8],
            7_u64.to_ne_bytes()
        );
        assert_eq!(
            ours[std::mem::offset_of!(libc::statx, stx_mode)..][..2],
            u16::try_from(device.mode).unwrap().to_ne_bytes()
        );
    }
}
