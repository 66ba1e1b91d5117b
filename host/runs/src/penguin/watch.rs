//! What a running Penguin has written so far, as events: the ports that can be reached.

use std::net::IpAddr;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rookery_project::regular;
use rustix::event::PollFlags;

use crate::backend::Control;
use crate::penguin::asking::{Asking, Service};
use rookery_records::event::{Event, Process, What};

const EVERY: Duration = Duration::from_secs(1);
const MAX_BYTES: u64 = 4 << 20;

pub(super) struct Watch {
    started: Instant,
    looked: Option<Instant>,
    init_ready: PathBuf,
    booted: bool,
    bridges: PathBuf,
    lines_seen: usize,
    services: Vec<Service>,
    asking: Asking,
}

/// Services that are asked.
const MAX_SERVICES: usize = 500;

impl Watch {
    pub(super) fn new(results_dir: &Path) -> Self {
        Self {
            started: Instant::now(),
            looked: None,
            init_ready: results_dir.join("igloo_init.ready"),
            booted: false,
            bridges: results_dir.join("vpn_bridges.csv"),
            lines_seen: 1,
            services: Vec::new(),
            asking: Asking::new(results_dir),
        }
    }

    /// What to wait for.
    pub(super) fn sockets(&self) -> impl Iterator<Item = (BorrowedFd<'_>, PollFlags)> {
        self.asking.sockets()
    }

    /// Report what is new in Penguin's files, and what services said.
    pub(super) fn advance(&mut self, control: &mut dyn Control) {
        self.look(control);
        let now = self.started.elapsed();
        self.asking.advance(&self.services, now, control);
    }

    /// Report what is new, at most once a second.
    fn look(&mut self, control: &mut dyn Control) {
        if self.looked.is_some_and(|looked| looked.elapsed() < EVERY) {
            return;
        }
        self.looked = Some(Instant::now());
        if !self.booted && self.init_ready.exists() {
            self.booted = true;
            self.report(control, "init", What::Console(Vec::new()));
        }
        let Ok(text) = regular::read(&self.bridges, MAX_BYTES) else {
            return;
        };
        let text = String::from_utf8_lossy(&text);
        let Some((whole, _)) = text.rsplit_once('\n') else {
            return;
        };
        for line in whole.lines().skip(self.lines_seen) {
            self.lines_seen += 1;
            let Some(bridge) = bridge(line) else {
                continue;
            };
            let Bridge {
                procname,
                proto,
                ip,
                port,
                host_port,
            } = bridge;
            if proto == "tcp" && self.services.len() < MAX_SERVICES {
                let service = Service {
                    procname: procname.chars().take(64).collect(),
                    ip,
                    port,
                    host_port,
                };
                // A service that came back may have another port of the host.
                self.services
                    .retain(|known| (known.ip, known.port) != (ip, port));
                self.services.push(service);
            }
            self.report(control, procname, What::Listen { proto, ip, port });
            self.report(
                control,
                procname,
                What::Forward {
                    proto,
                    ip,
                    port,
                    host_port,
                },
            );
        }
    }

    fn report(&self, control: &mut dyn Control, procname: &str, what: What) {
        let process = Process {
            name: procname.chars().take(64).collect(),
            ..Process::default()
        };
        control.event(Event {
            at: self.started.elapsed(),
            process,
            what,
        });
    }
}

/// A port of the host that leads to one of the guest.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bridge<'a> {
    pub(super) procname: &'a str,
    pub(super) proto: &'static str,
    pub(super) ip: IpAddr,
    pub(super) port: u16,
    pub(super) host_port: u16,
}

/// The whole rows of `vpn_bridges.csv`.
pub(super) fn bridges(text: &str) -> impl Iterator<Item = Bridge<'_>> {
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().skip(1).filter_map(bridge)
}

/// A row `procname,ipvn,domain,guest_ip,guest_port,host_port`, read from the right: a name may hold
/// commas.
fn bridge(line: &str) -> Option<Bridge<'_>> {
    let mut fields = line.rsplitn(6, ',');
    let host_port = fields.next()?.parse().ok()?;
    let port = fields.next()?.parse().ok()?;
    let ip = fields.next()?.trim_matches(['[', ']']).parse().ok()?;
    let proto = match fields.next()? {
        "tcp" => "tcp",
        "udp" => "udp",
        _ => return None,
    };
    let _ipvn = fields.next()?;
    Some(Bridge {
        procname: fields.next()?,
        proto,
        ip,
        port,
        host_port,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_from_the_right_and_junk_is_passed_over() {
        assert_eq!(
            bridge("a,b,ipv6,tcp,[::],80,8080"),
            Some(Bridge {
                procname: "a,b",
                proto: "tcp",
                ip: "::".parse().unwrap(),
                port: 80,
                host_port: 8080
            })
        );
        for junk in [
            "",
            "x,ipv4,tcp,0.0.0.0,80",
            "x,ipv4,sctp,0.0.0.0,80,80",
            "x,ipv4,tcp,nowhere,80,80",
            "x,ipv4,tcp,0.0.0.0,80,99999",
        ] {
            assert_eq!(bridge(junk), None, "{junk}");
        }
    }
}
