//! Loop devices: what programs do with them to see a file as a disk (`losetup`, `mount -o loop`).
//! The emulator has already translated the structures that they point to.

use std::rc::Rc;

use std::os::fd::OwnedFd;

use rustix::io::Errno;

use crate::files::devices;
use crate::files::loops::{CONTROL, Info, Shown, number, path};
use crate::guest::access::{Callers, HasDevices, HasImages};
use crate::handlers::behind;
use crate::handlers::memory_file::{memory_file, reopen};
use crate::kernel::paths;
use crate::process::call::{Action, Call};
use crate::process::record::Record;
use crate::process::view;

/// `linux/loop.h`.
const SET_FD: u32 = 0x4C00;
const CLR_FD: u32 = 0x4C01;
const SET_STATUS: u32 = 0x4C02;
const GET_STATUS: u32 = 0x4C03;
const SET_STATUS64: u32 = 0x4C04;
const GET_STATUS64: u32 = 0x4C05;
const CHANGE_FD: u32 = 0x4C06;
const SET_CAPACITY: u32 = 0x4C07;
const SET_DIRECT_IO: u32 = 0x4C08;
const SET_BLOCK_SIZE: u32 = 0x4C09;
const CONFIGURE: u32 = 0x4C0A;
const CTL_ADD: u32 = 0x4C80;
const CTL_REMOVE: u32 = 0x4C81;
const CTL_GET_FREE: u32 = 0x4C82;
/// What `CONFIGURE` has before its `struct loop_info64`: the descriptor, and the size of a block.
const CONFIGURE_INFO: u64 = 8;

/// `linux/fs.h`.
pub const GET_READ_ONLY: u32 = 0x125E;
pub const GET_SECTORS: u32 = 0x1260;
pub const FLUSH: u32 = 0x1261;
pub const GET_SECTOR_SIZE: u32 = 0x1268;
pub const GET_BYTES: u32 = 0x8008_1272;
const SECTOR: u64 = 512;

/// Whether a command may be about a loop device at all.
fn is_of_disks(command: u32) -> bool {
    matches!(
        command,
        SET_FD..=CONFIGURE
            | CTL_ADD..=CTL_GET_FREE
            | GET_READ_ONLY
            | GET_SECTORS
            | FLUSH
            | GET_SECTOR_SIZE
            | GET_BYTES
    )
}

/// A device that is opened: the file that it shows, or nothing.
pub fn open(guest: &mut impl HasImages, number: u32, flags: i32) -> Result<Rc<OwnedFd>, Errno> {
    let Ok(shown) = guest.images().loops().get(number) else {
        let nothing = memory_file(&path(number), b"")?;
        // Whether it may be written to is asked later, of the descriptor.
        return reopen(&nothing, flags);
    };
    // Only what surely is the guest's own.
    view::read(&*shown.file)?;
    let read_only = flags & !libc::O_ACCMODE | libc::O_RDONLY;
    if shown.is_read_only() {
        return reopen(&shown.file, read_only);
    }
    reopen(&shown.file, flags).or_else(|_| reopen(&shown.file, read_only))
}

/// What is behind the descriptor.
enum Behind {
    Control,
    Device(u32),
}

fn behind(guest: &mut (impl Callers + HasImages), call: &Call) -> Option<Behind> {
    let fd = call.int(0);
    let record = guest.caller(call)?;
    let link = record.directory(fd)?;
    if let Some(path) = behind::path_of(&link) {
        let control = || (path == CONTROL).then_some(Behind::Control);
        return number(path).map(Behind::Device).or_else(control);
    }
    let id = devices::id(&record.held_status(fd).ok()?);
    guest.images().loops().of_file(id).map(Behind::Device)
}

/// `ioctl` of a loop device, and of the one that gives them out. `None` for any other file.
pub fn ioctl(
    guest: &mut (impl Callers + HasDevices + HasImages),
    call: &Call,
    command: u32,
) -> Option<Action> {
    if !is_of_disks(command) {
        return None;
    }
    let done = match behind(guest, call)? {
        Behind::Control => control(guest, call, command),
        Behind::Device(number) => device(guest, call, number, command),
    };
    Some(match done {
        Ok(value) => Action::Return(value),
        Err(errno) => errno.into(),
    })
}

fn control(guest: &mut impl HasImages, call: &Call, command: u32) -> Result<i64, Errno> {
    let loops = guest.images().loops();
    match command {
        CTL_GET_FREE => loops.free().map(i64::from),
        CTL_ADD | CTL_REMOVE => Ok(call.int(2).into()),
        _ => Err(Errno::NOTTY),
    }
}

