//! `vpn_bridges.csv` and `endpoints.txt`: the guest's ports that can be reached from the host.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::collect::collector::Collector;
use crate::collect::netbinds::address;
use crate::event::{Event, What};
use crate::file::{Log, field, write_atomic};

const HEADER: &str = "procname,ipvn,domain,guest_ip,guest_port,host_port\n";
const LIMIT: u64 = 4 << 20;
const MAX_ENDPOINTS: usize = 5000;
/// Where the host's ports listen.
pub(crate) const HOST: &str = "127.0.0.1";

pub(super) struct Bridges {
    rows: Log,
    /// The last row of each of the guest's ports.
    last: HashMap<(&'static str, IpAddr, u16), String>,
    written: usize,
    endpoints_path: PathBuf,
    /// What is bridged now, in the order in which it came to be.
    endpoints: Vec<((&'static str, IpAddr, u16), String)>,
    /// Who listens, for forwards that do not say.
    listeners: HashMap<(&'static str, IpAddr, u16), String>,
    dirty: bool,
    dropped: u64,
}

impl Bridges {
    pub(super) fn new(directory: &Path) -> Self {
        Self {
            rows: Log::new(directory, "vpn_bridges.csv", Some(HEADER), LIMIT),
            last: HashMap::new(),
            written: 0,
            endpoints_path: directory.join("endpoints.txt"),
            endpoints: Vec::new(),
            listeners: HashMap::new(),
            dirty: true,
            dropped: 0,
        }
    }
}

impl Collector for Bridges {
    fn event(&mut self, event: &Event) {
        match &event.what {
            What::Listen { proto, ip, port } if self.listeners.len() < MAX_ENDPOINTS => {
                self.listeners
                    .insert((proto, *ip, *port), event.process.name.clone());
            }
            What::Forward {
                proto,
                ip,
                port,
                host_port,
            } => {
                if self.endpoints.len() >= MAX_ENDPOINTS || self.written >= MAX_ENDPOINTS {
                    self.dropped += 1;
                    return;
                }
                let listener = self
                    .listeners
                    .get(&(*proto, *ip, *port))
                    .unwrap_or(&event.process.name);
                let ipvn = if ip.is_ipv4() { "ipv4" } else { "ipv6" };
                let guest = address(*ip);
                let row = format!(
                    "{},{ipvn},{proto},{guest},{port},{host_port}\n",
                    field(listener)
                );
                // A service that starts again mostly gets the same bridge; where it does not, the
                // last row counts.
                let at = (*proto, *ip, *port);
                if self.last.get(&at) != Some(&row) {
                    self.rows.push(row.as_bytes());
                    self.last.insert(at, row);
                    self.written += 1;
                }
                let printable: String = listener
                    .chars()
                    .map(|character| {
                        if matches!(character, ' '..='~') {
                            character
                        } else {
                            '?'
                        }
                    })
                    .collect();
                let line = format!("{proto} {HOST}:{host_port} -> {guest}:{port} ({printable})\n");
                self.endpoints.push(((proto, *ip, *port), line));
                self.dirty = true;
            }
            What::Unlisten { proto, ip, port } => {
                let gone = (*proto, *ip, *port);
                self.listeners.remove(&gone);
                self.endpoints.retain(|(at, _)| *at != gone);
                self.dirty = true;
            }
            _ => {}
        }
    }

    fn flush(&mut self, _now: Duration) -> io::Result<()> {
        self.rows.flush()?;
        if self.dirty {
            let lines: String = self
                .endpoints
                .iter()
                .map(|(_, line)| line.as_str())
                .collect();
            write_atomic(&self.endpoints_path, lines.as_bytes())?;
            self.dirty = false;
        }
        Ok(())
    }

    fn dropped(&self) -> (&'static str, u64) {
        ("vpn_bridges.csv", self.dropped + self.rows.dropped())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Process;

    #[test]
    fn a_forward_is_a_row_and_a_line() {
        let directory = tempfile::tempdir().unwrap();
        let mut bridges = Bridges::new(directory.path());
        let process = Process {
            name: "httpd\u{1b}[2J".into(),
            ..Process::default()
        };
        let ip = "::".parse().unwrap();
        bridges.event(&Event {
            at: Duration::ZERO,
            process,
            what: What::Listen {
                proto: "tcp",
                ip,
                port: 80,
            },
        });
        let what = What::Forward {
            proto: "tcp",
            ip,
            port: 80,
            host_port: 40080,
        };
        bridges.event(&Event {
            at: Duration::ZERO,
            process: Process::default(),
            what,
        });
        bridges.flush(Duration::ZERO).unwrap();
        let read = |name: &str| std::fs::read_to_string(directory.path().join(name)).unwrap();
        assert_eq!(
            read("vpn_bridges.csv"),
            format!("{HEADER}httpd\\x1b[2J,ipv6,tcp,[::],80,40080\n")
        );
        assert_eq!(
            read("endpoints.txt"),
            "tcp 127.0.0.1:40080 -> [::]:80 (httpd?[2J)\n"
        );
        bridges.event(&Event {
            at: Duration::ZERO,
            process: Process::default(),
            what: What::Unlisten {
                proto: "tcp",
                ip,
                port: 80,
            },
        });
        bridges.flush(Duration::ZERO).unwrap();
        assert_eq!(read("endpoints.txt"), "");
    }

    #[test]
    fn the_last_row_of_a_port_is_where_it_is_reached() {
        let directory = tempfile::tempdir().unwrap();
        let mut bridges = Bridges::new(directory.path());
        for host_port in [8080, 8080, 40000, 8080] {
            bridges.event(&Event {
                at: Duration::ZERO,
                process: Process::default(),
                what: What::Forward {
                    proto: "tcp",
                    ip: "0.0.0.0".parse().unwrap(),
                    port: 8080,
                    host_port,
                },
            });
        }
        bridges.flush(Duration::ZERO).unwrap();
        let rows = std::fs::read_to_string(directory.path().join("vpn_bridges.csv")).unwrap();
        let ports: Vec<_> = rows
            .lines()
            .skip(1)
            .filter_map(|row| row.rsplit(',').next())
            .collect();
        assert_eq!(ports, ["8080", "40000", "8080"]);
    }
}
