//! Devices that many machines have, where the configuration does not say what they do.

use rookery_project::device_kinds::DeviceKind;
use rookery_project::ioctl::{self, Direction};
use rookery_project::penguin::architectures::Architecture;
use serde_json::Map;

use crate::plan::notes::Notes;
use crate::plan::{ChipCommand, Ioctl, IoctlCommand, Plan, Pseudofile, models};

impl Plan {
    /// Give the usual devices a model of what they are while nobody touches them: of `nodes`, the
    /// paths of the firmware's device nodes, those whose kind is known. A model of the
    /// configuration stays, and answers commands that it does not name as its kind does.
    pub fn add_usual_devices<'a>(&mut self, nodes: impl Iterator<Item = &'a str>) {
        let Some(arch) = Architecture::by_name(&self.arch) else {
            return;
        };
        for (path, model) in &mut self.pseudofiles {
            if let Some(kind) = DeviceKind::of_path(path) {
                add_answers(model, kind, arch);
            }
        }
        for path in nodes {
            if !self.pseudofiles.iter().any(|(known, _)| known == path)
                && let Some(model) = usual(path, arch)
            {
                self.pseudofiles.push((path.to_owned(), model));
            }
        }
    }
}

/// The model of a path.
fn usual(path: &str, arch: &Architecture) -> Option<Pseudofile> {
    let kind = DeviceKind::of_path(path)?;
    if kind == DeviceKind::Clock {
        return Some(clock(arch));
    }
    let section = Map::from_iter([(path.to_owned(), kind.at_rest(Some(arch))?)]);
    let made = models::pseudofiles(&section, "".as_ref(), &mut Notes::default());
    let (_, mut model) = made.ok()?.pop()?;
    add_answers(&mut model, kind, arch);
    Some(model)
}

/// Add what a kind of device answers to commands that the model does not name, where no
/// configuration can say it.
fn add_answers(model: &mut Pseudofile, kind: DeviceKind, arch: &Architecture) {
    use Direction::{None, Read, ReadWrite, Write};
    let chip = Ioctl::FlashChip;
    let answers = match kind {
        // TP-Link's driver (`ar7240_flash_ioctl.c` and its kin, for Atheros and Broadcom).
        DeviceKind::FlashChip => vec![
            (Read, 0xB3, 1, 1, chip(ChipCommand::Read)),
            (Write, 0xB3, 2, 1, chip(ChipCommand::Write)),
            (None, 0xB3, 3, 0, chip(ChipCommand::Erase)),
        ],
        // Broadcom's `GPIO_IOC_IN` (`linux_gpio.h`): all pins are high, as those of buttons are
        // that nobody holds down.
        DeviceKind::Gpio => {
            let high = Ioctl::WriteData(vec![0xFF; 8], 0);
            vec![(ReadWrite, b'G', 4, 8, high)]
        }
        _ => Vec::new(),
    };
    for (direction, of, number, size, answer) in answers {
        let number = ioctl::number(arch.has_own_ioctls(), direction, of, number, size);
        let command = IoctlCommand::Number(number);
        if !model.ioctl.iter().any(|(known, _)| *known == command) {
            model.ioctl.push((command, answer));
        }
    }
}

/// `linux/rtc.h`: the time, which can be set, and no alarms.
fn clock(arch: &Architecture) -> Pseudofile {
    const TIME: u32 = 36;
    let number = |direction, number| {
        let own = arch.has_own_ioctls();
        IoctlCommand::Number(ioctl::number(own, direction, b'p', number, TIME))
    };
    Pseudofile {
        ioctl: vec![
            (number(Direction::Read, 9), Ioctl::Time),
            (number(Direction::Write, 10), Ioctl::Return(0)),
        ],
        ..Pseudofile::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn added(config: &Value, nodes: &[&str]) -> Vec<(String, Pseudofile)> {
        let project = tempfile::tempdir().unwrap();
        std::fs::create_dir(project.path().join("base")).unwrap();
        std::fs::write(project.path().join("base/fs.tar.gz"), "").unwrap();
        let cache = project.path().join("cache");
        let mut plan = Plan::from_config(config, project.path(), &cache, None).unwrap();
        plan.add_usual_devices(nodes.iter().copied());
        plan.pseudofiles
    }

    #[test]
    fn a_model_of_the_configuration_stays_and_only_known_kinds_are_added() {
        let config = json!({
            "core": { "arch": "armel" },
            "env": { "igloo_init": "/sbin/init" },
            "pseudofiles": {
                "/dev/watchdog": { "read": { "model": "one" } },
                "/dev/flash_chrdev": {
                    "ioctl": { "2147595009": { "model": "return_const", "val": 7 } },
                },
            },
        });
        let nodes = [
            "/dev/watchdog",
            "/dev/rtc",
            "/dev/sc_led",
            "/dev/mtd0",
            "/dev/x",
            "/dev/mem",
        ];
        let added = added(&config, &nodes);
        let of = |path: &str| {
            let mut all = added.iter();
            all.find(|(known, _)| known == path)
                .map(|(_, model)| &model.ioctl)
        };
        assert_eq!(added.len(), 4, "{added:?}");
        assert!(of("/dev/watchdog").unwrap().is_empty());
        assert!(of("/dev/sc_led").is_some());
        let time = (IoctlCommand::Number(0x8024_7009), Ioctl::Time);
        assert!(of("/dev/rtc").unwrap().contains(&time));
        // What the configuration says of a command of the chip stays.
        let chip = of("/dev/flash_chrdev").unwrap();
        let number = |at: usize| {
            chip.iter().filter(move |(known, _)| {
                *known == IoctlCommand::Number([0x8001_B301, 0x4001_B302, 0xB303][at])
            })
        };
        assert_eq!(number(0).count(), 1, "{chip:?}");
        assert_eq!(number(0).next().unwrap().1, Ioctl::Return(7));
        assert_eq!(
            number(1).next().unwrap().1,
            Ioctl::FlashChip(ChipCommand::Write)
        );
        assert_eq!(number(2).count(), 1);
    }
}
