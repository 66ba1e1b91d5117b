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
    /// Interfaces that others are made of, each with that.
    stacked: BTreeSet<(String, String)>,
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
            .map_or_else(Vec::new, |(network, known)| {
                let links = network.links().unwrap_or_default().into_iter();
                links.map(|link| known.as_known(network, link)).collect()
            });
        let bridges = bridges(&links);
        let stacked = stacked(&links);
        // Others may have made directories there, too.
        let is_ours = |name: &str| {
            let file = format!("{CLASS}/{name}/ifindex");
            view.find_link(&file).is_ok()
        };
        let is_bridge = |name: &str| {
            let mut bridges = links.iter().filter(|link| link.is_bridge());
            bridges.any(|link| link.name == name)
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
        let same = bridges == self.bridges && stacked == self.stacked;
        if gone.is_empty() && new.is_empty() && same {
            return;
        }
        let class = Path::new(CLASS);
        let before = std::mem::replace(&mut self.bridges, bridges);
        let before_stacked = std::mem::replace(&mut self.stacked, stacked);
        let of = |port: &String, all: &BTreeMap<String, String>| all.get(port).cloned();
        let _ = enter::run(pidfd, || {
            for (port, bridge) in &before {
                if of(port, &self.bridges).as_ref() != Some(bridge) {
                    interfaces::part(class, port, bridge);
                }
            }
            for (lower, upper) in &before_stacked {
                interfaces::unstack(class, lower, upper);
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
            for (lower, upper) in &self.stacked {
                interfaces::stack(class, lower, upper);
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

/// Interfaces that others are made of: ports of bridges, and what VLANs are of.
fn stacked(links: &[Link]) -> BTreeSet<(String, String)> {
    let name = |index: u32| {
        let mut all = links
            .iter()
            .filter(|link| index != 0 && link.index == index);
        all.next().map(|link| link.name.clone())
    };
    let pairs = links.iter().take(SHOWN_MAX).flat_map(|link| {
        let above = name(link.master).map(|above| (link.name.clone(), above));
        // Two ends of a pair are of each other.
        let of_another = name(link.below).filter(|_| link.made_as != "veth");
        [above, of_another.map(|below| (below, link.name.clone()))]
    });
    pairs.flatten().collect()
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
