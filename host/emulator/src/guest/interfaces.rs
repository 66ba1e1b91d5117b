//! `/sys/class/net`: a directory for each interface that there is, also for those that the guest
//! makes and removes.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::io::Errno;

use crate::files::interfaces::{self, CLASS};
use crate::kernel::enter;
use crate::kernel::netlink::Netlink;
use crate::process::proc_dir::ProcDir;
use crate::process::view::{self, View};

/// Interfaces that are shown.
const SHOWN_MAX: usize = 256;

/// Let the directory show the interfaces that there are now.
pub fn refresh(init: &ProcDir, pidfd: &OwnedFd, network: Option<&Netlink>) {
    let table = init.text("net/dev").unwrap_or_default();
    let there: BTreeSet<String> = named(&table).take(SHOWN_MAX).collect();
    let Ok(root) = init.target("root") else {
        return;
    };
    let view = View::new(root, 1);
    let Ok(shown) = shown(&view) else {
        return;
    };
    // Others may have made directories there, too.
    let is_ours = |name: &str| {
        let file = format!("{CLASS}/{name}/ifindex");
        view.find_link(&file).is_ok()
    };
    let gone: Vec<_> = shown
        .difference(&there)
        .filter(|name| is_ours(name))
        .collect();
    let new: Vec<_> = there
        .difference(&shown)
        .map(|name| {
            let link = network.and_then(|network| network.link(name).ok());
            (name, link.is_some_and(|link| link.is_bridge()))
        })
        .collect();
    if gone.is_empty() && new.is_empty() {
        return;
    }
    let class = Path::new(CLASS);
    let _ = enter::run(pidfd, || {
        for name in &gone {
            interfaces::remove(&class.join(name));
        }
        for (name, is_bridge) in &new {
            let _ = interfaces::describe(&class.join(name), *is_bridge);
        }
        Ok(())
    });
}

/// The names in a table of interfaces, as the kernel writes it.
fn named(table: &str) -> impl Iterator<Item = String> {
    let names = table.lines().filter_map(|line| line.split_once(':'));
    names.map(|(name, _)| name.trim().to_owned())
}

fn shown(view: &View) -> Result<BTreeSet<String>, Errno> {
    let directory = view::read(view.find_directory(CLASS)?)?;
    let names = rustix::fs::Dir::new(directory)?.take(2 * SHOWN_MAX);
    Ok(names
        .filter_map(|entry| entry.ok()?.file_name().to_str().map(str::to_owned).ok())
        .filter(|name| !name.starts_with('.'))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_table_names_interfaces() {
        let table = "Inter-| Receive\n face |bytes\n    lo: 0 0\n  br7:12 0\n";
        assert_eq!(named(table).collect::<Vec<_>>(), ["lo", "br7"]);
    }
}
