//! What a firmware says of its NVRAM: which of its programs ask a library for values, by which
//! devices others ask for them, and the values that it would set its NVRAM to itself. Looked for
//! once, when it is unpacked.

use std::fs;
use std::path::Path;

use memchr::memmem::Finder;
use rookery_project::firmware::nvram::{self, Table, Trust};
use rookery_project::{Cancel, Result, regular};
use serde::{Deserialize, Serialize};

/// A file's size; programs and tables of defaults are smaller.
const FILE_MAX: u64 = 16 << 20;
/// Files that are looked at.
const FILES_MAX: usize = 200_000;
/// Values of all tables together.
const VALUES_MAX: usize = 20_000;
/// Programs that are named.
const READERS_MAX: usize = 20;
/// What is in every program that asks: as names of functions, one of them at least.
const GETTERS: &[&str] = &[
    "nvram_get",
    "nvram_bufget",
    "nvram_safe_get",
    "nvram_nget",
    "nvram_match",
    "acosNvramConfig_get",
    "acos_nvram_get",
    "WAN_ith_CONFIG_GET",
    "artblock_get",
    "envram_get",
    "apmib_get",
];

/// What was found.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirmwareNvram {
    /// Some of the programs and libraries that ask for values, by their paths in the guest.
    pub readers: Vec<String>,
    /// A program names the driver's device.
    pub driver: bool,
    /// A program reads them from flash by a device without a number, as drivers for Realtek's
    /// kernels of the 2.4 series have it, where others have a directory.
    pub flash: bool,
    /// Values by where they are from, what Penguin prefers first.
    pub tables: Vec<Table>,
}

/// Look through the unpacked files.
pub fn look(root: &Path, cancel: &Cancel) -> Result<FirmwareNvram> {
    let mut found = FirmwareNvram::default();
    let getters: Vec<Finder<'_>> = GETTERS.iter().map(Finder::new).collect();
    let device = Finder::new("/dev/nvram");
    let flash = [&b"\0/dev/mtd\0"[..], b"/dev/mtd/"].map(Finder::new);
    let mut ranked: Vec<(Trust, Table)> = Vec::new();
    let mut pending = vec![root.to_owned()];
    let (mut files, mut left) = (0, VALUES_MAX);
    let flash_directory = root.join("dev/mtd");
    let mut flash_named = [false; 2];
    while let Some(directory) = pending.pop() {
        cancel.check()?;
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            let path = entry.path();
            // Not of what a link leads to.
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            if metadata.is_dir() {
                flash_named[1] |= path == flash_directory;
                pending.push(path);
                continue;
            }
            files += 1;
            if !metadata.is_file() || metadata.len() > FILE_MAX || files > FILES_MAX {
                continue;
            }
            let Some(guest_path) = guest_path(root, &path) else {
                continue;
            };
            let Ok(contents) = regular::read(&path, FILE_MAX) else {
                continue;
            };
            if contents.starts_with(b"\x7fELF") {
                found.driver |= device.find(&contents).is_some();
                for (named, name) in flash_named.iter_mut().zip(&flash) {
                    *named |= name.find(&contents).is_some();
                }
                let asks = |getter: &Finder<'_>| getter.find(&contents).is_some();
                if getters.iter().any(asks) && found.readers.len() < READERS_MAX {
                    found.readers.push(guest_path.clone());
                }
            }
            if let Some((trust, mut table)) = nvram::table(&guest_path, &contents) {
                table.values.truncate(left);
                left -= table.values.len();
                ranked.push((trust, table));
            }
        }
    }
    found.flash = flash_named == [true, false];
    found.readers.sort();
    ranked.sort_by(|(trust, table), (other, than)| (trust, &table.file).cmp(&(other, &than.file)));
    found.tables = ranked.into_iter().map(|(_, table)| table).collect();
    Ok(found)
}

