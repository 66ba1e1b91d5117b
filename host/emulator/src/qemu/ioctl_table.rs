//! qemu's private table of the ioctls that it knows: found by its shape, and extended, so that
//! unknown ones reach the supervisor.
//!
//! Entries have 56 bytes: guest command, host command (`u32`), name, access (`u32`), padding,
//! handler, five argument types (`u32`), padding. The table ends with guest command 0. An entry
//! whose only argument type is "integer" passes the argument on as it is.

use std::collections::{HashMap, HashSet};

use crate::process::call::Call;
use crate::process::record::Record;
use crate::qemu::arch::Arch;
use crate::qemu::mapped;

const ENTRY: usize = 56;
/// The host commands with which the table begins: `TCGETS`, `TCSETS`, `TCSETSF`, `TCSETSW`.
const BEGINNING: [u32; 4] = [0x5401, 0x5402, 0x5404, 0x5403];
const TYPE_INT: u32 = 3;
/// More than any version has.
const ENTRIES_MAX: usize = 4096;

/// Names of commands that firmware never needs from the host: it has no such device.
const SPARE: &[&[u8]] = &[
    b"RTC_",
    b"SNDCTL",
    b"SOUND_",
    b"DRM_",
    b"USBDEVFS",
    b"BTRFS",
    b"CDROM",
    b"SNDRV",
    b"KVM_",
];

/// Where the table is in the emulator's file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// Offsets in the file of entries that may be overwritten.
    pub spare: Vec<u64>,
    /// Offsets of the entries of [`SMALL`].
    small: HashMap<u32, u64>,
    known: HashSet<u32>,
}

/// Commands of files that the emulator knows, and that drivers use as plain numbers of their own:
/// `FIBMAP`, `FIGETBSZ`.
pub const SMALL: [u32; 2] = [1, 2];

impl Table {
    /// Whether the emulator passes a guest's command on by itself.
    pub fn knows(&self, command: u32) -> bool {
        self.known.contains(&command)
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..at.checked_add(4)?)?
        .try_into()
        .ok()
        .map(u32::from_ne_bytes)
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    bytes
        .get(at..at.checked_add(8)?)?
        .try_into()
        .ok()
        .map(u64::from_ne_bytes)
}

/// Find the table in an emulator's file. `None` where nothing has its exact shape, or what has is
/// for another architecture.
pub fn find(file: &[u8], arch: &Arch) -> Option<Table> {
    let begins = |at: usize| {
        BEGINNING
            .iter()
            .enumerate()
            .all(|(i, command)| word(file, at + i * ENTRY + 4) == Some(*command))
    };
    let start = (0..file.len())
        .step_by(8)
        .find(|at| word(file, *at) == Some(arch.tcgets) && begins(*at))?;
    let mut table = Table::default();
    for i in 0..ENTRIES_MAX {
        let at = start + i * ENTRY;
        let command = word(file, at)?;
        if command == 0 {
            return Some(table);
        }
        if SMALL.contains(&command) {
            table.small.insert(command, at as u64);
        }
        let (name, handler) = (long(file, at + 8)?, long(file, at + 24)?);
        if handler == 0
            && text_at(file, name)
                .is_some_and(|name| SPARE.iter().any(|spare| name.starts_with(spare)))
        {
            table.spare.push(at as u64);
        } else {
            table.known.insert(command);
        }
    }
    None
}

/// The text at a virtual address of a 64-bit ELF file.
fn text_at(file: &[u8], address: u64) -> Option<&[u8]> {
    let offset = file_offset(file, address)?;
    let text = file.get(offset..)?.get(..64)?;
    text.split(|byte| *byte == 0).next()
}

fn file_offset(file: &[u8], address: u64) -> Option<usize> {
    let (headers, size) = (
        usize::try_from(long(file, 32)?).ok()?,
        usize::from(u16::from_ne_bytes(file.get(54..56)?.try_into().ok()?)),
    );
    let count = usize::from(u16::from_ne_bytes(file.get(56..58)?.try_into().ok()?));
    (0..count).find_map(|i| {
        let at = headers.checked_add(i * size)?;
        let (kind, offset, start, length) = (
            word(file, at)?,
            long(file, at + 8)?,
            long(file, at + 16)?,
            long(file, at + 32)?,
        );
        let within = address
            .checked_sub(start)
            .filter(|within| kind == 1 && *within < length)?;
        usize::try_from(offset.checked_add(within)?).ok()
    })
}

/// An entry that passes `command` on with its argument as it is; the name stays what it was.
fn overwrite(entry: &mut [u8], command: u32) -> Option<()> {
    entry.get_mut(0..4)?.copy_from_slice(&command.to_ne_bytes());
    entry.get_mut(4..8)?.copy_from_slice(&command.to_ne_bytes());
    entry.get_mut(16..20)?.fill(0);
    entry.get_mut(32..52)?.fill(0);
    entry
        .get_mut(32..36)?
        .copy_from_slice(&TYPE_INT.to_ne_bytes());
    Some(())
}

