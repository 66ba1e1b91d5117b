//! What the firmware mentions: network interfaces in its configuration, device nodes and proc files
//! in all that it holds.

use std::collections::{BTreeSet, HashMap};

use regex::bytes::Regex;

use super::flash::{Finder, Partitions};
use super::kernel_files;
use crate::firmware::Image;
use crate::firmware::nvram::{self, Table, Trust};
use crate::firmware::tree::{Content, shown};
use crate::penguin::library;
use crate::{Cancel, Error, Result};

/// Longer files in `etc` and `lib` are no configuration.
const MAX_TEXT: u64 = 64 << 10;
/// How much of a file is searched for paths.
const MAX_SEARCHED: usize = 32 << 20;
/// The most names of each kind.
const MAX_NAMES: usize = 200;
/// The most interfaces.
const MAX_INTERFACES: usize = 24;
/// The most bytes of NVRAM keys and values: a configuration that is much larger does not load.
const MAX_NVRAM: usize = 1 << 20;
/// The longest name of a function, of those that are looked for.
const MAX_FUNCTION: usize = 64;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Names of network interfaces.
    pub interfaces: BTreeSet<String>,
    /// Paths below `/dev` that a Linux system does not have by itself.
    pub devices: BTreeSet<String>,
    /// Paths below `/proc` that a Linux system does not have by itself.
    pub procs: BTreeSet<String>,
    /// Flash partitions.
    pub flash: Partitions,
    /// Tables of NVRAM values, the most trusted first.
    pub nvram: Vec<(Trust, Table)>,
    /// Functions that the injected library has too, by the firmware's names for them.
    pub functions: BTreeSet<&'static str>,
}

pub(super) fn survey(image: &Image, cancel: &Cancel) -> Result<Survey> {
    // An interface is a word of its own; a number above 5 belongs to something else more often than
    // not.
    let interface = compile(
        r"(?:^|[^A-Za-z0-9_./-])((?:(?:eth|br|wlan|ath|ra|rai|wl|vlan|wan|lan|usb|wwan)[0-5](?:\.[0-9]{1,4})?)|br-[a-z0-9]{1,12})(?:$|[^A-Za-z0-9_.-])",
    )?;
    let pseudofile = compile(r"/(?:dev|proc)/[A-Za-z0-9_][A-Za-z0-9_./-]{0,63}")?;
    // What makes bridges and VLANs: brctl, ip, vconfig.
    let making = compile(concat!(
        r"(?:addbr|link\s+add\s+link\s+\S+\s+name|link\s+add(?:\s+(?:dev|name))?)",
        r"\s+([A-Za-z0-9_.-]{1,15})|vconfig\s+add\s+(\S{1,15})\s+([0-9]{1,4})",
    ))?;
    let flash = Finder::new().map_err(|e| Error::Internal(e.to_string()))?;
    let functions = Functions::new();
    let mut survey = Survey::default();
    let mut made = BTreeSet::new();
    let mut nvram_left = MAX_NVRAM;
    survey.interfaces.insert("eth0".to_owned());
    for (path, entry) in image
        .tree
        .iter()
        .filter(|(_, entry)| entry.same_as.is_none())
    {
        cancel.check()?;
        let Content::File { bytes, .. } = entry.content else {
            continue;
        };
        let content = image.read(entry, 0, MAX_SEARCHED)?;
        let configures =
            path.starts_with(b"etc/") || path.starts_with(b"lib/") || path.starts_with(b"etc_ro/");
        let is_script = configures && bytes <= MAX_TEXT && !content.contains(&0);
        flash.look(&content, is_script, &mut survey.flash);
        if content.starts_with(b"\x7fELF") {
            functions.look(&content, &mut survey.functions);
        }
        if let Some((trust, mut table)) = nvram::table(&shown(path), &content) {
            cut(&mut table, &mut nvram_left);
            survey.nvram.push((trust, table));
        }
        if is_script {
            for found in making.captures_iter(&content) {
                let part = |group| found.get(group).map(|part| part.as_bytes());
                match (part(1), part(2), part(3)) {
                    (Some(name), ..) => keep(&mut made, name, MAX_INTERFACES),
                    (None, Some(on), Some(number)) => {
                        keep(&mut made, &[on, b".", number].concat(), MAX_INTERFACES);
                    }
                    _ => {}
                }
            }
            for line in content.split(|b| matches!(b, b'\n' | b' ' | b'\t' | b'\'' | b'"' | b'@')) {
                if let Some(name) = interface.captures(line).and_then(|c| c.get(1)) {
                    keep(&mut survey.interfaces, name.as_bytes(), MAX_INTERFACES);
                }
            }
        }
        for mention in pseudofile.find_iter(&content) {
            let path = mention.as_bytes().trim_ascii_end();
            let path = path.strip_suffix(b".").unwrap_or(path);
            let path = path.strip_suffix(b"/").unwrap_or(path);
            if path
                .strip_prefix(b"/dev/")
                .is_some_and(|name| !kernel_files::is_device(name))
            {
                keep(&mut survey.devices, path, MAX_NAMES);
            } else if path
                .strip_prefix(b"/proc/")
                .is_some_and(|name| !kernel_files::is_proc(name))
            {
                keep(&mut survey.procs, path, MAX_NAMES);
            }
        }
    }
    // One that were there beforehand would keep the firmware from making its own. OpenWrt's netifd
    // makes those that begin with `br-`.
    let by_itself = |name: &String| made.contains(name) || name.starts_with("br-");
    survey.interfaces.retain(|name| !by_itself(name));
    survey
        .nvram
        .sort_by(|(trust, table), (other, than)| (trust, &table.file).cmp(&(other, &than.file)));
    Ok(survey)
}