fn guest_path(root: &Path, path: &Path) -> Option<String> {
    Some(format!("/{}", path.strip_prefix(root).ok()?.to_str()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn firmware(files: &[(&str, &[u8])]) -> (tempfile::TempDir, FirmwareNvram) {
        let root = tempfile::tempdir().unwrap();
        for (path, contents) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, contents).unwrap();
        }
        let found = look(root.path(), &Cancel::default()).unwrap();
        (root, found)
    }

    #[test]
    fn a_program_that_names_the_drivers_device_is_found() {
        let asks = [&b"\x7fELF"[..], &[0; 60], b"/dev/nvram\0"].concat();
        let (_root, found) = firmware(&[("sbin/rc", &asks)]);
        assert!(found.driver && found.readers.is_empty());
        assert!(!firmware(&[("etc/fstab", b"/dev/nvram\n")]).1.driver);
    }

    #[test]
    fn flash_is_one_file_where_no_program_wants_a_directory() {
        let names = |path: &[u8]| [&b"\x7fELF"[..], &[0; 60], path, &[0]].concat();
        let one = names(b"/dev/mtd");
        assert!(firmware(&[("bin/flash", &one)]).1.flash);
        for other in [&b"/dev/mtd/0"[..], b"/dev/mtdblock0"] {
            let other = names(other);
            assert!(!firmware(&[("bin/flash", &other)]).1.flash);
        }
        let other = names(b"/dev/mtd/%d");
        let programs = firmware(&[("bin/flash", &one), ("bin/mtd", &other)]).1;
        let directory = firmware(&[("bin/flash", &one), ("dev/mtd/0", b"")]).1;
        assert!(!programs.flash && !directory.flash);
    }

    #[test]
    fn programs_that_ask_for_values_are_found() {
        let asks = [&b"\x7fELF"[..], &[0; 60], b"nvram_safe_get\0"].concat();
        let other = [&b"\x7fELF"[..], &[0; 60], b"printf\0"].concat();
        let script = [&b"#!/bin/sh\n"[..], &[b' '; 60], b"nvram_get\n"].concat();
        let files = [
            ("sbin/rc", &asks[..]),
            ("bin/ls", &other),
            ("etc/rcS", &script),
        ];
        assert_eq!(firmware(&files).1.readers, ["/sbin/rc"]);
    }

    #[test]
    fn values_come_from_the_tables_that_penguin_knows_and_in_its_order() {
        let many = b"a=1\nb=2\nc=3\nd=4\ne=5\nlan_ipaddr=10.0.0.1\n";
        let (_root, found) = firmware(&[
            ("opt/nvram.default", many),
            ("mnt/nvram.conf", b"a=1\n"),
            ("etc/nvram.update", b"late=1\0x=y=z\0\0"),
            (
                "etc/nvram.default",
                b"# comment=1\nlan_ipaddr=192.168.1.1\r\nempty=\n=none\n",
            ),
            ("etc/other", many),
        ]);
        let tables: Vec<_> = found
            .tables
            .iter()
            .map(|table| (table.file.as_str(), table.values.len()))
            .collect();
        let expected = [
            ("/etc/nvram.default", 2),
            ("/etc/nvram.update", 2),
            ("/opt/nvram.default", 6),
        ];
        assert_eq!(tables, expected);
        let value = |table: usize, n: usize| {
            let (key, value) = &found.tables[table].values[n];
            (key.as_str(), value.as_str())
        };
        assert_eq!(value(0, 0), ("lan_ipaddr", "192.168.1.1"));
        assert_eq!((value(0, 1), value(1, 1)), (("empty", ""), ("x", "y=z")));
    }

    #[test]
    fn links_lead_nowhere_and_bytes_are_no_values() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("etc")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", root.path().join("etc/nvram.default")).unwrap();
        std::os::unix::fs::symlink("/", root.path().join("all")).unwrap();
        fs::write(
            root.path().join("etc/nvram.conf"),
            [0xff, b'=', 0xfe, b'\n'],
        )
        .unwrap();
        let found = look(root.path(), &Cancel::default()).unwrap();
        assert_eq!(found, FirmwareNvram::default());
    }
}
