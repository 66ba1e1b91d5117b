//! What `plugins.interfaces` may say: arguments of Rookery's own, since Penguin's plugin takes any
//! and looks at none. The embedded emulator leaves out what it does not understand, so it is
//! refused before.

use std::net::Ipv4Addr;

use super::schema::{PLUGIN, Problem};
use crate::ground::yaml::value::{Map, Value};
use crate::penguin::device_models::IoctlModel;
use crate::penguin::plugins::FRAMEWORK;
use crate::rules::{interface_address, ioctl_number, is_interface_name};

/// The plugin's name.
pub(super) const PLUGIN_NAME: &str = "interfaces";

/// The arguments that are read.
const ARGUMENTS: [&str; 5] = ["addresses", "dns", "ntp", "uplink", "ioctl"];
/// What stands for every interface, and for every command.
const EVERY: &str = "*";

/// All that is wrong with the plugin's entry; arguments that nobody reads go to `warnings`.
pub(super) fn problems(entry: &Value, warnings: &mut Vec<String>) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (key, value) in entry.as_map().into_iter().flatten() {
        let key = key.text();
        let problem = match key.as_str() {
            "addresses" => addresses(value),
            "ioctl" => ioctls(value),
            // As if it was not there.
            _ if matches!(value, Value::Null | Value::Bool(false)) => None,
            "dns" => dns(value),
            "ntp" => ntp(value),
            "uplink" => uplink(value),
            _ => {
                warnings.extend(unread(&key));
                None
            }
        };
        problems.extend(problem);
    }
    problems
}

fn problem<'a>(path: impl IntoIterator<Item = &'a str>, message: &str) -> Problem {
    let at = ["plugins", PLUGIN_NAME].into_iter().chain(path);
    Problem {
        path: at.map(str::to_owned).collect(),
        message: message.to_owned(),
    }
}

/// Those of a plugin's own entry, and those that Penguin gives itself, are judged elsewhere.
fn unread(key: &str) -> Option<String> {
    let known = FRAMEWORK.contains(&key) || PLUGIN.fields.iter().any(|field| field.name == key);
    (!known).then(|| {
        format!(
            "plugins.{PLUGIN_NAME}.{} is read by nobody; its arguments are {}",
            key.escape_debug(),
            ARGUMENTS.join(", ")
        )
    })
}

fn dns(value: &Value) -> Option<Problem> {
    let is_address = |text: &str| text.parse::<Ipv4Addr>().is_ok();
    if value.as_str().is_some_and(is_address) {
        return None;
    }
    let message = "is not an IPv4 address; write the one that every name has: 192.0.2.1";
    Some(problem(["dns"], message))
}

fn ntp(value: &Value) -> Option<Problem> {
    let is_time = |seconds: i128| u32::try_from(seconds).is_ok();
    match value {
        Value::Bool(true) => None,
        Value::Int(seconds) if is_time(*seconds) => None,
        _ => Some(problem(
            ["ntp"],
            "is not a time; write true for the host's, or the seconds from 1970 to when the run \
             begins, as a number below 4294967296",
        )),
    }
}

fn uplink(value: &Value) -> Option<Problem> {
    let is_name = |name: &str| is_interface_name(name) && name != "lo";
    if value.as_str().is_some_and(is_name) {
        return None;
    }
    Some(problem(
        ["uplink"],
        "is not the name of an interface that can be made; write eth1",
    ))
}

fn addresses(all: &Value) -> Option<Problem> {
    const KEY: &str = "addresses";
    let Some(all) = all.as_map() else {
        return Some(problem(
            [KEY],
            "is a map from names of interfaces to their addresses",
        ));
    };
    for (name, value) in all {
        let name = name.text();
        let one = std::slice::from_ref(value);
        let texts = match value {
            Value::List(items) => items.as_slice(),
            _ => one,
        };
        let is_address = |text: &Value| text.as_str().and_then(interface_address).is_some();
        if !is_interface_name(&name) {
            return Some(problem([KEY, name.as_str()], "is not an interface's name"));
        }
        if !texts.iter().all(is_address) {
            let message = "is not an address of one: write 192.168.1.1/24";
            return Some(problem([KEY, name.as_str()], message));
        }
    }
    None
}

fn ioctls(all: &Value) -> Option<Problem> {
    const KEY: &str = "ioctl";
    let Some(all) = all.as_map() else {
        return Some(problem(
            [KEY],
            "is a map from names of interfaces, or \"*\", to commands",
        ));
    };
    for (name, commands) in all {
        let name = name.text();
        if name != EVERY && !is_interface_name(&name) {
            return Some(problem(
                [KEY, name.as_str()],
                "is not an interface's name, and not \"*\"",
            ));
        }
        let Some(commands) = commands.as_map() else {
            let message = "is a map from numbers of commands, or \"*\", to models";
            return Some(problem([KEY, name.as_str()], message));
        };
        if let Some(wrong) = commanded(&name, commands) {
            return Some(wrong);
        }
    }
    None
}

fn commanded(interface: &str, commands: &Map) -> Option<Problem> {
    for (command, model) in commands {
        let command = command.text();
        let at = ["ioctl", interface, command.as_str()];
        if command != EVERY && ioctl_number(&command).is_none() {
            return Some(problem(
                at,
                "is not a number of 32 bits, such as \"0x8b01\", and not \"*\"",
            ));
        }
        let name = model.get("model").and_then(Value::as_str);
        if name.and_then(IoctlModel::by_name).is_none() {
            let names: Vec<_> = IoctlModel::ALL.iter().map(|model| model.name()).collect();
            let message = format!("has no 'model' that answers an ioctl: {}", names.join(", "));
            return Some(problem(at, &message));
        }
    }
    None
}