fn device(
    guest: &mut (impl Callers + HasDevices + HasImages),
    call: &Call,
    number: u32,
    command: u32,
) -> Result<i64, Errno> {
    match command {
        SET_FD => {
            let shown = show(guest, call, call.int(2), Info::default())?;
            guest.images().loops().show(number, shown)?;
        }
        CONFIGURE => {
            let address = call.arg(2);
            let fd: [u8; 4] = read(guest, call, address)?;
            let info = read(guest, call, address.saturating_add(CONFIGURE_INFO))?;
            let shown = show(guest, call, i32::from_ne_bytes(fd), Info::of(info))?;
            guest.images().loops().show(number, shown)?;
        }
        CLR_FD => guest.images().loops().clear(number)?,
        SET_STATUS => {
            let info = Info::of_old(&read(guest, call, call.arg(2))?);
            guest.images().loops().describe(number, info)?;
        }
        SET_STATUS64 => {
            let info = Info::of(read(guest, call, call.arg(2))?);
            guest.images().loops().describe(number, info)?;
        }
        GET_STATUS => {
            let shown = guest.images().loops().get(number)?;
            let told = shown.info.told_old(number, shown.id)?;
            write(guest, call, &told)?;
        }
        GET_STATUS64 => {
            let shown = guest.images().loops().get(number)?;
            let told = shown.info.told(number, shown.id);
            write(guest, call, &told)?;
        }
        // Another file in the place of the first is for disks that nobody has mounted.
        CHANGE_FD => return Err(Errno::INVAL),
        SET_CAPACITY | SET_DIRECT_IO | SET_BLOCK_SIZE => {
            guest.images().loops().get(number)?;
        }
        GET_READ_ONLY => {
            let shown = guest.images().loops().get(number);
            let read_only = shown.is_ok_and(Shown::is_read_only);
            write(guest, call, &i32::from(read_only).to_ne_bytes())?;
        }
        GET_SECTORS => {
            let sectors = size(guest, number) / SECTOR;
            write(guest, call, &sectors.to_ne_bytes())?;
        }
        GET_BYTES => {
            let bytes = size(guest, number) / SECTOR * SECTOR;
            write(guest, call, &bytes.to_ne_bytes())?;
        }
        GET_SECTOR_SIZE => write(guest, call, &512_i32.to_ne_bytes())?,
        FLUSH => {}
        _ => return Err(Errno::NOTTY),
    }
    Ok(0)
}

/// The size of the disk in bytes; 0 where it shows nothing.
fn size(guest: &mut impl HasImages, number: u32) -> u64 {
    let size = |shown: &Shown| {
        let size = paths::status(&*shown.file)?.st_size.unsigned_abs();
        Ok::<_, Errno>(size.saturating_sub(shown.info.offset()))
    };
    let shown = guest.images().loops().get(number);
    shown.and_then(size).unwrap_or(0)
}

/// The file behind a descriptor of the caller's, to be shown as a disk.
fn show(
    guest: &mut (impl Callers + HasDevices),
    call: &Call,
    fd: i32,
    info: Info,
) -> Result<Shown, Errno> {
    let record = guest.caller(call).ok_or(Errno::SRCH)?;
    let file = record.held(fd).map_err(|_| Errno::BADF)?;
    let status = paths::status(&file)?;
    let read_only = is_read_only(record, fd) || is_read_only(record, call.int(0));
    let id = devices::id(&status);
    let link = record.directory(fd).unwrap_or_default();
    let is_disk =
        behind::path_of(&link).is_some_and(|path| path == CONTROL || number(path).is_some());
    let is_file = status.st_mode & libc::S_IFMT == libc::S_IFREG;
    if is_disk || !is_file || guest.devices().of_file(id).is_some() || view::read(&file).is_err() {
        return Err(Errno::INVAL);
    }
    Ok(Shown::new(file, id, info, read_only))
}

fn is_read_only(record: &mut Record, fd: i32) -> bool {
    let flags = record.descriptor_info(fd, "flags:").unwrap_or_default();
    let flags = i32::from_str_radix(&flags, 8).unwrap_or(libc::O_RDONLY);
    flags & libc::O_ACCMODE == libc::O_RDONLY
}

fn read<const LENGTH: usize>(
    guest: &mut impl Callers,
    call: &Call,
    address: u64,
) -> Result<[u8; LENGTH], Errno> {
    let mut bytes = [0; LENGTH];
    let memory = guest.memory(call).ok_or(Errno::FAULT)?;
    let read = memory.read(address, &mut bytes);
    read.map_err(|_| Errno::FAULT)?;
    Ok(bytes)
}

fn write(guest: &mut impl Callers, call: &Call, bytes: &[u8]) -> Result<(), Errno> {
    let memory = guest.memory(call).ok_or(Errno::FAULT)?;
    memory.write(call, call.arg(2), bytes)
}
