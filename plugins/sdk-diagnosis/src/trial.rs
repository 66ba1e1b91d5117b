//! What of a blocker's fix may be tried without asking anybody: changes that give the guest what it
//! lacks. None that hides a failure is among them, none that reaches the host or the network
//! outside, and none that puts something in the place of a program.

use rookery_plugin::Next;
use rookery_plugin::fragment::{self, Fragment};
use serde_json::{Map, Value};

use crate::blockers::Blocker;

/// Why a fix is not tried.
pub type Untried = &'static str;

/// Types of `static_files` that add what is missing.
const ADDED: [&str; 3] = ["dir", "symlink", "inline_file"];

impl Blocker {
    /// The change that its calls make, where it may be tried.
    pub fn trial(&self) -> Result<Fragment, Untried> {
        match self.calls() {
            [] => Err("nobody knows a change that mends it"),
            [call] => change(call),
            _ => Err("it takes several changes"),
        }
    }
}

fn change(call: &Next) -> Result<Fragment, Untried> {
    let arguments = &call.arguments;
    let text = |name: &str| arguments[name].as_str();
    let object = |name: &str| arguments[name].as_object().cloned();
    let change = match call.tool.as_str() {
        "run" => return Err("it only needs more time"),
        "set_nvram" => text("key")
            .zip(text("value"))
            .map(|(key, value)| fragment::nvram(key, value)),
        "add_netdev" => text("name").map(|name| fragment::netdev(name, text("address"))),
        "add_static_file" => match (text("path"), object("spec")) {
            (Some(path), Some(spec)) if adds(&spec) => Some(fragment::static_file(path, &spec)),
            _ => return Err("what takes the place of a program hides why it fails"),
        },
        "add_pseudofile" => text("path").map(|path| {
            let mut models = arguments.as_object().cloned().unwrap_or_default();
            models.retain(|name, _| matches!(name.as_str(), "read" | "write"));
            let commands = object("ioctl").map(|commands| Value::Object(decimal(commands)));
            fragment::pseudofile(path, models, commands)
        }),
        _ => None,
    };
    change.ok_or("a change of this kind is made by hand")
}

fn adds(spec: &Map<String, Value>) -> bool {
    spec.get("type")
        .and_then(Value::as_str)
        .is_some_and(|kind| ADDED.contains(&kind))
}

/// Commands by their decimal number, as the configuration has them.
fn decimal(commands: Map<String, Value>) -> Map<String, Value> {
    let number = |command: String| {
        let digits = command.strip_prefix("0x").unwrap_or_default();
        u32::from_str_radix(digits, 16).map_or(command, |number| number.to_string())
    };
    let commands = commands.into_iter();
    commands
        .map(|(command, model)| (number(command), model))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(tool: &str, arguments: Value) -> Result<Fragment, Untried> {
        change(&Next::call(tool, arguments))
    }

    #[test]
    fn what_a_guest_lacks_may_be_tried() {
        let dir = json!({ "type": "dir", "mode": "0755" });
        let call = json!({ "project_dir": "p", "path": "/var/run", "spec": dir });
        let tried = of("add_static_file", call).unwrap();
        assert_eq!(tried.value, json!({ "static_files": { "/var/run": dir } }));
        assert_eq!(tried.replace, ["static_files./var/run"]);
        let call = json!({ "project_dir": "p", "name": "br0", "address": "10.0.0.1/8" });
        let tried = of("add_netdev", call).unwrap();
        assert_eq!(
            tried.value["plugins"]["interfaces"]["addresses"]["br0"],
            "10.0.0.1/8"
        );
        let call = json!({ "project_dir": "p", "key": "rev", "value": "7" });
        let tried = of("set_nvram", call).unwrap();
        assert_eq!(tried.value, json!({ "nvram": { "rev": "7" } }));
        let zero = json!({ "model": "return_const", "val": 0 });
        let call = json!({ "project_dir": "p", "path": "/dev/x", "read": { "model": "empty" },
                           "ioctl": { "0x8915": zero } });
        let tried = of("add_pseudofile", call).unwrap();
        let file = json!({ "read": { "model": "empty" }, "ioctl": { "35093": zero } });
        assert_eq!(tried.value, json!({ "pseudofiles": { "/dev/x": file } }));
        assert_eq!(
            tried.replace,
            ["pseudofiles./dev/x.read", "pseudofiles./dev/x.ioctl.35093"]
        );
    }

    #[test]
    fn what_hides_a_failure_or_reaches_further_is_not_tried() {
        let file = |spec: Value| json!({ "project_dir": "p", "path": "/sbin/x", "spec": spec });
        for (tool, arguments) in [
            (
                "add_static_file",
                file(json!({ "type": "shim", "target": "/igloo/utils/exit0.sh" })),
            ),
            (
                "add_static_file",
                file(json!({ "type": "host_file", "host_path": "/etc/shadow" })),
            ),
            ("add_static_file", file(json!({ "type": "delete" }))),
            ("add_static_file", file(json!("dir"))),
            ("block_signal", json!({ "project_dir": "p", "signum": 9 })),
            (
                "set_config",
                json!({ "project_dir": "p", "path": "network.external", "value": true }),
            ),
            ("run", json!({ "project_dir": "p", "timeout": 180 })),
        ] {
            assert!(of(tool, arguments.clone()).is_err(), "{tool} {arguments}");
        }
    }
}
