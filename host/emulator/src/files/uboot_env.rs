//! The U-Boot environment in flash, for a firmware's own `fw_printenv` and `fw_setenv`
//! (`tools/env/fw_env.c` and `fw_env.config` of U-Boot).

use flate2::Crc;
use rookery_runs::plan::{Flash, Held, Plan, StaticFile};

use crate::files::flash;
use crate::process::view::View;

/// Where `fw_printenv` reads what is where.
const CONFIGURATION: &str = "/etc/fw_env.config";

/// What is read of it.
const TEXT_MAX: u64 = 16 << 10;
/// The most that a copy of the environment may lie at, and take.
const REACH_MAX: u64 = 64 << 20;
/// The erase size where the configuration names none.
const ERASE_SIZE: u64 = 64 << 10;

/// Where one copy of the environment is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    partition: u32,
    offset: u64,
    size: u64,
    erase_size: u64,
}

impl Place {
    fn end(&self) -> u64 {
        self.offset.saturating_add(self.size.max(self.erase_size))
    }
}

/// Put the plan's environment where the firmware looks for it. Where the plan has no such
/// partition, it is made.
pub fn place(plan: &Plan, big_endian: bool, firmware: Option<&View>, partitions: &mut Vec<Flash>) {
    let places = places(&configuration(plan, firmware));
    for place in &places {
        if partitions
            .iter()
            .all(|known| known.number != place.partition)
        {
            let ends = places
                .iter()
                .filter(|other| other.partition == place.partition);
            let size = ends.map(Place::end).max().unwrap_or_default();
            partitions.push(Flash {
                number: place.partition,
                name: "u-boot-env".to_owned(),
                size: size.next_multiple_of(place.erase_size),
                erase_size: u32::try_from(place.erase_size).unwrap_or(u32::MAX),
                write_size: 1,
                oob_size: 0,
                nand: false,
                read_only: false,
                holds: Held::Bytes(Vec::new()),
            });
        }
    }
    partitions.sort_by_key(|partition| partition.number);
    if plan.uboot_env.is_empty() {
        return;
    }
    for (index, place) in places.iter().enumerate() {
        // Of two copies the first is the one that counts.
        let flag = (places.len() > 1).then_some(u8::from(index == 0));
        let Some(image) = image(&plan.uboot_env, place.size, flag, big_endian) else {
            continue;
        };
        let partition = partitions
            .iter_mut()
            .find(|known| known.number == place.partition);
        let (Some(partition), Ok(at)) = (partition, usize::try_from(place.offset)) else {
            continue;
        };
        let mut held = match &partition.holds {
            Held::Bytes(bytes) => bytes.clone(),
            // What a file of the project holds is what the configuration wants there.
            Held::File(_) => continue,
            Held::Zeros => Vec::new(),
        };
        let end = at.saturating_add(image.len());
        if end as u64 > partition.size {
            continue;
        }
        if held.len() < end {
            held.resize(end, 0xFF);
        }
        if let Some(room) = held.get_mut(at..end) {
            room.copy_from_slice(&image);
        }
        partition.holds = Held::Bytes(held);
    }
}

/// The configuration's text: the plan's own file, else the firmware's.
fn configuration(plan: &Plan, firmware: Option<&View>) -> String {
    let own = plan
        .static_files
        .iter()
        .find(|(path, _)| path == CONFIGURATION);
    if let Some((_, StaticFile::Inline { contents, .. })) = own {
        return String::from_utf8_lossy(contents).into_owned();
    }
    let own = firmware.and_then(|view| view.unpacked_text(CONFIGURATION, TEXT_MAX));
    own.unwrap_or_default()
}

