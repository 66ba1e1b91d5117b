//! Drivers of vendors that firmware asks for its NVRAM by `/dev/nvram`: Broadcom's, by what is read
//! from it, written to it and mapped, and Ralink's, by ioctls.

use std::rc::Rc;

use rookery_records::event::NvramOperation::{Hit, Miss, Set};
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;

use crate::files::devices::Backing;
use crate::files::nvram::PATH;
use crate::guest::access::{Callers, HasDevices, HasEmulators, HasNvram, Reports};
use crate::guest::nvram::{KEY_MAX, VALUE_MAX};
use crate::guest::nvram_area::{Area, SIZE};
use crate::handlers::nvram::report;
use crate::handlers::{behind, ioctl, memory_file, model};
use crate::process::call::{Action, Call};
use crate::process::memory::Memory;

/// Broadcom's `NVRAM_MAGIC`: write it down.
const COMMIT: u32 = 0x4853_4C46;

/// Ralink's `RALINK_NVRAM_IOCTL_*`.
const RALINK_GET: u32 = 1;
const RALINK_GET_ALL: u32 = 2;
const RALINK_SET: u32 = 3;
const RALINK_COMMIT: u32 = 4;
const RALINK_CLEAR: u32 = 5;
/// What Ralink's library has room for (`MAX_VALUE_LEN`, and the size of a partition).
const RALINK_VALUE: usize = 4096;
const RALINK_ALL: usize = 16 << 10;

/// The commands that the emulator must pass on.
pub const COMMANDS: [u32; 6] = [
    RALINK_GET,
    RALINK_GET_ALL,
    RALINK_SET,
    RALINK_COMMIT,
    RALINK_CLEAR,
    COMMIT,
];

/// What a driver reaches.
pub trait Driven<'a>: Reports + HasDevices + HasNvram + HasEmulators<'a> {}

impl<'a, T> Driven<'a> for T where T: Reports + HasDevices + HasNvram + HasEmulators<'a> {}

/// `open`: a descriptor of the area that all map, whose reads and writes come here.
pub fn open(guest: &mut (impl Callers + HasNvram), call: &Call, flags: i32) -> Action {
    let area = match guest.nvram().area().as_ref() {
        Some(area) => Ok(Rc::clone(area.file())),
        None => make_area().inspect(|file| {
            *guest.nvram().area() = Some(Area::new(Rc::clone(file)));
        }),
    };
    // What it maps it cannot change but through the driver.
    match area.and_then(|file| memory_file::reopen(&file, libc::O_RDONLY)) {
        Ok(fd) => Action::Give {
            fd,
            number: model::free_number(guest, call),
            close_on_exec: flags & libc::O_CLOEXEC != 0,
        },
        Err(errno) => errno.into(),
    }
}

fn make_area() -> Result<Rc<std::os::fd::OwnedFd>, Errno> {
    let name = format!("{}{PATH}", behind::MEMORY_FILE);
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = rustix::fs::memfd_create(name, flags)?;
    rustix::fs::ftruncate(&file, SIZE as u64)?;
    let seals = SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&file, seals)?;
    Ok(Rc::new(file))
}

fn is_nvram(guest: &mut (impl Callers + HasDevices), call: &Call) -> bool {
    let device = guest.devices().get(PATH);
    if device.is_none_or(|device| device.backing != Backing::Nvram) {
        return false;
    }
    let link = guest
        .caller(call)
        .and_then(|record| record.directory(call.int(0)));
    link.is_some_and(|link| behind::path_of(&link) == Some(PATH))
}

/// `read`: the buffer holds a key, and gets the place of its value in what is mapped, or nothing.
/// Without a key it gets all.
pub fn read<'a>(guest: &mut impl Driven<'a>, call: &Call) -> Option<Action> {
    if call.number() != libc::SYS_read || !is_nvram(guest, call) {
        return None;
    }
    Some(get(guest, call).unwrap_or_else(Action::from))
}

fn get<'a>(guest: &mut impl Driven<'a>, call: &Call) -> Result<Action, Errno> {
    let (buffer, size) = (call.arg(1), call.arg(2));
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let memory = guest.memory(call).ok_or(Errno::FAULT)?;
    let mut head = vec![0; size.min(KEY_MAX)];
    memory.read(buffer, &mut head).map_err(|_| Errno::FAULT)?;
    let key = head.split(|byte| *byte == 0).next().unwrap_or_default();
    if key.is_empty() {
        let mut all = guest.nvram().all(size.saturating_sub(1).min(1 << 20));
        all.push(0);
        memory.write(call, buffer, &all)?;
        return Ok(Action::Return(call.arg(2).cast_signed()));
    }
    let Some(value) = guest.nvram().get(key).map(<[u8]>::to_vec) else {
        report(guest, call, Miss, key, b"");
        return Ok(Action::Return(0));
    };
    report(guest, call, Hit, key, b"");
    let number = Number::of(guest_arch(guest));
    let area = guest.nvram().area().as_mut().ok_or(Errno::NXIO)?;
    let place = number.bytes(area.place(key, &value)? as u64);
    // However short the key was: the driver asks nobody for room.
    memory.write(call, buffer, &place)?;
    Ok(Action::Return(i64::try_from(place.len()).unwrap_or(0)))
}

