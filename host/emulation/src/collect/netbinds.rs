//! `netbinds*.csv`: the sockets that the guest listens on, and what became of them.
//!
//! A socket that closes counts as closed only when it has not come back within [`DEBOUNCE`] (that is a flap); one that was open
//! for less than that is transient.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::file::{Log, field, write_atomic};
use super::{Collector, seconds};
use crate::event::{Event, What};

pub(super) const HEADER: &str =
    "procname,ipvn,domain,guest_ip,guest_port,pid,time,state,closed_time\n";
const SUMMARY_HEADER: &str = "n_procs,n_sockets,bound_www,time\n";
const EVENTS_HEADER: &str = "event,procname,ipvn,domain,guest_ip,guest_port,pid,time\n";
const LIFECYCLE_HEADER: &str = "procname,ipvn,domain,guest_ip,guest_port,pid,state,transient,open_count,close_count,flap_count,first_open,last_close,total_uptime\n";

const DEBOUNCE: Duration = Duration::from_secs(2);
const MAX_SOCKETS: usize = 10_000;
const LOG_LIMIT: u64 = 8 << 20;
const WWW: [u16; 2] = [80, 443];

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    procname: String,
    pid: u32,
    proto: &'static str,
    ip: IpAddr,
    port: u16,
}

/// One socket of the guest.
#[derive(Debug, Clone)]
pub(super) struct Bind {
    pub(super) procname: String,
    pub(super) pid: u32,
    pub(super) proto: &'static str,
    pub(super) ip: IpAddr,
    pub(super) port: u16,
    pub(super) first_open: Duration,
    last_open: Duration,
    /// Closed, but perhaps only to come back.
    closing: Option<Duration>,
    pub(super) closed: Option<Duration>,
    opens: u32,
    closes: u32,
    flaps: u32,
    /// Uptime of earlier openings.
    uptime: Duration,
    transient: bool,
}

impl Bind {
    pub(super) fn state(&self) -> &'static str {
        match (self.closed.is_some(), self.transient) {
            (false, _) => "listening",
            (true, true) => "transient",
            (true, false) => "closed",
        }
    }

    /// 4 or 6, as in the column `ipvn`.
    pub(super) fn ipvn(&self) -> u8 {
        if self.ip.is_ipv4() { 4 } else { 6 }
    }

    fn columns(&self) -> String {
        format!(
            "{},{},{},{},{},{}",
            field(&self.procname),
            self.ipvn(),
            self.proto,
            address(self.ip),
            self.port,
            self.pid
        )
    }
}

