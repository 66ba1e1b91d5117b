//! Where the host reaches a guest's port: `vpn_bridges.csv`, or `endpoints.txt` where that is all
//! there is.

use rookery_plugin::{CsvOptions, Result, RunResults, optional};

use crate::row::cell;

/// Bytes read of the small text files.
const TEXT: u32 = 64 * 1024;

/// A host port that leads to a guest port.
pub struct Bridge {
    proto: String,
    ip: String,
    guest_port: u16,
    pub host: String,
    pub port: u16,
}

/// All of them.
pub struct Bridges(Vec<Bridge>);

impl Bridges {
    pub fn read(run: &impl RunResults) -> Result<Self> {
        if let Some(table) = optional(run.read_csv("vpn_bridges.csv", &CsvOptions::default()))? {
            let host = optional(run.read_text("guest_ip", 0, TEXT))?
                .map(|text| text.text.trim().to_owned())
                .filter(|host| !host.is_empty());
            let host = host.unwrap_or_else(|| "127.0.0.1".to_owned());
            let bridge = |row| {
                Some(Bridge {
                    proto: cell(row, "domain").to_owned(),
                    ip: cell(row, "guest_ip").to_owned(),
                    guest_port: cell(row, "guest_port").parse().ok()?,
                    host: host.clone(),
                    port: cell(row, "host_port").parse().ok()?,
                })
            };
            let bridges: Vec<Bridge> = table.rows.iter().filter_map(bridge).collect();
            if !bridges.is_empty() {
                return Ok(Self(bridges));
            }
        }
        let text = optional(run.read_text("endpoints.txt", 0, TEXT))?
            .unwrap_or_default()
            .text;
        Ok(Self(text.lines().filter_map(endpoint).collect()))
    }

    /// The last one: a service that went and came back may be reached elsewhere since.
    pub fn find(&self, proto: &str, ip: &str, port: u16) -> Option<&Bridge> {
        self.0
            .iter()
            .rev()
            .find(|bridge| bridge.proto == proto && bridge.ip == ip && bridge.guest_port == port)
    }
}

/// `tcp 192.168.0.2:1023 -> [::]:23 (inetd)`
fn endpoint(line: &str) -> Option<Bridge> {
    let (proto, rest) = line.split_once(' ')?;
    let (host, rest) = rest.split_once(" -> ")?;
    let (guest, _) = rest.split_once(" (")?;
    let (host, port) = host.rsplit_once(':')?;
    let (ip, guest_port) = guest.rsplit_once(':')?;
    Some(Bridge {
        proto: proto.to_owned(),
        ip: ip.to_owned(),
        guest_port: guest_port.parse().ok()?,
        host: host.to_owned(),
        port: port.parse().ok()?,
    })
}
