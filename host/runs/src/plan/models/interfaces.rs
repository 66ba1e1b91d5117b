//! Models of what drivers of network interfaces are asked: `plugins.interfaces.ioctl`, a key that
//! Penguin takes for an argument of its plugin `interfaces` and does nothing with.

use std::path::Path;

use rookery_project::rules;
use serde_json::Value;

use super::Reader;
use crate::plan::notes::Notes;
use crate::plan::{InterfaceIoctl, IoctlCommand};

const KEY: &str = "/plugins/interfaces/ioctl";
/// The name that stands for every interface.
const EVERY: &str = "*";

pub(crate) fn interface_ioctls(
    config: &Value,
    project_dir: &Path,
    notes: &mut Notes,
) -> Vec<InterfaceIoctl> {
    const WRONG: &str = "plugins.interfaces.ioctl has what is not a model of an ioctl (want an \
                         interface or \"*\", a command, and for example {model: return_const, \
                         val: 0})";
    let mut all = Vec::new();
    let configured = config.pointer(KEY).and_then(Value::as_object);
    for (interface, commands) in configured.into_iter().flatten() {
        let is_name = interface == EVERY || rules::is_interface_name(interface);
        let reader = Reader {
            path: interface,
            project_dir,
        };
        let commands = commands.as_object().filter(|_| is_name);
        if commands.is_none() {
            notes.about(WRONG, interface.as_str());
        }
        for (command, model) in commands.into_iter().flatten() {
            let read = reader.commanded(command).and_then(|number| {
                let answer = reader.answer(model, notes)?;
                Ok((number, answer))
            });
            let Ok((command, answer)) = read else {
                notes.about(WRONG, format!("{interface}.{command}"));
                continue;
            };
            all.push(InterfaceIoctl {
                interface: (interface != EVERY).then(|| interface.clone()),
                command,
                answer,
                by_pointer: model.get("pointer").and_then(Value::as_bool) == Some(true),
            });
        }
    }
    all
}

impl InterfaceIoctl {
    /// The model among `all` for a command that is about an interface: what names both counts
    /// before what names one.
    pub fn of<'a>(all: &'a [Self], interface: &str, command: u32) -> Option<&'a Self> {
        let rank = |model: &Self| {
            let named = match &model.interface {
                Some(name) if name == interface => 2,
                Some(_) => return None,
                None => 0,
            };
            match model.command {
                IoctlCommand::Number(number) if number == command => Some(named + 1),
                IoctlCommand::Number(_) => None,
                IoctlCommand::Any => Some(named),
            }
        };
        let ranked = all.iter().filter_map(|model| Some((rank(model)?, model)));
        ranked.max_by_key(|(rank, _)| *rank).map(|(_, model)| model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Ioctl;
    use serde_json::json;

    fn of(value: &Value) -> (Vec<InterfaceIoctl>, Vec<String>) {
        let config = json!({ "plugins": { "interfaces": { "ioctl": value } } });
        let mut notes = Notes::default();
        let all = interface_ioctls(&config, Path::new("/"), &mut notes);
        (all, notes.into_vec())
    }

    #[test]
    fn what_names_the_interface_and_the_command_counts_first() {
        let (all, notes) = of(&json!({
            "*": { "*": { "model": "return_const", "val": -95 } },
            "ra0": {
                "*": { "model": "zero" },
                "35825": { "model": "write_data", "data": "x", "pointer": true },
            },
        }));
        assert_eq!(notes, Vec::<String>::new());
        let answer = |interface: &str, command: u32| {
            InterfaceIoctl::of(&all, interface, command).map(|model| &model.answer)
        };
        assert_eq!(answer("eth0", 0x8BF1), Some(&Ioctl::Return(-95)));
        assert_eq!(answer("ra0", 0x89F0), Some(&Ioctl::Return(0)));
        let data = Ioctl::WriteData(b"x".to_vec(), 0);
        assert_eq!(answer("ra0", 0x8BF1), Some(&data));
        assert!(InterfaceIoctl::of(&all, "ra0", 0x8BF1).unwrap().by_pointer);
        assert!(InterfaceIoctl::of(&[], "ra0", 1).is_none());
    }

    #[test]
    fn what_is_not_a_model_is_told() {
        for value in [
            json!({ "no such name!": { "1": { "model": "zero" } } }),
            json!({ "ra0": { "many": { "model": "zero" } } }),
            json!({ "ra0": { "1": { "model": "none" } } }),
            json!({ "ra0": 7 }),
        ] {
            let (all, notes) = of(&value);
            assert!(all.is_empty() && notes.len() == 1, "{all:?} {notes:?}");
        }
    }
}