/// `write`: `key=value` sets, and a key alone removes.
pub fn write<'a>(guest: &mut impl Driven<'a>, call: &Call) -> Option<Action> {
    if call.number() != libc::SYS_write || !is_nvram(guest, call) {
        return None;
    }
    Some(put(guest, call).unwrap_or_else(Action::from))
}

fn put<'a>(guest: &mut impl Driven<'a>, call: &Call) -> Result<Action, Errno> {
    let size = usize::try_from(call.arg(2)).unwrap_or(usize::MAX);
    let mut text = vec![0; size.min(KEY_MAX + VALUE_MAX + 2)];
    let memory = guest.memory(call).ok_or(Errno::FAULT)?;
    memory
        .read(call.arg(1), &mut text)
        .map_err(|_| Errno::FAULT)?;
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    let mut parts = text.splitn(2, |byte| *byte == b'=');
    let key = parts.next().unwrap_or_default();
    match parts.next() {
        Some(value) => set(guest, call, key, value)?,
        None => super::remove(guest, call, key),
    }
    Ok(Action::Return(call.arg(2).cast_signed()))
}

fn set<'a>(
    guest: &mut impl Driven<'a>,
    call: &Call,
    key: &[u8],
    value: &[u8],
) -> Result<(), Errno> {
    if !guest.nvram().set(key, value) {
        return Err(Errno::NOSPC);
    }
    report(guest, call, Set, key, value);
    // Whoever has it mapped sees the new value.
    if let Some(area) = guest.nvram().area().as_mut() {
        area.place(key, value)?;
    }
    Ok(())
}

/// `ioctl`.
pub fn control<'a>(guest: &mut impl Driven<'a>, call: &Call) -> Option<Action> {
    let command = call.int(1).cast_unsigned();
    if !COMMANDS.contains(&command) || !is_nvram(guest, call) {
        return None;
    }
    Some(match command {
        COMMIT | RALINK_COMMIT => Action::Return(0),
        RALINK_CLEAR => {
            super::clear(guest, call);
            Action::Return(0)
        }
        _ => ralink(guest, call, command).unwrap_or_else(Action::from),
    })
}

/// `struct { int index; int ret; char *name; char *value; }`
fn ralink<'a>(guest: &mut impl Driven<'a>, call: &Call, command: u32) -> Result<Action, Errno> {
    let number = Number::of(guest_arch(guest));
    let memory = guest.memory(call).ok_or(Errno::FAULT)?;
    let structure = ioctl::argument(guest, call);
    let pointer = |index: u64| {
        let mut bytes = vec![0; number.size];
        let at = structure + 8 + index * number.size as u64;
        memory.read(at, &mut bytes).map_err(|_| Errno::FAULT)?;
        Ok(ioctl::address(guest, number.value(&bytes)))
    };
    let (name, value): (Result<u64, Errno>, Result<u64, Errno>) = (pointer(0), pointer(1));
    let (name, value) = (name?, value?);
    let string = |memory: &Memory, at, most| memory.string(at, most).ok_or(Errno::FAULT);
    let answer = match command {
        RALINK_GET_ALL => {
            let mut all = guest.nvram().all(RALINK_ALL - 1);
            all.push(0);
            all
        }
        RALINK_SET => {
            let key = string(&memory, name, KEY_MAX)?;
            let text = string(&memory, value, VALUE_MAX)?;
            set(guest, call, &key, &text)?;
            return Ok(Action::Return(0));
        }
        _ => {
            let key = string(&memory, name, KEY_MAX)?;
            let found = guest.nvram().get(&key).map(<[u8]>::to_vec);
            let operation = if found.is_some() { Hit } else { Miss };
            report(guest, call, operation, &key, b"");
            // What is not there is empty.
            let mut text = found.unwrap_or_default();
            text.truncate(RALINK_VALUE - 1);
            text.push(0);
            text
        }
    };
    memory.write(call, value, &answer)?;
    Ok(Action::Return(0))
}

/// Whether the guest's numbers are 64 bits wide, and big-endian.
fn guest_arch<'a>(guest: &mut impl HasEmulators<'a>) -> (bool, bool) {
    let arch = guest.emulators().first().map(|qemu| qemu.arch);
    arch.map_or((false, false), |arch| {
        (!arch.is_32_bit(), arch.is_big_endian())
    })
}

/// A `long` of the guest's.
#[derive(Clone, Copy)]
struct Number {
    size: usize,
    big: bool,
}

impl Number {
    fn of((wide, big): (bool, bool)) -> Self {
        let size = if wide { 8 } else { 4 };
        Self { size, big }
    }

    fn bytes(self, value: u64) -> Vec<u8> {
        let all = if self.big {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        };
        let from = if self.big { 8 - self.size } else { 0 };
        all.into_iter().skip(from).take(self.size).collect()
    }

    fn value(self, bytes: &[u8]) -> u64 {
        let add = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        if self.big {
            bytes.iter().fold(0, add)
        } else {
            bytes.iter().rev().fold(0, add)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_guests() {
        for (wide, big, bytes) in [
            (false, false, &[0x40, 1, 0, 0][..]),
            (false, true, &[0, 0, 1, 0x40]),
            (true, false, &[0x40, 1, 0, 0, 0, 0, 0, 0]),
            (true, true, &[0, 0, 0, 0, 0, 0, 1, 0x40]),
        ] {
            let number = Number::of((wide, big));
            assert_eq!(number.bytes(0x140), bytes);
            assert_eq!(number.value(bytes), 0x140);
        }
    }
}
