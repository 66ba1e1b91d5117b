//! What the firmware mentions: network interfaces in its configuration, device nodes and proc files
//! in all that it holds.

use std::collections::BTreeSet;

use regex::bytes::Regex;

use super::flash::{Finder, Partitions};
use crate::firmware::Image;
use crate::firmware::tree::Content;
use crate::{Cancel, Error, Result};

/// Longer files in `etc` and `lib` are no configuration.
const MAX_TEXT: u64 = 64 << 10;
/// How much of a file is searched for paths.
const MAX_SEARCHED: usize = 32 << 20;
/// The most names of each kind.
const MAX_NAMES: usize = 200;
/// The most interfaces.
const MAX_INTERFACES: usize = 24;

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
    let mut survey = Survey::default();
    let mut made = BTreeSet::new();
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
                .is_some_and(|name| !is_known(name, &DEVICES))
            {
                keep(&mut survey.devices, path, MAX_NAMES);
            } else if path
                .strip_prefix(b"/proc/")
                .is_some_and(|name| !is_known(name, &PROCS))
            {
                keep(&mut survey.procs, path, MAX_NAMES);
            }
        }
    }
    // One that were there beforehand would keep the firmware from making its own. OpenWrt's netifd
    // makes those that begin with `br-`.
    let by_itself = |name: &String| made.contains(name) || name.starts_with("br-");
    survey.interfaces.retain(|name| !by_itself(name));
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

/// First parts of paths that every Linux system has.
const DEVICES: [&str; 22] = [
    "null", "zero", "full", "random", "urandom", "tty", "console", "ptmx", "pts", "pty", "fd",
    "stdin", "stdout", "stderr", "shm", "log", "mtd", "mtdblock", "mem", "kmem", "kmsg", "loop",
];
const PROCS: [&str; 40] = [
    "self",
    "sys",
    "net",
    "mounts",
    "cpuinfo",
    "meminfo",
    "cmdline",
    "version",
    "stat",
    "uptime",
    "loadavg",
    "filesystems",
    "modules",
    "mtd",
    "partitions",
    "devices",
    "interrupts",
    "kmsg",
    "kallsyms",
    "kcore",
    "bus",
    "fs",
    "tty",
    "misc",
    "iomem",
    "ioports",
    "slabinfo",
    "diskstats",
    "swaps",
    "vmstat",
    "zoneinfo",
    "crypto",
    "key-users",
    "keys",
    "locks",
    "softirqs",
    "timer_list",
    "config.gz",
    "sysrq-trigger",
    "driver",
];

/// Whether the first part of a path is a known name, possibly numbered, or a process.
fn is_known(name: &[u8], known: &[&str]) -> bool {
    let first = name.split(|b| *b == b'/').next().unwrap_or_default();
    let end = first
        .iter()
        .rposition(|b| !b.is_ascii_digit())
        .map_or(0, |last| last + 1);
    let stem = first.get(..end).unwrap_or_default();
    stem.is_empty()
        || stem.starts_with(b"tty")
        || known
            .iter()
            .any(|k| k.as_bytes() == first || k.as_bytes() == stem)
}
