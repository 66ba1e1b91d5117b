//! Devices that many machines have, where the configuration does not say what they do.

use rookery_project::device_kinds::DeviceKind;
use rookery_project::ioctl::{self, Direction};
use rookery_project::penguin::architectures::Architecture;
use serde_json::Map;

use crate::plan::notes::Notes;
use crate::plan::{Ioctl, IoctlCommand, Plan, Pseudofile, models};

impl Plan {
    /// Give the usual devices a model of what they are while nobody touches them: of `nodes`, the
    /// paths of the firmware's device nodes, those whose kind is known. A model of the
    /// configuration stays.
    pub fn add_usual_devices<'a>(&mut self, nodes: impl Iterator<Item = &'a str>) {
        let Some(arch) = Architecture::by_name(&self.arch) else {
            return;
        };
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
    made.ok()?.pop().map(|(_, model)| model)
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
            "pseudofiles": { "/dev/watchdog": { "read": { "model": "one" } } },
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
        let paths: Vec<_> = added.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, ["/dev/watchdog", "/dev/rtc", "/dev/sc_led"]);
        assert!(added[0].1.ioctl.is_empty());
        let time = (IoctlCommand::Number(0x8024_7009), Ioctl::Time);
        assert!(added[1].1.ioctl.contains(&time));
    }
}
