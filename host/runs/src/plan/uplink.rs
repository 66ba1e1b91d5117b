//! What the guest finds beyond its own network: `network.external`, and of `plugins.interfaces` the
//! keys `dns`, `ntp` and `uplink`, which Penguin takes for arguments of that plugin and does
//! nothing with.

use std::net::Ipv4Addr;

use rookery_project::rules;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::plan::Plan;
use crate::plan::notes::Notes;

/// An interface behind which something answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uplink {
    /// Its name.
    pub interface: String,
    /// Its address on the link.
    pub mac: [u8; 6],
    /// Whether it leads out of the guest's network (`network.external`).
    pub way_out: bool,
    /// The address that every name has, where a model answers for the name servers.
    pub dns: Option<Ipv4Addr>,
    /// The time that a model tells, where one answers for the time servers.
    pub ntp: Option<Time>,
}

/// The time that a model of a time server tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Time {
    /// The host's.
    OfHost,
    /// So many seconds after 1970 when the run begins.
    From(u32),
}

/// The address of Penguin's interface, unless `network.external.mac` says another.
const MAC: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];

/// What to tell where the operator does not allow a way out.
const NOT_ALLOWED: &str = "network.external is not honoured: the operator does not let guests out \
                           of their network; the policy allows it under [serve]: way_out = true";

/// The configured uplink, if any; `netdevs` are the interfaces beside it, and lose its name.
pub(super) fn uplink(
    config: &Value,
    netdevs: &mut Vec<String>,
    notes: &mut Notes,
) -> Option<Uplink> {
    let external = config
        .pointer("/network/external")
        .filter(|value| !value.is_null());
    let option = |key: &str| {
        let value = config.pointer("/plugins/interfaces")?.get(key)?;
        (!matches!(value, Value::Null | Value::Bool(false))).then_some(value)
    };
    let dns = option("dns").and_then(|value| {
        let address = value.as_str().and_then(|text| text.parse().ok());
        if address.is_none() {
            notes.say(
                "plugins.interfaces.dns is not understood: it is the IPv4 address that every name \
                 has, for example 10.0.2.2",
            );
        }
        address
    });
    let ntp = option("ntp").and_then(|value| {
        let time = time(value);
        if time.is_none() {
            notes.say(
                "plugins.interfaces.ntp is not understood: it is true, which means the host's \
                 time, or the seconds from 1970 to when the run begins",
            );
        }
        time
    });
    if external.is_none() && dns.is_none() && ntp.is_none() {
        return None;
    }
    let interface = option("uplink").and_then(Value::as_str);
    let interface = interface
        .filter(|name| rules::is_interface_name(name) && *name != "lo")
        .map_or_else(|| first_free(netdevs), str::to_owned);
    netdevs.retain(|name| *name != interface);
    let mac = external.and_then(|external| external.get("mac")?.as_str().and_then(mac));
    Some(Uplink {
        interface,
        mac: mac.unwrap_or(MAC),
        way_out: external.is_some(),
        dns,
        ntp,
    })
}

impl Plan {
    /// Leave out what leads out of the guest's network: the operator does not allow it.
    pub fn close_way_out(&mut self) {
        if let Some(uplink) = self.uplink.as_mut().filter(|uplink| uplink.way_out) {
            uplink.way_out = false;
            self.notes.push(NOT_ALLOWED.into());
            if uplink.dns.is_none() && uplink.ntp.is_none() {
                self.uplink = None;
            }
        }
    }
}

fn first_free(netdevs: &[String]) -> String {
    let mut names = (0..=netdevs.len()).map(|number| format!("eth{number}"));
    let free = names.find(|name| !netdevs.contains(name));
    free.unwrap_or_else(|| "eth0".into())
}

fn time(value: &Value) -> Option<Time> {
    if value.as_bool() == Some(true) {
        return Some(Time::OfHost);
    }
    let seconds = value.as_u64()?;
    u32::try_from(seconds).ok().map(Time::From)
}

fn mac(text: &str) -> Option<[u8; 6]> {
    let bytes: Option<Vec<u8>> = text
        .split(':')
        .map(|byte| u8::from_str_radix(byte, 16).ok())
        .collect();
    bytes?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(config: &Value, netdevs: &[&str]) -> (Option<Uplink>, Vec<String>, Vec<String>) {
        let mut netdevs = netdevs.iter().map(|name| (*name).to_owned()).collect();
        let mut notes = Notes::default();
        let uplink = uplink(config, &mut netdevs, &mut notes);
        (uplink, netdevs, notes.into_vec())
    }

    #[test]
    fn an_uplink_is_there_only_where_something_asks_for_it() {
        for config in [
            json!({}),
            json!({ "network": null }),
            json!({ "network": { "external": null } }),
            json!({ "plugins": { "interfaces": { "uplink": "eth7", "ntp": false } } }),
        ] {
            assert_eq!(of(&config, &[]).0, None, "{config}");
        }
        let (uplink, netdevs, notes) = of(
            &json!({ "network": { "external": { "mac": "52:54:00:aa:bb:cc" } } }),
            &["eth0", "br0"],
        );
        let uplink = uplink.unwrap();
        assert_eq!((uplink.interface.as_str(), uplink.way_out), ("eth1", true));
        assert_eq!(uplink.mac, [0x52, 0x54, 0, 0xAA, 0xBB, 0xCC]);
        assert_eq!((uplink.dns, uplink.ntp), (None, None));
        assert_eq!((netdevs.len(), notes.len()), (2, 0));
    }

    #[test]
    fn models_answer_where_they_are_asked_for_and_lead_nowhere() {
        let models = json!({ "dns": "10.0.2.2", "ntp": 1_700_000_000, "uplink": "eth0" });
        let config = json!({ "plugins": { "interfaces": models } });
        let (uplink, netdevs, notes) = of(&config, &["eth0", "eth1"]);
        let uplink = uplink.unwrap();
        assert_eq!((uplink.interface.as_str(), uplink.way_out), ("eth0", false));
        assert_eq!(uplink.dns, Some(Ipv4Addr::new(10, 0, 2, 2)));
        assert_eq!(uplink.ntp, Some(Time::From(1_700_000_000)));
        assert_eq!(netdevs, ["eth1"], "it is made once");
        assert_eq!(notes, Vec::<String>::new());
        let wrong = json!({ "plugins": { "interfaces": { "dns": true, "ntp": "noon" } } });
        let (uplink, _, notes) = of(&wrong, &[]);
        assert_eq!((uplink, notes.len()), (None, 2), "{notes:?}");
    }
}