/// The copies that a configuration names in flash; there are two at most.
fn places(configuration: &str) -> Vec<Place> {
    let of_line = |line: &str| {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let (_, partition) = flash::of_path(words.next()?)?;
        let mut number = || words.next().map(number);
        let (offset, size) = (number()??, number()??);
        let erase_size = number().flatten().unwrap_or(ERASE_SIZE);
        let sectors = number().flatten().unwrap_or(1).max(1);
        let place = Place {
            partition,
            offset,
            size,
            erase_size: erase_size.checked_mul(sectors)?.max(1),
        };
        (partition < 256 && size >= 8 && place.end() <= REACH_MAX).then_some(place)
    };
    configuration.lines().filter_map(of_line).take(2).collect()
}

/// As `strtoul(3)` of base 0.
fn number(word: &str) -> Option<u64> {
    let word = word.to_ascii_lowercase();
    match word.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => word.parse().ok(),
    }
}

/// A copy: its checksum, its flag where there are two, the variables, and an end. `None` where they
/// need more room.
fn image(
    variables: &[(String, String)],
    size: u64,
    flag: Option<u8>,
    big_endian: bool,
) -> Option<Vec<u8>> {
    let mut data = Vec::new();
    for (name, value) in variables {
        data.extend(format!("{name}={value}").bytes().filter(|byte| *byte != 0));
        data.push(0);
    }
    data.push(0);
    let header = 4 + usize::from(flag.is_some());
    let room = usize::try_from(size).ok()?.checked_sub(header)?;
    if data.len() > room {
        return None;
    }
    data.resize(room, 0);
    let mut sum = Crc::new();
    sum.update(&data);
    let sum = if big_endian {
        sum.sum().to_be_bytes()
    } else {
        sum.sum().to_le_bytes()
    };
    let mut image = sum.to_vec();
    image.extend(flag);
    image.extend(data);
    Some(image)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::devices::tests::plan;

    fn placed(configuration: &str) -> Vec<Flash> {
        let mut plan = plan();
        plan.uboot_env = vec![("ethaddr".into(), "00:11".into()), ("a".into(), "b".into())];
        let contents = configuration.as_bytes().to_vec();
        let file = StaticFile::Inline {
            contents,
            mode: 0o644,
        };
        plan.static_files.push((CONFIGURATION.into(), file));
        let mut partitions = Vec::new();
        place(&plan, true, None, &mut partitions);
        partitions
    }

    #[test]
    fn the_partition_that_fw_printenv_reads_is_made_and_holds_the_environment() {
        let made = placed("# MTD\n/dev/mtd1\t0x100 0x20 0x1000\n");
        let [only] = &made[..] else {
            panic!("{made:?}")
        };
        assert_eq!(
            (only.number, only.size, only.erase_size),
            (1, 0x2000, 0x1000)
        );
        let Held::Bytes(bytes) = &only.holds else {
            panic!("{only:?}")
        };
        assert_eq!(bytes.len(), 0x120);
        assert!(bytes[..0x100].iter().all(|byte| *byte == 0xFF));
        assert_eq!(&bytes[0x104..0x117], b"ethaddr=00:11\0a=b\0\0");
        let mut sum = Crc::new();
        sum.update(&bytes[0x104..]);
        assert_eq!(bytes[0x100..0x104], sum.sum().to_be_bytes());
    }

    #[test]
    fn of_two_copies_the_first_is_the_one_that_counts() {
        let made = placed("/dev/mtd2 0 0x40 0x40\n/dev/mtd2 0x40 0x40 0x40\n");
        let Held::Bytes(bytes) = &made[0].holds else {
            panic!("{made:?}")
        };
        assert_eq!(
            (made.len(), bytes.len(), bytes[4], bytes[0x44]),
            (1, 0x80, 1, 0)
        );
    }

    #[test]
    fn what_is_no_flash_or_out_of_reach_is_left_alone() {
        for line in [
            "/dev/mmcblk0 0 0x4000",
            "/dev/mtd1 0",
            "/dev/mtd1 0xffffffffffffffff 0x40",
            "/dev/mtd1 0 0x40 0xffffffffffffffff 9",
            "/dev/mtd999999999999 0 0x40",
            "/dev/mtd1 -1 0x40",
        ] {
            assert_eq!(placed(line), [], "{line}");
        }
    }
}