fn compile(pattern: &str) -> Result<Regex> {
    Regex::new(pattern).map_err(|e| Error::Internal(e.to_string()))
}

fn keep(set: &mut BTreeSet<String>, name: &[u8], most: usize) {
    if set.len() < most {
        set.insert(String::from_utf8_lossy(name).into_owned());
    }
}

/// Keep of a table what there is room `left` for.
fn cut(table: &mut Table, left: &mut usize) {
    table.values.retain(|(key, value)| {
        let rest = left.checked_sub(key.len() + value.len());
        *left = rest.unwrap_or(*left);
        rest.is_some()
    });
}

/// Finds the names of the functions that are of interest in programs and libraries.
struct Functions {
    names: HashMap<&'static [u8], &'static str>,
}

impl Functions {
    fn new() -> Self {
        let vendors = library::NAMES.iter().map(|(name, _)| *name);
        let names = vendors.chain(library::COMPARISONS);
        Self {
            names: names.map(|name| (name.as_bytes(), name)).collect(),
        }
    }

    /// A name stands in an ELF file as a string, or as the end of a longer one: linkers keep one
    /// copy of both. One too many is no harm: nothing calls it.
    fn look(&self, content: &[u8], found: &mut BTreeSet<&'static str>) {
        for string in content.split(|byte| *byte == 0) {
            let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
            if string.len() > MAX_FUNCTION || !string.iter().all(is_name) {
                continue;
            }
            let ends = (0..string.len()).filter_map(|start| string.get(start..));
            found.extend(ends.filter_map(|end| self.names.get(end)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_found_in_a_table_that_shares_the_ends_of_names() {
        let mut found = BTreeSet::new();
        let table = b"\0acos_nvram_get\0my strcmp\0nvram_getter\0apmib_set\0";
        Functions::new().look(table, &mut found);
        assert_eq!(
            found.into_iter().collect::<Vec<_>>(),
            ["_nvram_get", "acos_nvram_get", "apmib_set", "nvram_get"]
        );
    }

    #[test]
    fn a_firmware_with_too_much_nvram_gives_what_a_configuration_can_hold() {
        let pair = |key: &str| (key.to_owned(), "12345".to_owned());
        let values = vec![pair("a"), pair("longer"), pair("b")];
        let mut table = Table {
            file: "/x".into(),
            values,
        };
        let mut left = 12;
        cut(&mut table, &mut left);
        assert_eq!((table.values, left), (vec![pair("a"), pair("b")], 0));
    }
}
