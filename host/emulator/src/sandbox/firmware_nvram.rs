//! What a firmware says of its NVRAM: which of its programs ask a library for values, and the
//! values that it would set its NVRAM to itself. Looked for once, when it is unpacked.

use std::fs;
use std::path::Path;

use memchr::memmem::Finder;
use rookery_project::{Cancel, Result, regular, rules};
use serde::{Deserialize, Serialize};

use crate::sandbox::nvram_table;

/// A file's size; programs and tables of defaults are smaller.
const FILE_MAX: u64 = 16 << 20;
/// Files that are looked at.
const FILES_MAX: usize = 200_000;
/// Values of all tables together, and the bytes of one.
const VALUES_MAX: usize = 20_000;
const VALUE_MAX: usize = 16 << 10;
/// Programs that are named.
const READERS_MAX: usize = 20;
/// Values that a file must have for its name alone to make it a table.
const ENOUGH: usize = 6;

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

/// Where firmware keeps its tables, as Penguin and firmadyne know them. The last part alone counts
/// elsewhere.
const TABLES: &[&str] = &[
    "/var/etc/nvram.default",
    "/etc/nvram.default",
    "/etc/nvram.conf",
    "/etc/nvram.deft",
    "/etc/nvram.update",
    "/etc/wlan/nvram_params",
    "/etc/system_nvram_defaults",
    "/image/mnt/nvram_ap.default",
    "/image/mnt/nvram_whp.default",
    "/image/mnt/nvram_rt.default",
    "/image/mnt/nvram_rpt.default",
    "/image/mnt/nvram.default",
    "/usr/etc/default",
    "/etc/nvram.ini",
    "/etc/Wireless/RT2860/RT2860_default_vlan",
    "/etc/Wireless/RT2860/RT2860_default_novlan",
    "/etc_ro/Wireless/RT2860AP/RT2860_default_vlan",
    "/etc_ro/Wireless/RT2860AP/RT2860_default_novlan",
    "/etc_ro/Wireless/RT2860AP/RT2860AP.dat",
];

/// What was found.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirmwareNvram {
    /// Some of the programs and libraries that ask for values, by their paths in the guest.
    pub readers: Vec<String>,
    /// A program names the driver's device.
    pub driver: bool,
    /// Values by where they are from, what Penguin prefers first.
    pub tables: Vec<Table>,
}

/// The values of one file.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    pub file: String,
    pub values: Vec<(String, String)>,
}

/// Look through the unpacked files.
pub fn look(root: &Path, cancel: &Cancel) -> Result<FirmwareNvram> {
    let mut found = FirmwareNvram::default();
    let getters: Vec<Finder<'_>> = GETTERS.iter().map(Finder::new).collect();
    let device = Finder::new("/dev/nvram");
    let mut ranked: Vec<(usize, Table)> = Vec::new();
    let mut pending = vec![root.to_owned()];
    let (mut files, mut left) = (0, VALUES_MAX);
    while let Some(directory) = pending.pop() {
        cancel.check()?;
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            let path = entry.path();
            // Not of what a link leads to.
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            if metadata.is_dir() {
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
            let rank = rank(&guest_path);
            let Ok(contents) = regular::read(&path, FILE_MAX) else {
                continue;
            };
            if contents.starts_with(b"\x7fELF") {
                found.driver |= device.find(&contents).is_some();
                let asks = |getter: &Finder<'_>| getter.find(&contents).is_some();
                let reads = getters.iter().any(asks);
                let mut values = nvram_table::values(&contents);
                values.truncate(left);
                if !values.is_empty() {
                    left -= values.len();
                    let file = guest_path.clone();
                    ranked.push((0, Table { file, values }));
                }
                if reads && found.readers.len() < READERS_MAX {
                    found.readers.push(guest_path);
                }
            } else if let Some(rank) = rank {
                let mut values = parse(&contents);
                values.truncate(left);
                let enough = rank < TABLES.len() || values.len() >= ENOUGH;
                if enough && !values.is_empty() {
                    left -= values.len();
                    ranked.push((
                        rank,
                        Table {
                            file: guest_path,
                            values,
                        },
                    ));
                }
            }
        }
    }
    found.readers.sort();
    ranked.sort_by(|(rank, table), (other, than)| (rank, &table.file).cmp(&(other, &than.file)));
    found.tables = ranked.into_iter().map(|(_, table)| table).collect();
    Ok(found)
}

fn guest_path(root: &Path, path: &Path) -> Option<String> {
    Some(format!("/{}", path.strip_prefix(root).ok()?.to_str()?))
}

/// A table's place among all, the most trusted first: those at their own place come before those
/// that only have the name.
fn rank(path: &str) -> Option<usize> {
    let name = |path: &str| path.rsplit('/').next().map(str::to_owned);
    if let Some(rank) = TABLES.iter().position(|known| *known == path) {
        return Some(rank);
    }
    let named = TABLES.iter().position(|known| name(known) == name(path))?;
    // `default` is a name of much else.
    (name(path)?.len() > "default".len()).then_some(TABLES.len() + named)
}

/// `key=value`, each on a line or before a NUL, whichever gives more.
fn parse(contents: &[u8]) -> Vec<(String, String)> {
    let of = |separator: u8| {
        let pieces = contents.split(move |byte| *byte == separator);
        pieces.filter_map(pair).collect::<Vec<_>>()
    };
    let (lines, strings) = (of(b'\n'), of(0));
    if strings.len() > lines.len() {
        strings
    } else {
        lines
    }
}

fn pair(piece: &[u8]) -> Option<(String, String)> {
    let text = std::str::from_utf8(piece)
        .ok()?
        .trim_end_matches(['\r', '\0']);
    let (key, value) = text.split_once('=')?;
    let key = key.trim();
    let is_key = rules::is_nvram_key(key) && !key.starts_with('#') && !key.contains(' ');
    let is_value = value.len() <= VALUE_MAX && !value.contains('\0');
    (is_key && is_value).then(|| (key.to_owned(), value.to_owned()))
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
