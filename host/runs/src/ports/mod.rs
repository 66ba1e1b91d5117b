//! Which ports of the host lead into a guest.
//!
//! The guest says which ports it listens on, so by default that says little about the host's: a
//! guest's port is forwarded from the same number only where that is [unprivileged](UNPRIVILEGED)
//! and nothing on this machine uses it, else from any free one. Only the operator gives out others,
//! with `--ports`: here is what they asked for, and in `bind` what comes of it.
//!
//! Invariant 13: a guest's number alone claims no port of the host.

mod bind;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use bind::{NoPort, Reserved};

/// The first port that a guest's number alone may claim, whoever Rookery runs as.
pub const UNPRIVILEGED: u16 = 1024;
/// What the operator says of the host's ports: nothing by default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    /// The host's port of a guest's.
    exact: BTreeMap<u16, u16>,
    /// Where all other ports of the host come from; from anywhere if there is none.
    ranges: Vec<(u16, u16)>,
}

impl Ports {
    /// Whether the operator said nothing.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The ports of all ranges, the same number first.
    fn range_ports(&self, same: u16) -> impl Iterator<Item = u16> {
        let ranges = self.ranges.iter().map(|(first, last)| *first..=*last);
        let holds_it = ranges.clone().any(|range| range.contains(&same));
        holds_it
            .then_some(same)
            .into_iter()
            .chain(ranges.flatten().filter(move |port| *port != same))
    }
}

/// `80=8080` gives the guest's port 80 the host's 8080, `8000-8100` is a range for all others;
/// several are separated by commas.
impl FromStr for Ports {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut ports = Self::default();
        for part in text.split(',').map(str::trim) {
            if let Some((guest, host)) = part.split_once('=') {
                let (guest, host) = (port(guest)?, port(host)?);
                if ports.exact.values().any(|known| *known == host) {
                    return Err(format!("the host's port {host} is given twice"));
                }
                if ports.exact.insert(guest, host).is_some() {
                    return Err(format!("the guest's port {guest} is given twice"));
                }
            } else if let Some((first, last)) = part.split_once('-') {
                let range = RangeInclusive::new(port(first)?, port(last)?);
                if range.is_empty() {
                    return Err(format!("the range {part} ends before it begins"));
                }
                ports.ranges.push(range.into_inner());
            } else {
                return Err(format!(
                    "{part:?} is neither a range of the host's ports, such as 8000-8100, nor a \
                     guest's port and a host's port, such as 80=8080"
                ));
            }
        }
        Ok(ports)
    }
}

fn port(text: &str) -> Result<u16, String> {
    text.trim()
        .parse()
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| format!("{text:?} is not a port: give a whole number from 1 to 65535"))
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = self
            .exact
            .iter()
            .map(|(guest, host)| format!("{guest}={host}"));
        let ranges = self
            .ranges
            .iter()
            .map(|(first, last)| format!("{first}-{last}"));
        f.write_str(&exact.chain(ranges).collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(text: &str) -> Ports {
        text.parse().unwrap()
    }

    #[test]
    fn the_option_is_checked_and_written_as_it_is_read() {
        for text in [
            "80=8080",
            "80=8080,443=8443",
            "8000-8100",
            "80=80,9000-9001",
        ] {
            assert_eq!(ports(text).to_string(), text);
        }
        assert_eq!(ports(" 443=8443, 80=8080 ").to_string(), "80=8080,443=8443");
        for wrong in [
            "",
            "80",
            "80=",
            "80=0",
            "0=80",
            "80=65536",
            "9-8",
            "a-b",
            "80=1,80=2",
            "80=1,81=1",
            "80=8080,",
            "-1-5",
        ] {
            assert!(wrong.parse::<Ports>().is_err(), "{wrong}");
        }
    }
}
