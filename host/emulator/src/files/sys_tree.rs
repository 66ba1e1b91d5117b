//! The devices that `/sys` shows: each with its directory, below its class, with its numbers and
//! what an event of the kernel (uevent) tells of it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::files::devices::{Backing, Device};
use crate::files::interfaces;

/// The directory of all that is no device of a bus.
const VIRTUAL: &str = "/devices/virtual";
/// Devices that are shown; each takes some of the few files that `/sys` may have.
const SHOWN_MAX: usize = 256;
/// Those that the sandbox itself has.
const ALWAYS: &[(&str, (u32, u32))] = &[
    ("null", (1, 3)),
    ("zero", (1, 5)),
    ("full", (1, 7)),
    ("random", (1, 8)),
    ("urandom", (1, 9)),
    ("tty", (5, 0)),
    ("console", (5, 1)),
    ("ptmx", (5, 2)),
];
/// Directories that are there, whatever is in them.
const DIRECTORIES: &[&str] = &[
    "block",
    "bus/pci/devices",
    "bus/platform/devices",
    "bus/usb/devices",
    "class/block",
    "class/gpio",
    "class/input",
    "class/leds",
    "class/mem",
    "class/misc",
    "class/mtd",
    "class/net",
    "class/thermal",
    "class/tty",
    "dev/block",
    "dev/char",
    "devices/platform",
    "devices/system/cpu",
    "devices/virtual",
    "firmware",
    "fs/cgroup",
    "kernel/debug",
    "module",
    "power",
];

/// A device as `/sys` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SysDevice {
    class: &'static str,
    /// Its name in its class.
    name: String,
    /// Its path below `/dev`.
    node: String,
    numbers: (u32, u32),
    /// In bytes, of one with blocks.
    size: u64,
}

impl SysDevice {
    /// Its path below `/sys`.
    pub fn path(&self) -> String {
        format!("{VIRTUAL}/{}/{}", self.class, self.name)
    }

    /// The class that it is of.
    pub fn class(&self) -> &str {
        self.class
    }

    fn has_blocks(&self) -> bool {
        self.class == "block"
    }

    /// What its `uevent` tells.
    pub fn about(&self) -> String {
        let (major, minor) = self.numbers;
        let kind = if self.has_blocks() {
            "DEVTYPE=disk\n"
        } else {
            ""
        };
        format!(
            "MAJOR={major}\nMINOR={minor}\nDEVNAME={}\n{kind}",
            self.node
        )
    }
}

/// The devices among what the supervisor answers for that have a driver. One with several nodes,
/// such as `mtd0` and `mtd/0`, is shown once, as a kernel names it: `mdev -s` goes by the numbers.
pub fn devices<'a>(all: impl Iterator<Item = (&'a String, &'a Device)>) -> Vec<SysDevice> {
    let mut by_numbers = BTreeMap::new();
    let mut add = |node: &str, numbers: (u32, u32), block: bool, size: u64| {
        let class = class_of(numbers.0, block);
        let name = if block {
            node.replace('/', "!")
        } else {
            node.rsplit('/').next().unwrap_or(node).to_owned()
        };
        let device = SysDevice {
            class,
            name,
            node: node.to_owned(),
            numbers,
            size,
        };
        let depth = |node: &str| node.matches('/').count();
        match by_numbers.entry((block, numbers)) {
            Entry::Vacant(place) => drop(place.insert(device)),
            Entry::Occupied(mut known) => {
                let known: &mut SysDevice = known.get_mut();
                if depth(node) < depth(&known.node) {
                    *known = device;
                }
            }
        }
    };
    for (node, numbers) in ALWAYS {
        add(node, *numbers, false, 0);
    }
    for (path, device) in all {
        if let Some(node) = path.strip_prefix("/dev/")
            && device.backing != Backing::Nothing
            && device.numbers != (0, 0)
        {
            let block = device.mode & libc::S_IFMT == libc::S_IFBLK;
            add(node, device.numbers, block, device.size);
        }
    }
    let mut found = BTreeMap::new();
    for device in by_numbers.into_values() {
        let place = (device.class, device.name.clone());
        found.entry(place).or_insert(device);
    }
    found.into_values().take(SHOWN_MAX).collect()
}

