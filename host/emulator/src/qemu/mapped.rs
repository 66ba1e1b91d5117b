//! Where a running emulator has what its file holds.

use crate::process::proc_dir::ProcDir;

/// The address of an offset of the emulator's file in a process, in memory with these rights
/// (`proc_pid_maps(5)`: `rw-p`, `r-xp`).
pub fn address(process: &ProcDir, offset: u64, rights: &str) -> Option<u64> {
    let maps = process.text("maps").ok()?;
    maps.lines()
        .filter(|line| line.contains("/.rookery/qemu-"))
        .find_map(|line| {
            let mut fields = line.split_whitespace();
            let (low, high) = fields.next()?.split_once('-')?;
            let (low, high) = (
                u64::from_str_radix(low, 16).ok()?,
                u64::from_str_radix(high, 16).ok()?,
            );
            if !fields.next()?.starts_with(rights) {
                return None;
            }
            let start = u64::from_str_radix(fields.next()?, 16).ok()?;
            let within = offset
                .checked_sub(start)
                .filter(|within| *within < high - low)?;
            Some(low + within)
        })
}
