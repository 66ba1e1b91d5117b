//! `/sys/class/net`: a directory for each interface that there is, also for those that the guest
//! makes and removes.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::io::Errno;

use crate::files::interfaces::{self, CLASS};
use crate::guest::services::Services;
use crate::kernel::enter;
use crate::kernel::netlink::Link;
use crate::process::proc_dir::ProcDir;
use crate::process::view::{self, View};

/// Interfaces that are shown.
const SHOWN_MAX: usize = 256;

/// What the directory shows.
#[derive(Debug, Default)]
pub struct Shown {
    /// The bridges that interfaces are ports of.
    bridges: BTreeMap<String, String>,
    /// The interfaces that are shown as bridges.
    as_bridges: BTreeSet<String>,
}

impl Shown {
    /// Let the directory show the interfaces that there are now.
    pub fn refresh(&mut self, init: &ProcDir, pidfd: &OwnedFd, services: &mut Services) {
        let table = init.text("net/dev").unwrap_or_default();
        let there: BTreeSet<String> = named(&table).take(SHOWN_MAX).collect();
        let Ok(root) = init.target("root") else {
            return;
        };
        let view = View::new(root, 1);
        let Ok(shown) = shown(&view) else {
            return;
        };
        let links = services
            .interfaces()
            .map_or_else(Vec::new, |(network, _)| network.links().unwrap_or_default());
        let bridges = bridges(&links);
        // Others may have made directories there, too.
        let is_ours = |name: &str| {
            let file = format!("{CLASS}/{name}/ifindex");
            view.find_link(&file).is_ok()
        };
        let mut is_bridge = |name: &str| {
            let link = links.iter().find(|link| link.name == name);
            let known = services.interfaces();
            known.is_some_and(|(_, kinds)| link.is_some_and(|link| kinds.is(link, "bridge")))
        };
        let as_bridges: BTreeSet<_> = there
            .iter()
            .filter(|name| is_bridge(name))
            .cloned()
            .collect();
        // One of a name may have given way to one of another kind.
        let other: Vec<_> = self.as_bridges.symmetric_difference(&as_bridges).collect();
        let is_other = |name: &str| other.iter().any(|other| *other == name);
        let gone: Vec<_> = shown
            .iter()
            .filter(|name| !there.contains(*name) || is_other(name))
            .filter(|name| is_ours(name))
            .collect();
        let new: Vec<_> = there
            .iter()
            .filter(|name| !shown.contains(*name) || is_other(name))
            .collect();
        if gone.is_empty() && new.is_empty() && bridges == self.bridges {
            return;
        }
        let class = Path::new(CLASS);
        let before = std::mem::replace(&mut self.bridges, bridges);
        let of = |port: &String, all: &BTreeMap<String, String>| all.get(port).cloned();
        let _ = enter::run(pidfd, || {
            for (port, bridge) in &before {
                if of(port, &self.bridges).as_ref() != Some(bridge) {
                    interfaces::part(class, port, bridge);
                }
            }
            for name in &gone {
                interfaces::remove(&class.join(name));
            }
            for name in &new {
                let is_bridge = as_bridges.contains(*name);
                let _ = interfaces::describe(&class.join(name), is_bridge);
            }
            for (port, bridge) in &self.bridges {
                if of(port, &before).as_ref() != Some(bridge) {
                    let _ = interfaces::join(class, port, bridge);
                }
            }
            Ok(())
        });
        self.as_bridges = as_bridges;
    }
}

/// The bridges of the interfaces that are ports.
fn bridges(links: &[Link]) -> BTreeMap<String, String> {
    let bridge = |index: u32| links.iter().find(|link| link.index == index);
    let ports = links.iter().take(SHOWN_MAX);
    ports
        .filter_map(|link| {
            let bridge = bridge(link.master).filter(|bridge| bridge.is_bridge())?;
            Some((link.name.clone(), bridge.name.clone()))
        })
        .collect()
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
