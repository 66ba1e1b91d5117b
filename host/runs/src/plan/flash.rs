//! Flash partitions: Penguin's `plugins.mtd.devices` (`pyplugins/hyperfile/mtd.py`).

use std::path::{Path, PathBuf};

use rookery_project::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::plan::notes::Notes;
use crate::plan::paths::in_project;

/// A partition of flash memory, as `/dev/mtdN` and `/dev/mtdblockN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flash {
    /// Its number, `N`.
    pub number: u32,
    /// Its name in `/proc/mtd`.
    pub name: String,
    /// In bytes.
    pub size: u64,
    /// The bytes that are erased together.
    pub erase_size: u32,
    /// The bytes that are written together.
    pub write_size: u32,
    /// Spare bytes of each page.
    pub oob_size: u32,
    /// NAND, else NOR.
    pub nand: bool,
    /// Nothing can be written to it.
    pub read_only: bool,
    /// What it holds at first.
    pub holds: Held,
}

impl Flash {
    /// `MTD_WRITEABLE`, and of NOR `MTD_BIT_WRITEABLE` (`mtd/mtd-abi.h`).
    pub fn flags(&self) -> u32 {
        match (self.read_only, self.nand) {
            (true, _) => 0,
            (false, true) => 0x400,
            (false, false) => 0xC00,
        }
    }
}

/// What a partition holds at first. What lies beyond is erased: `0xFF`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Held {
    /// Zeros everywhere (`zeros`).
    Zeros,
    /// These bytes (`const_buf`).
    Bytes(Vec<u8>),
    /// What a file of the project holds (`backing_file`).
    File(PathBuf),
}

/// The most partitions, and the most bytes of one that holds anything.
const PARTITIONS_MAX: usize = 64;
const HELD_MAX: u64 = 64 << 20;
/// Partitions of zeros cost no memory before they are written to.
const SIZE_MAX: u64 = 1 << 30;
/// The least size of a `const_buf`.
const BYTES_MIN: u64 = 128 << 10;
/// Longer names are cut (`portal_mtd_create_req.label`).
const NAME_MAX: usize = 63;

/// Those of `plugins.mtd.devices`. A partition without a number gets the first that is free, in the
/// order of the names.
pub(crate) fn partitions(
    config: &Value,
    project_dir: &Path,
    notes: &mut Notes,
) -> Result<Vec<Flash>> {
    let devices = config.pointer("/plugins/mtd/devices");
    let Some(devices) = devices.and_then(Value::as_object) else {
        return Ok(Vec::new());
    };
    let mut named: Vec<(&String, &Value)> = devices.iter().collect();
    named.sort_by_key(|(name, _)| *name);
    let number = |device: &Value| device.get("id")?.as_u64().and_then(|id| id.try_into().ok());
    let taken: Vec<u32> = named
        .iter()
        .filter_map(|(_, device)| number(device))
        .collect();
    let mut free = (0..).filter(|number| !taken.contains(number));
    let mut partitions = Vec::new();
    for (name, device) in named {
        let Some(device) = device.as_object() else {
            return Err(invalid(name, "it must be a table"));
        };
        let number = device.get("id").map_or_else(|| free.next(), number_of);
        let number =
            number.ok_or_else(|| invalid(name, "its id must be a number from 0 to 255"))?;
        if partitions.len() == PARTITIONS_MAX {
            notes.about("partitions beyond the 64th are left out", name.as_str());
            continue;
        }
        if partitions
            .iter()
            .any(|known: &Flash| known.number == number)
        {
            return Err(invalid(name, &format!("its id {number} is another's, too")));
        }
        let reader = Reader {
            name,
            device,
            project_dir,
        };
        partitions.push(reader.partition(number, notes)?);
    }
    partitions.sort_by_key(|partition| partition.number);
    Ok(partitions)
}

fn number_of(id: &Value) -> Option<u32> {
    id.as_u64().filter(|id| *id < 256)?.try_into().ok()
}

fn invalid(name: &str, what: &str) -> Error {
    Error::InvalidArgument(format!("plugins.mtd.devices.{name}: {what}"))
}

struct Reader<'a> {
    name: &'a str,
    device: &'a Map<String, Value>,
    project_dir: &'a Path,
}

