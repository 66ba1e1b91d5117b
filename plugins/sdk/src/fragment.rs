//! What the change tools put into the patch: one place for those who make a change, and for those
//! who try it in a run.

use serde_json::{Map, Value, json};

/// A fragment of a patch.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fragment {
    /// An object with Penguin's top-level keys.
    pub value: Value,
    /// Dotted paths whose value in the patch is dropped first.
    pub replace: Vec<String>,
}

impl From<Value> for Fragment {
    fn from(value: Value) -> Self {
        Self {
            value,
            replace: Vec::new(),
        }
    }
}

/// A boot argument or variable of the guest's.
pub fn env(key: &str, value: &str) -> Fragment {
    json!({ "env": { key: value } }).into()
}

/// A value of the NVRAM.
pub fn nvram(key: &str, value: &str) -> Fragment {
    json!({ "nvram": { key: value } }).into()
}

/// A network interface, with the address that it has from the start.
pub fn netdev(name: &str, address: Option<&str>) -> Fragment {
    let mut value = json!({ "netdevs": [name] });
    if let Some(address) = address {
        value["plugins"] = json!({ "interfaces": { "addresses": { name: address } } });
    }
    value.into()
}

/// A file of the guest's, as `spec` says; it replaces the one before.
pub fn static_file(path: &str, spec: &Map<String, Value>) -> Fragment {
    Fragment {
        value: json!({ "static_files": { path: spec } }),
        replace: vec![format!("static_files.{path}")],
    }
}

/// A file that is modelled. `models` are those of `read` and `write`, and `ioctl` those of
/// commands, by their decimal number or `*`. Each replaces the one before.
pub fn pseudofile(path: &str, mut models: Map<String, Value>, ioctl: Option<Value>) -> Fragment {
    let of = |model: &String| format!("pseudofiles.{path}.{model}");
    let mut replace: Vec<_> = models.keys().map(of).collect();
    if let Some(Value::Object(commands)) = ioctl {
        let of = |command: &String| format!("pseudofiles.{path}.ioctl.{command}");
        replace.extend(commands.keys().map(of));
        models.insert("ioctl".to_owned(), Value::Object(commands));
    }
    Fragment {
        value: json!({ "pseudofiles": { path: models } }),
        replace,
    }
}
