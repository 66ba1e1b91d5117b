//! `netbinds*.csv`: the sockets that the guest listens on, and what became of them.
//!
//! A socket that closes counts as closed only when it has not come back within [`DEBOUNCE`] (that
//! is a flap); one that was open for less than that is transient.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::collect::collector::{Collector, seconds};
use crate::event::{Event, What};
use crate::file::{Log, field, write_atomic};

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
mod tests;