/// An address as Penguin writes it: IPv6 in brackets.
pub(super) fn address(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

pub(super) struct Netbinds {
    table: PathBuf,
    lifecycle: PathBuf,
    binds: Vec<Bind>,
    index: HashMap<Key, usize>,
    /// Which sockets may have to be closed for good.
    closing: Vec<usize>,
    events: Log,
    summary: Log,
    processes: std::collections::HashSet<String>,
    bound_www: bool,
    dirty: bool,
    dropped: u64,
}

impl Netbinds {
    pub(super) fn new(directory: &Path) -> Self {
        Self {
            table: directory.join("netbinds.csv"),
            lifecycle: directory.join("netbinds_lifecycle.csv"),
            binds: Vec::new(),
            index: HashMap::new(),
            closing: Vec::new(),
            events: Log::new(
                directory,
                "netbind_events.csv",
                Some(EVENTS_HEADER),
                LOG_LIMIT,
            ),
            summary: Log::new(
                directory,
                "netbinds_summary.csv",
                Some(SUMMARY_HEADER),
                LOG_LIMIT,
            ),
            processes: std::collections::HashSet::new(),
            bound_www: false,
            dirty: true,
            dropped: 0,
        }
    }

    /// All sockets, in the order in which they were first seen.
    pub(super) fn binds(&self) -> &[Bind] {
        &self.binds
    }

    fn listen(&mut self, key: Key, at: Duration) {
        self.settle(at, DEBOUNCE);
        if let Some(bind) = self
            .index
            .get(&key)
            .and_then(|&index| self.binds.get_mut(index))
        {
            let event = if bind.closing.take().is_some() {
                bind.flaps += 1;
                "flap"
            } else if bind.closed.take().is_some() {
                bind.transient = false;
                bind.last_open = at;
                "open"
            } else {
                // The same socket again: `listen` called twice, or a second thread.
                return;
            };
            bind.opens += 1;
            let row = format!("{event},{},{}\n", bind.columns(), seconds(at));
            self.events.push(row.as_bytes());
            self.dirty = true;
            return;
        }
        if self.binds.len() >= MAX_SOCKETS {
            self.dropped += 1;
            return;
        }
        let bind = Bind {
            procname: key.procname.clone(),
            pid: key.pid,
            proto: key.proto,
            ip: key.ip,
            port: key.port,
            first_open: at,
            last_open: at,
            closing: None,
            closed: None,
            opens: 1,
            closes: 0,
            flaps: 0,
            uptime: Duration::ZERO,
            transient: false,
        };
        self.events
            .push(format!("open,{},{}\n", bind.columns(), seconds(at)).as_bytes());
        self.processes.insert(key.procname.clone());
        self.bound_www |= WWW.contains(&key.port);
        self.index.insert(key, self.binds.len());
        self.binds.push(bind);
        let www = if self.bound_www { "True" } else { "False" };
        self.summary.push(
            format!(
                "{},{},{www},{}\n",
                self.processes.len(),
                self.binds.len(),
                seconds(at)
            )
            .as_bytes(),
        );
        self.dirty = true;
    }

    fn unlisten(&mut self, event: &Event, proto: &'static str, ip: IpAddr, port: u16) {
        let open = |bind: &Bind| {
            bind.proto == proto
                && bind.ip == ip
                && bind.port == port
                && bind.closing.is_none()
                && bind.closed.is_none()
        };
        // The one who closes is usually, but need not be, the one who opened.
        let found = (0..self.binds.len())
            .rev()
            .filter(|&index| self.binds.get(index).is_some_and(open));
        let found: Vec<_> = found.take(64).collect();
        let own = found.iter().find(|&&index| {
            self.binds
                .get(index)
                .is_some_and(|bind| bind.pid == event.process.pid)
        });
        if let Some(&index) = own.or(found.first())
            && let Some(bind) = self.binds.get_mut(index)
        {
            bind.closing = Some(event.at);
            self.closing.push(index);
        }
    }

    /// Close for good what has been gone for `patience` at `now`.
    fn settle(&mut self, now: Duration, patience: Duration) {
        let Self {
            binds,
            closing,
            events,
            dirty,
            ..
        } = self;
        closing.retain(|&index| {
            let Some(bind) = binds.get_mut(index) else {
                return false;
            };
            let Some(at) = bind.closing else { return false };
            if now.saturating_sub(at) < patience {
                return true;
            }
            bind.closing = None;
            bind.closed = Some(at);
            bind.closes += 1;
            let up = at.saturating_sub(bind.last_open);
            bind.uptime += up;
            bind.transient = bind.opens == 1 && up < DEBOUNCE;
            events.push(
                format!(
                    "{},{},{}\n",
                    if bind.transient { "transient" } else { "close" },
                    bind.columns(),
                    seconds(at)
                )
                .as_bytes(),
            );
            *dirty = true;
            false
        });
    }

    fn write(&mut self) -> io::Result<()> {
        self.events.flush()?;
        self.summary.flush()?;
        if self.dirty {
            let mut text = HEADER.to_owned();
            // Announced sockets first, as Penguin has them; at the end those that never got so far.
            for transient in [false, true] {
                for bind in self
                    .binds
                    .iter()
                    .filter(|bind| (bind.state() == "transient") == transient)
                {
                    let closed = bind.closed.map(seconds).unwrap_or_default();
                    let _ = writeln!(
                        text,
                        "{},{},{},{closed}",
                        bind.columns(),
                        seconds(bind.first_open),
                        bind.state()
                    );
                }
            }
            write_atomic(&self.table, text.as_bytes())?;
            self.dirty = false;
        }
        Ok(())
    }

    fn write_lifecycle(&self, now: Duration) -> io::Result<()> {
        let mut text = LIFECYCLE_HEADER.to_owned();
        for bind in &self.binds {
            let (last_close, uptime) = match bind.closed {
                Some(closed) => (seconds(closed), bind.uptime),
                None => (
                    String::new(),
                    bind.uptime + now.saturating_sub(bind.last_open),
                ),
            };
            let transient = if bind.transient { "True" } else { "False" };
            let _ = writeln!(
                text,
                "{},{},{transient},{},{},{},{},{last_close},{}",
                bind.columns(),
                bind.state(),
                bind.opens,
                bind.closes,
                bind.flaps,
                seconds(bind.first_open),
                seconds(uptime)
            );
        }
        write_atomic(&self.lifecycle, text.as_bytes())
    }
}

impl Collector for Netbinds {
    fn event(&mut self, event: &Event) {
        match &event.what {
            What::Listen { proto, ip, port } => {
                let Event { process, at, .. } = event;
                self.listen(
                    Key {
                        procname: process.name.clone(),
                        pid: process.pid,
                        proto,
                        ip: *ip,
                        port: *port,
                    },
                    *at,
                );
            }
            What::Unlisten { proto, ip, port } => self.unlisten(event, proto, *ip, *port),
            _ => {}
        }
    }

    fn flush(&mut self, now: Duration) -> io::Result<()> {
        self.settle(now, DEBOUNCE);
        self.write()
    }

    fn finish(&mut self, now: Duration) -> io::Result<()> {
        self.settle(now, Duration::ZERO);
        self.write()?;
        self.write_lifecycle(now)
    }

    fn dropped(&self) -> (&'static str, u64) {
        (
            "netbinds.csv",
            self.dropped + self.events.dropped() + self.summary.dropped(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Process;

    fn listen(collector: &mut Netbinds, at: u64, name: &str, port: u16) {
        happen(
            collector,
            at,
            name,
            What::Listen {
                proto: "tcp",
                ip: "0.0.0.0".parse().unwrap(),
                port,
            },
        );
    }

    fn unlisten(collector: &mut Netbinds, at: u64, name: &str, port: u16) {
        happen(
            collector,
            at,
            name,
            What::Unlisten {
                proto: "tcp",
                ip: "0.0.0.0".parse().unwrap(),
                port,
            },
        );
    }

    fn happen(collector: &mut Netbinds, at: u64, name: &str, what: What) {
        let process = Process {
            pid: 42,
            name: name.into(),
            ..Process::default()
        };
        collector.event(&Event {
            at: Duration::from_millis(at),
            process,
            what,
        });
    }

    fn read(directory: &tempfile::TempDir, name: &str) -> String {
        std::fs::read_to_string(directory.path().join(name)).unwrap()
    }

    #[test]
    fn sockets_go_through_penguins_states() {
        let directory = tempfile::tempdir().unwrap();
        let mut collector = Netbinds::new(directory.path());
        listen(&mut collector, 1000, "httpd", 80);
        listen(&mut collector, 1000, "brief", 81);
        listen(&mut collector, 1000, "flappy", 82);
        listen(&mut collector, 1000, "closed", 83);
        unlisten(&mut collector, 1500, "brief", 81);
        unlisten(&mut collector, 9000, "flappy", 82);
        unlisten(&mut collector, 9000, "closed", 83);
        listen(&mut collector, 9500, "flappy", 82);
        collector.finish(Duration::from_secs(20)).unwrap();
        assert_eq!(
            read(&directory, "netbinds.csv"),
            format!(
                "{HEADER}httpd,4,tcp,0.0.0.0,80,42,1.000,listening,\n\
                 flappy,4,tcp,0.0.0.0,82,42,1.000,listening,\n\
                 closed,4,tcp,0.0.0.0,83,42,1.000,closed,9.000\n\
                 brief,4,tcp,0.0.0.0,81,42,1.000,transient,1.500\n"
            )
        );
        assert_eq!(
            read(&directory, "netbinds_lifecycle.csv"),
            format!(
                "{LIFECYCLE_HEADER}httpd,4,tcp,0.0.0.0,80,42,listening,False,1,0,0,1.000,,19.000\n\
                 brief,4,tcp,0.0.0.0,81,42,transient,True,1,1,0,1.000,1.500,0.500\n\
                 flappy,4,tcp,0.0.0.0,82,42,listening,False,2,0,1,1.000,,19.000\n\
                 closed,4,tcp,0.0.0.0,83,42,closed,False,1,1,0,1.000,9.000,8.000\n"
            )
        );
        let events = read(&directory, "netbind_events.csv");
        assert!(
            events.ends_with("close,closed,4,tcp,0.0.0.0,83,42,9.000\n"),
            "{events}"
        );
        assert!(
            events.contains("flap,flappy,4,tcp,0.0.0.0,82,42,9.500\n")
                && events.contains("transient,brief,"),
            "{events}"
        );
        assert_eq!(
            read(&directory, "netbinds_summary.csv"),
            format!(
                "{SUMMARY_HEADER}1,1,True,1.000\n2,2,True,1.000\n3,3,True,1.000\n4,4,True,1.000\n"
            )
        );
    }

    #[test]
    fn a_run_is_readable_while_it_runs() {
        let directory = tempfile::tempdir().unwrap();
        let mut collector = Netbinds::new(directory.path());
        collector.flush(Duration::ZERO).unwrap();
        assert_eq!(read(&directory, "netbinds.csv"), HEADER);
        listen(&mut collector, 10, "httpd", 80);
        collector.flush(Duration::from_millis(20)).unwrap();
        assert!(
            read(&directory, "netbinds.csv")
                .ends_with("httpd,4,tcp,0.0.0.0,80,42,0.010,listening,\n")
        );
    }

    #[test]
    fn a_hostile_name_cannot_forge_a_row() {
        let directory = tempfile::tempdir().unwrap();
        let mut collector = Netbinds::new(directory.path());
        listen(
            &mut collector,
            0,
            "x\nhttpd,4,tcp,0.0.0.0,80,1,0.000,listening,\n",
            9,
        );
        collector.finish(Duration::ZERO).unwrap();
        for name in [
            "netbinds.csv",
            "netbind_events.csv",
            "netbinds_lifecycle.csv",
        ] {
            let text = read(&directory, name);
            let columns = |line: &str| line.split(',').count();
            assert_eq!(text.lines().count(), 2, "{text}");
            assert!(
                text.lines()
                    .all(|line| columns(line) == columns(text.lines().next().unwrap())),
                "{text}"
            );
        }
    }

    #[test]
    fn a_flood_of_sockets_is_bounded_and_counted() {
        let directory = tempfile::tempdir().unwrap();
        let mut collector = Netbinds::new(directory.path());
        for number in 0..MAX_SOCKETS + 5 {
            listen(&mut collector, 0, &number.to_string(), 80);
        }
        assert_eq!(collector.binds().len(), MAX_SOCKETS);
        assert_eq!(collector.dropped().1, 5);
    }
}
