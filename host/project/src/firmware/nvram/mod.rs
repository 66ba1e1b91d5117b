//! The values that a firmware would give its NVRAM itself, in the places where Penguin and
//! firmadyne found vendors to keep them: tables in text, and arrays in programs and libraries.

mod array;

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use crate::rules;

/// The bytes of one value.
const VALUE_MAX: usize = 16 << 10;
/// Values that a file must have for its name alone to make it a table.
const ENOUGH: usize = 6;

/// Where firmware keeps its tables. The last part alone counts elsewhere.
const PLACES: &[&str] = &[
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

/// The values of one file.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its path in the guest.
    pub file: String,
    /// Keys and values, in the file's order.
    pub values: Vec<(String, String)>,
}

/// How far a table is believed, as Penguin ranks them: the first first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trust {
    /// An array in a program or library; the more values, the better.
    Array(Reverse<usize>),
    /// A table at a place that is known, by its number.
    Place(usize),
    /// A table that only has the name of one.
    Name(usize),
}

/// The table that a file of the firmware is, if it is one.
pub fn table(path: &str, contents: &[u8]) -> Option<(Trust, Table)> {
    let (trust, values) = if contents.starts_with(b"\x7fELF") {
        let values = array::values(contents);
        (Trust::Array(Reverse(values.len())), values)
    } else {
        (trust(path)?, parse(contents))
    };
    let enough = match trust {
        Trust::Name(_) => ENOUGH,
        Trust::Array(_) | Trust::Place(_) => 1,
    };
    let file = path.to_owned();
    (values.len() >= enough).then_some((trust, Table { file, values }))
}

/// Of a table in text.
fn trust(path: &str) -> Option<Trust> {
    let name = |path: &str| path.rsplit('/').next().map(str::to_owned);
    if let Some(place) = PLACES.iter().position(|known| *known == path) {
        return Some(Trust::Place(place));
    }
    let named = PLACES.iter().position(|known| name(known) == name(path))?;
    // `default` is a name of much else.
    (name(path)?.len() > "default".len()).then_some(Trust::Name(named))
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

    #[test]
    fn a_table_is_believed_by_its_place_and_less_by_its_name() {
        let many = b"a=1\nb=2\nc=3\nd=4\ne=5\nlan_ipaddr=10.0.0.1\n";
        let trust = |path: &str, contents: &[u8]| table(path, contents).map(|(trust, _)| trust);
        assert_eq!(trust("/etc/nvram.default", b"a=1"), Some(Trust::Place(1)));
        assert_eq!(trust("/opt/nvram.default", many), Some(Trust::Name(0)));
        assert_eq!(trust("/opt/nvram.default", b"a=1\n"), None);
        assert_eq!(trust("/opt/default", many), None);
        assert_eq!(trust("/etc/other", many), None);
        assert!(Trust::Array(Reverse(9)) < Trust::Array(Reverse(2)));
        assert!(Trust::Array(Reverse(2)) < Trust::Place(0));
    }

    #[test]
    fn pairs_stand_on_lines_or_between_nuls() {
        let values = |contents: &[u8]| table("/etc/nvram.conf", contents).map(|(_, t)| t.values);
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let lines = b"# comment=1\nlan_ipaddr=192.168.1.1\r\nempty=\n=none\n";
        assert_eq!(
            values(lines).unwrap(),
            [pair("lan_ipaddr", "192.168.1.1"), pair("empty", "")]
        );
        let strings = values(b"late=1\0x=y=z\0\0").unwrap();
        assert_eq!(strings, [pair("late", "1"), pair("x", "y=z")]);
        assert_eq!(values(&[0xff, b'=', 0xfe, b'\n']), None);
    }
}
