//! Where a running emulator has what its file holds.

use crate::kernel::maps::{self, mappings};
use crate::process::proc_dir::ProcDir;

/// How the paths of emulators begin in a guest.
pub const EMULATOR: &str = "/.rookery/qemu-";

/// The address of an offset of the emulator's file in a process, in memory with these rights
/// (`rw-p`, `r-xp`).
pub fn address(process: &ProcDir, offset: u64, rights: &str) -> Option<u64> {
    let table = process.text(maps::FILE).ok()?;
    let own = mappings(&table).filter(|mapping| mapping.name.starts_with(EMULATOR));
    let mut with_rights = own.filter(|mapping| mapping.rights.starts_with(rights));
    with_rights.find_map(|mapping| mapping.address(offset))
}
