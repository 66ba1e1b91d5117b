//! What file systems in memory hold that the guest has mounted.

use std::collections::HashMap;

use crate::files::mounts::Mounts;
use crate::kernel::paths;
use crate::limits::memory::in_use;
use crate::process::proc_dir::ProcDir;
use crate::process::view::View;

/// What they hold, for the guest with this init.
pub fn held(init: &ProcDir, mounts: &Mounts) -> u64 {
    let table = init.text("mountinfo").unwrap_or_default();
    let found: HashMap<u64, u64> = init.target("root").map_or_else(
        |_| HashMap::new(),
        |root| {
            let view = View::new(root, 1);
            let lines = table.lines().filter(|line| line.contains(" - tmpfs "));
            lines.filter_map(|line| look(&view, line)).collect()
        },
    );
    mounts.held(|device| found.get(&device).copied())
}

/// The device of a line of the kernel's table, and what it holds, where that is what is seen there.
fn look(view: &View, line: &str) -> Option<(u64, u64)> {
    let mut fields = line.split(' ').skip(2);
    let (major, minor) = fields.next()?.split_once(':')?;
    let device = libc::makedev(major.parse().ok()?, minor.parse().ok()?);
    let at = view.find_link(fields.nth(1)?).ok()?;
    (paths::status(&at).ok()?.st_dev == device).then(|| (device, in_use(&at)))
}
