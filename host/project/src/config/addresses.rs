//! Addresses of network interfaces (`plugins.interfaces.addresses`), an argument of Rookery's own:
//! Penguin's plugin takes any and looks at none.

use super::schema::Problem;
use crate::ground::yaml::value::Value;
use crate::rules::{interface_address, is_interface_name};

/// What is wrong with them.
pub(super) fn problem(addresses: &Value) -> Option<Problem> {
    let problem = |name: Option<&str>, message: &str| {
        let at = ["plugins", "interfaces", "addresses"]
            .into_iter()
            .chain(name);
        Some(Problem {
            path: at.map(str::to_owned).collect(),
            message: message.to_owned(),
        })
    };
    let Some(all) = addresses.as_map() else {
        return problem(None, "is a map from names of interfaces to their addresses");
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
            return problem(Some(&name), "is not an interface's name");
        }
        if !texts.iter().all(is_address) {
            return problem(
                Some(&name),
                "is not an address of one: write 192.168.1.1/24",
            );
        }
    }
    None
}
