//! What file systems in memory hold that the guest has mounted.

use std::collections::HashMap;
use std::fs::File;

use rustix::fs::OFlags;

use super::super::mounts::Mounts;
use super::super::paths;
use super::memory::in_use;

/// More than a guest may have mounted.
const LINES_MAX: usize = 10_000;

/// What they hold, for the guest whose init is the process `init` of the host.
pub fn held(init: i32, mounts: &Mounts) -> u64 {
    let table = std::fs::read_to_string(format!("/proc/{init}/mountinfo")).unwrap_or_default();
    let root = File::open(format!("/proc/{init}/root"));
    let found: HashMap<u64, u64> = root.map_or_else(
        |_| HashMap::new(),
        |root| {
            let lines = table
                .lines()
                .take(LINES_MAX)
                .filter(|line| line.contains(" - tmpfs "));
            lines.filter_map(|line| look(&root, line)).collect()
        },
    );
    mounts.held(|device| found.get(&device).copied())
}

/// The device of a line of the kernel's table, and what it holds, where that is what is seen there.
fn look(root: &File, line: &str) -> Option<(u64, u64)> {
    let mut fields = line.split(' ').skip(2);
    let (major, minor) = fields.next()?.split_once(':')?;
    let device = libc::makedev(major.parse().ok()?, minor.parse().ok()?);
    let at = paths::open(root, fields.nth(1)?, 0, OFlags::PATH).ok()?;
    (paths::status(&at).ok()?.st_dev == device).then(|| (device, in_use(&at)))
}
