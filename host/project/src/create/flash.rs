//! Flash partitions that the firmware names: in a kernel's command line, or by their numbers in its
//! scripts and programs.

use std::collections::{BTreeMap, BTreeSet};

use regex::bytes::{Match, Regex};
use serde_json::{Map, Value, json};

/// Higher numbers are none of a router's.
const NUMBERS: u32 = 32;
/// A program that names more of them tries each that there may be.
const TRIED: usize = 8;
/// The size of a partition of which only the number is known.
const SIZE: u64 = 1 << 20;
/// The smallest that `const_buf` makes.
const SMALL: u64 = 128 << 10;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Partitions {
    /// Names and sizes, in the order of the numbers.
    named: Vec<(String, u64)>,
    mentioned: BTreeSet<u32>,
}

/// Finds them in the firmware's files.
pub(super) struct Finder {
    command_line: Regex,
    device: Regex,
    /// The same, as a string of a program; without a number it is the first.
    string: Regex,
}

impl Finder {
    pub(super) fn new() -> Result<Self, regex::Error> {
        Ok(Self {
            command_line: Regex::new(
                r#"mtdparts=[^:\s"'\x00]{1,64}:([0-9A-Za-z@(),._+-]{1,1000})"#,
            )?,
            device: Regex::new(r"/dev/mtd(?:block)?/?([0-9]{1,2})(?:ro)?(?:$|[^0-9A-Za-z])")?,
            string: Regex::new(r"/dev/mtd(?:(?:block)?/?([0-9]{1,2})(?:ro)?)?")?,
        })
    }

    /// Look at a file.
    pub(super) fn look(&self, content: &[u8], is_script: bool, found: &mut Partitions) {
        for line in self.command_line.captures_iter(content) {
            let parts = line
                .get(1)
                .map(|parts| String::from_utf8_lossy(parts.as_bytes()));
            let named: Vec<_> = parts.as_deref().map(partitions).unwrap_or_default();
            if named.len() > found.named.len() {
                found.named = named;
            }
        }
        let names = if is_script {
            &self.device
        } else {
            &self.string
        };
        let is_whole = |path: Match<'_>| {
            let before = path.start().checked_sub(1).and_then(|at| content.get(at));
            is_script || (before, content.get(path.end())) == (Some(&0), Some(&0))
        };
        let numbers = names.captures_iter(content).filter_map(|found| {
            found.get(0).filter(|path| is_whole(*path))?;
            let digits = found.get(1).map_or(&b"0"[..], |digits| digits.as_bytes());
            std::str::from_utf8(digits).ok()?.parse().ok()
        });
        let numbers: BTreeSet<u32> = numbers.filter(|number| *number < NUMBERS).collect();
        if is_script || numbers.len() <= TRIED {
            found.mentioned.extend(numbers);
        }
    }
}

/// The partitions of `mtdparts` (Linux, `drivers/mtd/parsers/cmdlinepart.c`).
fn partitions(text: &str) -> Vec<(String, u64)> {
    let part = |part: &str| {
        let (size, rest) = part.split_once('(')?;
        let name = rest.split_once(')')?.0;
        let size = size.split('@').next().unwrap_or_default();
        Some((name.to_owned(), bytes(size).unwrap_or(SIZE)))
    };
    let parts = text.split(',').map_while(part);
    parts.take(NUMBERS as usize).collect()
}

/// As the kernel's `memparse`; a partition that takes the rest has no number.
fn bytes(text: &str) -> Option<u64> {
    let text = text.to_ascii_lowercase();
    let digits = text.trim_end_matches(['k', 'm', 'g']);
    let unit = match text.get(digits.len()..)? {
        "" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        _ => return None,
    };
    let number = match digits.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok()?,
        None => digits.parse().ok()?,
    };
    number
        .checked_mul(unit)
        .filter(|bytes| (1..=1 << 30).contains(bytes))
}

impl Partitions {
    /// `plugins.mtd.devices` of a configuration.
    pub(super) fn devices(&self) -> Map<String, Value> {
        let mut by_number: BTreeMap<u32, (String, u64)> = (0..).zip(self.named.clone()).collect();
        for number in &self.mentioned {
            let unnamed = || (format!("mtd{number}"), SIZE);
            by_number.entry(*number).or_insert_with(unnamed);
        }
        let mut devices = Map::new();
        for (number, (name, size)) in by_number {
            let name = if devices.contains_key(&name) {
                format!("{name}.{number}")
            } else {
                name
            };
            let mut device = json!({ "id": number, "personality": { "type": "nor" } });
            if size <= SMALL {
                // Erased flash.
                device["model"] = "const_buf".into();
                device["val"] = "".into();
            } else {
                device["model"] = "zeros".into();
                device["size"] = size.into();
            }
            devices.insert(name, device);
        }
        devices
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, bool)]) -> Map<String, Value> {
        let finder = Finder::new().unwrap();
        let mut found = Partitions::default();
        for (content, is_script) in files {
            finder.look(content.as_bytes(), *is_script, &mut found);
        }
        found.devices()
    }

    #[test]
    fn partitions_of_a_command_line_have_their_names_and_sizes() {
        let devices = found(&[
            (
                "\0bootargs=root=/dev/mtdblock2 mtdparts=spi0.0:128k(boot),64k@0x20000(env)ro,\
              2m(kernel),-(rootfs) quiet\0",
                false,
            ),
            ("mtdparts=x:1m(only)", false),
        ]);
        let names: Vec<_> = devices.keys().collect();
        assert_eq!(names, ["boot", "env", "kernel", "rootfs"]);
        assert_eq!(devices["kernel"]["size"], 2 << 20);
        assert_eq!(devices["kernel"]["id"], 2);
        assert_eq!(devices["env"]["model"], "const_buf");
    }

    #[test]
    fn a_script_means_the_devices_that_it_numbers_and_a_program_does_not() {
        let script = "mount -t jffs2 /dev/mtdblock6 /config\ncat /dev/mtd3>/tmp/x # /dev/mtd99\n";
        let program = "\0/dev/mtd1\0/dev/mtd2x\0see /dev/mtd4\0";
        let each: Vec<_> = (10..20).map(|number| format!("/dev/mtd{number}")).collect();
        let each = format!("\0{}\0", each.join("\0"));
        let devices = found(&[(script, true), (program, false), (&each, false)]);
        let numbers: Vec<_> = devices
            .iter()
            .map(|(name, d)| (name.as_str(), &d["id"]))
            .collect();
        let expected = [
            ("mtd1", &json!(1)),
            ("mtd3", &json!(3)),
            ("mtd6", &json!(6)),
        ];
        assert_eq!(numbers, expected);
        assert!(found(&[("/dev/mtdblockX /dev/mtd", true)]).is_empty());
        let first = found(&[("\0/dev/mtd\0/dev/mtdblock\0", false)]);
        assert_eq!(first.keys().collect::<Vec<_>>(), ["mtd0"]);
    }
}