/// Give a copy of the emulator entries for `commands`; gives those that found room.
pub fn patch(
    file: &mut [u8],
    table: &mut Table,
    commands: impl IntoIterator<Item = u32>,
) -> HashSet<u32> {
    let mut patched = HashSet::new();
    for command in commands {
        let small = table.small.remove(&command);
        if patched.contains(&command) || (small.is_none() && table.knows(command)) {
            continue;
        }
        // The emulator takes the first entry of a command: a spare one of its own comes first.
        let is_own =
            |at: &u64| usize::try_from(*at).is_ok_and(|at| word(file, at) == Some(command));
        let own = table.spare.iter().position(is_own);
        let at = small.or_else(|| match own {
            Some(own) => Some(table.spare.remove(own)),
            None => table.spare.pop(),
        });
        let Some(at) = at.and_then(|at| usize::try_from(at).ok()) else {
            break;
        };
        if file
            .get_mut(at..at + ENTRY)
            .and_then(|entry| overwrite(entry, command))
            .is_some()
        {
            patched.insert(command);
        }
    }
    patched
}

/// Give a running emulator, whose `call` waits for its answer, an entry for `command`.
pub fn teach(record: &mut Record, call: &Call, table: &Table, command: u32) -> bool {
    let (Some(memory), Some(first), Some(last)) = (
        record.memory(),
        table.spare.iter().min().copied(),
        table.spare.iter().max().copied(),
    ) else {
        return false;
    };
    let Some(base) = mapped::address(&record.process, first, "rw") else {
        return false;
    };
    let length = usize::try_from(last - first).unwrap_or(0) + ENTRY;
    let mut entries = vec![0_u8; length];
    if memory.read(base, &mut entries).is_err() {
        return false;
    }
    let of = |offset: &u64| word(&entries, usize::try_from(offset - first).ok()?);
    let own = table
        .spare
        .iter()
        .find(|offset| of(offset) == Some(command));
    let is_free = |offset: &&u64| of(offset).is_some_and(|of| !record.learned.contains(&of));
    let Some(offset) = own.or_else(|| table.spare.iter().find(is_free)) else {
        return false;
    };
    let entry = usize::try_from(offset - first).ok();
    let Some(entry) = entry.and_then(|at| entries.get_mut(at..at + ENTRY)) else {
        return false;
    };
    overwrite(entry, command).is_some() && memory.write(call, base + offset - first, entry).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qemu::emulator::Qemu;

    #[test]
    fn the_table_of_the_installed_emulators_is_found_and_patched() {
        let qemus: Vec<Qemu> = Qemu::all();
        assert!(
            !qemus.is_empty(),
            "qemu-user is installed where this is tested"
        );
        for qemu in qemus
            .iter()
            .filter(|qemu| ["mips", "mipsel", "arm", "aarch64", "ppc"].contains(&qemu.arch.qemu))
        {
            let mut file = std::fs::read(&qemu.path).unwrap();
            let mut table = find(&file, qemu.arch)
                .unwrap_or_else(|| panic!("no table in {}", qemu.path.display()));
            assert!(table.knows(qemu.arch.tcgets), "{}", qemu.arch.qemu);
            assert!(
                table.spare.len() > 20,
                "{}: {} spare entries",
                qemu.arch.qemu,
                table.spare.len()
            );
            assert!(!table.knows(0x4004_6e01));
            let commands = [0x4004_6e01, qemu.arch.tcgets, 2];
            let small = table.small.get(&2).copied();
            let patched = patch(&mut file, &mut table, commands);
            assert_eq!(patched, HashSet::from([0x4004_6e01, 2]));
            if let Some(at) = small {
                // Its argument is passed on as it is.
                assert_eq!(
                    word(&file, usize::try_from(at).unwrap() + 32),
                    Some(TYPE_INT)
                );
            }
            assert!(find(&file, qemu.arch).unwrap().knows(0x4004_6e01) || !table.spare.is_empty());
        }
    }

    #[test]
    fn nothing_is_found_where_there_is_no_table() {
        let arch = Arch::by_name("mipsel").unwrap();
        assert_eq!(find(b"", arch), None);
        assert_eq!(find(&[0; 4096], arch), None);
        let mut almost = vec![0_u8; 4096];
        for (i, command) in BEGINNING.iter().enumerate().take(3) {
            almost[i * ENTRY + 4..][..4].copy_from_slice(&command.to_ne_bytes());
        }
        almost[..4].copy_from_slice(&arch.tcgets.to_ne_bytes());
        assert_eq!(find(&almost, arch), None);
    }
}