/// `Documentation/admin-guide/devices.txt`
fn class_of(major: u32, block: bool) -> &'static str {
    match major {
        _ if block => "block",
        1 => "mem",
        4 | 5 | 204 => "tty",
        13 => "input",
        29 => "graphics",
        89 => "i2c-dev",
        90 => "mtd",
        254 => "rtc",
        _ => "misc",
    }
}

/// Fill `/sys`, at `sys`, with devices and the directories of interfaces.
pub fn make<'a>(
    sys: &Path,
    devices: &[SysDevice],
    interfaces: impl Iterator<Item = &'a str>,
) -> io::Result<()> {
    for name in DIRECTORIES {
        fs::create_dir_all(sys.join(name))?;
    }
    symlink("../../class/net", sys.join("devices/virtual/net"))?;
    fs::write(sys.join("kernel/uevent_helper"), "\n")?;
    fs::write(sys.join("kernel/uevent_seqnum"), "0\n")?;
    for cpu in ["online", "possible", "present"] {
        fs::write(sys.join("devices/system/cpu").join(cpu), "0\n")?;
    }
    fs::create_dir(sys.join("devices/system/cpu/cpu0"))?;
    for device in devices {
        place(sys, device)?;
    }
    for name in interfaces {
        interfaces::describe(&sys.join("class/net").join(name), false)?;
    }
    Ok(())
}

fn place(sys: &Path, device: &SysDevice) -> io::Result<()> {
    let SysDevice { class, name, .. } = device;
    let (major, minor) = device.numbers;
    let path = device.path();
    let own = sys.join(path.trim_start_matches('/'));
    fs::create_dir_all(&own)?;
    fs::create_dir_all(sys.join("class").join(class))?;
    fs::write(own.join("dev"), format!("{major}:{minor}\n"))?;
    fs::write(own.join("uevent"), device.about())?;
    symlink(format!("../../../../class/{class}"), own.join("subsystem"))?;
    symlink(
        format!("../..{path}"),
        sys.join("class").join(class).join(name),
    )?;
    let kind = if device.has_blocks() { "block" } else { "char" };
    let by_number = sys.join("dev").join(kind).join(format!("{major}:{minor}"));
    // Two names may mean one device.
    let _ = symlink(format!("../..{path}"), by_number);
    if device.has_blocks() {
        for (name, text) in [
            ("size", format!("{}\n", device.size / 512)),
            ("removable", "0\n".to_owned()),
            ("ro", "0\n".to_owned()),
            ("range", "1\n".to_owned()),
            ("stat", format!("{:>8}\n", [" 0"; 11].concat().trim())),
        ] {
            fs::write(own.join(name), text)?;
        }
        symlink(format!("..{path}"), sys.join("block").join(name))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_found_by_its_class_its_numbers_and_what_it_is() {
        let work = tempfile::tempdir().unwrap();
        let node = |block, numbers| Device::node(block, numbers, 0o600);
        let all: Vec<_> = [
            ("/dev/ttyS0", node(false, (4, 64))),
            ("/dev/loop0", node(true, (7, 0))),
            ("/dev/sda", node(true, (8, 0))),
            ("/dev/loop/0", node(true, (7, 0))),
            ("/proc/mtd", node(false, (1, 1))),
        ]
        .map(|(path, device)| (path.to_owned(), device))
        .into();
        let devices = devices(all.iter().map(|(path, device)| (path, device)));
        make(work.path(), &devices, ["lo"].into_iter()).unwrap();
        let read = |path: &str| fs::read_to_string(work.path().join(path)).unwrap();
        assert_eq!(read("class/tty/ttyS0/dev"), "4:64\n");
        assert_eq!(read("dev/char/4:64/dev"), "4:64\n");
        assert_eq!(read("block/loop0/size"), "0\n");
        assert_eq!(
            read("class/block/loop0/uevent"),
            "MAJOR=7\nMINOR=0\nDEVNAME=loop0\nDEVTYPE=disk\n"
        );
        assert_eq!(read("block/loop0/subsystem/loop0/dev"), "7:0\n");
        assert_eq!(read("class/mem/null/dev"), "1:3\n");
        assert!(work.path().join("devices/virtual/net/lo/mtu").exists());
        assert!(!work.path().join("block/sda").exists(), "it has no driver");
        assert!(read("dev/block/7:0/uevent").contains("DEVNAME=loop0\n"));
        assert!(!work.path().join("block/loop!0").exists(), "it is the same");
    }
}
