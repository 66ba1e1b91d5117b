//! `/sys/class/net`: a directory for each interface that there is, also for those that the guest makes and removes.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use rustix::io::Errno;

use super::guest::Guest;
use super::inside;
use super::view::{self, View};

/// Where they are.
pub const CLASS: &str = "/sys/class/net";

/// Interfaces that are shown.
const SHOWN_MAX: usize = 256;

/// The files of each. What those tell that have no contents here is asked when they are read.
const FILES: &[(&str, &str)] = &[
    ("address", ""),
    ("mtu", ""),
    ("operstate", ""),
    ("carrier", ""),
    ("ifindex", ""),
    ("type", ""),
    ("flags", ""),
    ("uevent", ""),
    ("dev_id", "0x0\n"),
    ("iflink", ""),
];
const STATISTICS: &str = "statistics";
/// A bridge is known by this directory.
const BRIDGE: &str = "bridge";

/// Make the directory of an interface.
pub fn describe(directory: &Path, is_bridge: bool) -> io::Result<()> {
    fs::create_dir(directory)?;
    fs::create_dir(directory.join(STATISTICS))?;
    if is_bridge {
        fs::create_dir(directory.join(BRIDGE))?;
    }
    for (name, value) in FILES {
        // Whatever a guest has put there meanwhile, nothing waits for its reader.
        fs::File::create_new(directory.join(name))?.write_all(value.as_bytes())?;
    }
    Ok(())
}

/// Remove the directory of an interface, but nothing that others put there.
fn remove(directory: &Path) {
    for (name, _) in FILES {
        let _ = fs::remove_file(directory.join(name));
    }
    for part in [STATISTICS, BRIDGE, ""] {
        let _ = fs::remove_dir(directory.join(part));
    }
}

/// Let the directory show the interfaces that there are now.
pub fn refresh(guest: &mut Guest<'_>) {
    let table = guest.init.text("net/dev").unwrap_or_default();
    let there: BTreeSet<String> = named(&table).take(SHOWN_MAX).collect();
    let Ok(root) = guest.init.target("root") else {
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
            let link = guest.network().and_then(|network| network.link(name).ok());
            (name, link.is_some_and(|link| link.is_bridge()))
        })
        .collect();
    if gone.is_empty() && new.is_empty() {
        return;
    }
    let class = Path::new(CLASS);
    let _ = inside::run(&guest.pidfd, || {
        for name in &gone {
            remove(&class.join(name));
        }
        for (name, is_bridge) in &new {
            let _ = describe(&class.join(name), *is_bridge);
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

    #[test]
    fn an_interface_goes_as_it_came_and_leaves_what_others_put_there() {
        let work = tempfile::tempdir().unwrap();
        let at = |path: &str| work.path().join(path);
        describe(&at("br7"), true).unwrap();
        assert!(at("br7/bridge").is_dir() && at("br7/mtu").is_file());
        assert!(describe(&at("br7"), true).is_err());
        remove(&at("br7"));
        assert!(!at("br7").exists());
        describe(&at("eth0"), false).unwrap();
        fs::write(at("eth0/model"), "").unwrap();
        remove(&at("eth0"));
        assert!(at("eth0/model").exists() && !at("eth0/mtu").exists());
    }
}