impl Reader<'_> {
    fn partition(&self, number: u32, notes: &mut Notes) -> Result<Flash> {
        let personality = self.device.get("personality").and_then(Value::as_object);
        let geometry = |key: &str, default: u32| match personality.and_then(|of| of.get(key)) {
            Some(value) => self.bytes(key, value).and_then(|size| {
                u32::try_from(size).map_err(|_| invalid(self.name, &format!("{key} is too large")))
            }),
            None => Ok(default),
        };
        let kind = personality.and_then(|of| of.get("type")?.as_str());
        let nand = match kind.unwrap_or("nand") {
            "nand" => true,
            "nor" => false,
            _ => {
                return Err(invalid(
                    self.name,
                    "its personality.type must be nand or nor",
                ));
            }
        };
        let (erase, write, oob) = if nand {
            (128 << 10, 2048, 64)
        } else {
            (64 << 10, 1, 0)
        };
        let (size, holds) = self.contents(nand, notes)?;
        let mut name = self.name.to_owned();
        name.truncate(name.floor_char_boundary(NAME_MAX));
        Ok(Flash {
            number,
            name,
            size,
            erase_size: geometry("erase_size", erase)?.max(1),
            write_size: geometry("write_size", write)?.max(1),
            oob_size: geometry("oob_size", oob)?,
            nand,
            read_only: self.device.get("mode").and_then(Value::as_str) == Some("ro"),
            holds,
        })
    }

    fn contents(&self, nand: bool, notes: &mut Notes) -> Result<(u64, Held)> {
        let text = |key: &str| self.device.get(key).and_then(Value::as_str);
        match text("model") {
            Some("zeros") => {
                let usual = if nand { 256 << 20 } else { 16 << 20 };
                let size = self.device.get("size").map(|size| self.bytes("size", size));
                Ok((size.unwrap_or(Ok(usual))?.clamp(1, SIZE_MAX), Held::Zeros))
            }
            Some("const_buf") => {
                let bytes = text("val").unwrap_or_default().as_bytes().to_vec();
                Ok((BYTES_MIN.max(bytes.len() as u64), Held::Bytes(bytes)))
            }
            Some("backing_file") => {
                let name = text("backing_file").unwrap_or_default();
                let path = in_project(self.project_dir, name).filter(|path| path.is_file());
                let path = path.ok_or_else(|| {
                    let what = format!("its backing_file {name:?} is not a file of the project");
                    invalid(self.name, &what)
                })?;
                let size = path.metadata().map_or(0, |metadata| metadata.len());
                if size > HELD_MAX {
                    notes.about("partitions are cut at 64 MiB", self.name);
                }
                Ok((size.clamp(1, HELD_MAX), Held::File(path)))
            }
            _ => Err(invalid(
                self.name,
                "its model must be zeros, const_buf or backing_file",
            )),
        }
    }

    /// A number of bytes, or one with the unit `k`, `m` or `g`.
    fn bytes(&self, key: &str, value: &Value) -> Result<u64> {
        let of_text = |text: &str| {
            let digits = text.trim_end_matches(|unit: char| unit.is_ascii_alphabetic());
            let unit: u64 = match text.get(digits.len()..)?.to_ascii_lowercase().as_str() {
                "" => 1,
                "k" | "kb" | "kib" => 1 << 10,
                "m" | "mb" | "mib" => 1 << 20,
                "g" | "gb" | "gib" => 1 << 30,
                _ => return None,
            };
            digits.trim().parse::<u64>().ok()?.checked_mul(unit)
        };
        let bytes = value.as_u64().or_else(|| value.as_str().and_then(of_text));
        bytes.ok_or_else(|| {
            let what = format!("{key} must be a number of bytes such as 65536, \"64k\" or \"16m\"");
            invalid(self.name, &what)
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(devices: &Value) -> Result<Vec<Flash>> {
        let project = tempfile::tempdir().unwrap();
        std::fs::write(project.path().join("art.bin"), [7; 100]).unwrap();
        let config = json!({ "plugins": { "mtd": { "devices": devices } } });
        partitions(&config, project.path(), &mut Notes::default())
    }

    #[test]
    fn a_partition_has_penguins_geometry() {
        let made = of(&json!({
            "rootfs": { "model": "zeros" },
            "boot": { "model": "const_buf", "val": "x", "personality": { "type": "nor" } },
            "art": { "id": 1, "model": "backing_file", "backing_file": "art.bin", "mode": "ro" },
            "env": {
                "model": "zeros",
                "size": "64k",
                "personality": { "type": "nor", "erase_size": "4K" }
            },
        }));
        let made = made.unwrap();
        let told: Vec<_> = made
            .iter()
            .map(|flash| {
                (
                    flash.number,
                    flash.name.as_str(),
                    flash.size,
                    flash.erase_size,
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                (0, "boot", 128 << 10, 64 << 10),
                (1, "art", 100, 128 << 10),
                (2, "env", 64 << 10, 4 << 10),
                (3, "rootfs", 256 << 20, 128 << 10),
            ]
        );
        assert!(made[1].read_only && !made[0].nand && made[3].nand);
    }

    #[test]
    fn what_cannot_be_made_is_refused_with_the_reason() {
        for (device, reason) in [
            (json!({ "model": "sand" }), "its model must be"),
            (
                json!({ "model": "zeros", "size": "lots" }),
                "size must be a number of bytes",
            ),
            (json!({ "model": "zeros", "id": -1 }), "its id must be"),
            (
                json!({ "model": "zeros", "personality": { "type": "x" } }),
                "nand or nor",
            ),
            (
                json!({ "model": "backing_file", "backing_file": "/etc/passwd" }),
                "is not a file of the project",
            ),
            (json!("zeros"), "must be a table"),
        ] {
            let refused = of(&json!({ "a": device })).unwrap_err().to_string();
            assert!(refused.contains(reason), "{refused}");
        }
        let twice =
            json!({ "a": { "id": 1, "model": "zeros" }, "b": { "id": 1, "model": "zeros" }});
        assert!(of(&twice).unwrap_err().to_string().contains("another's"));
    }
}
