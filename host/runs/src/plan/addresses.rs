//! Addresses of network interfaces: `plugins.interfaces.addresses`, a key that Penguin takes for an
//! argument of its plugin `interfaces` and does nothing with.

use std::net::IpAddr;

use rookery_project::rules;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::plan::notes::Notes;

/// An address that an interface has from the start, or gets when the guest makes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The interface's name.
    pub interface: String,
    /// Its address.
    pub ip: IpAddr,
    /// How many bits of it name the network.
    pub prefix: u8,
}

/// The most addresses; a guest may have 64.
const ADDRESSES_MAX: usize = 32;
const KEY: &str = "/plugins/interfaces/addresses";

pub(super) fn addresses(config: &Value, notes: &mut Notes) -> Vec<Address> {
    let mut all = Vec::new();
    let configured = config.pointer(KEY).and_then(Value::as_object);
    for (interface, value) in configured.into_iter().flatten() {
        let one = std::slice::from_ref(value);
        let texts = value.as_array().map_or(one, Vec::as_slice);
        for text in texts {
            let address = text.as_str().and_then(rules::interface_address);
            match address.filter(|_| rules::is_interface_name(interface)) {
                Some((ip, prefix)) if all.len() < ADDRESSES_MAX => all.push(Address {
                    interface: interface.clone(),
                    ip,
                    prefix,
                }),
                Some(_) => notes.about("addresses beyond the 32 that are given", interface),
                None => notes.about(
                    "addresses of interfaces that are not understood (want 192.168.1.1/24)",
                    interface,
                ),
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_interface_has_one_address_or_several_and_what_is_none_is_told() {
        let addresses_of = |value: Value| {
            let config = json!({ "plugins": { "interfaces": { "addresses": value } } });
            let mut notes = Notes::default();
            let all = addresses(&config, &mut notes);
            let all: Vec<_> = all
                .into_iter()
                .map(|of| format!("{} {}/{}", of.interface, of.ip, of.prefix))
                .collect();
            (all, notes.into_vec())
        };
        let (all, notes) = addresses_of(json!({
            "br0": "192.168.1.1/24",
            "eth0": ["10.0.0.2/8", "fd00::1/64"],
        }));
        assert_eq!(
            all,
            ["br0 192.168.1.1/24", "eth0 10.0.0.2/8", "eth0 fd00::1/64"]
        );
        assert_eq!(notes, Vec::<String>::new());
        for value in [
            json!({ "br0": "192.168.1.1/33" }),
            json!({ "br0": "router" }),
            json!({ "br0": 7 }),
            json!({ "no such name!": "10.0.0.1/8" }),
        ] {
            let (all, notes) = addresses_of(value);
            assert!(all.is_empty() && notes.len() == 1, "{all:?} {notes:?}");
        }
        assert!(addresses_of(json!("10.0.0.1/8")).0.is_empty());
    }
}
