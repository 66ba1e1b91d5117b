//! The guest's network, and what listens there.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rookery_records::event::Process;

use crate::guest::links::Links;
use crate::kernel::netlink::Netlink;
use crate::kernel::uevent::Uevents;
use crate::network::endpoint::Endpoint;
use crate::network::forward::Forwarder;

/// Sockets that listen at once and are kept in mind.
const LISTENING_MAX: usize = 1024;

/// What the guest offers.
pub struct Services {
    forwarder: Option<Forwarder>,
    /// What listens, and who.
    listening: HashMap<Endpoint, Process>,
    netlink: Option<Netlink>,
    links: Links,
    uevents: Option<Uevents>,
    /// Nobody has listened to events yet.
    unheard: bool,
}

/// What became of an endpoint that was told.
#[derive(Debug, PartialEq, Eq)]
pub enum Listening {
    /// It is kept in mind from now on.
    New,
    /// It was before.
    Known,
    /// There are too many.
    Full,
}

impl Services {
    /// Nothing listens yet. `forwarder` has the host's ports that lead to the guest; `None` where
    /// it could not be started.
    pub fn new(forwarder: Option<Forwarder>) -> Self {
        Self {
            forwarder,
            listening: HashMap::new(),
            netlink: None,
            links: Links::default(),
            uevents: None,
            unheard: true,
        }
    }

    /// What forwards ports of the host.
    pub fn forwarder(&mut self) -> Option<&mut Forwarder> {
        self.forwarder.as_mut()
    }

    /// Nothing is forwarded any more.
    pub fn take_forwarder(&mut self) -> Option<Forwarder> {
        self.forwarder.take()
    }

    /// Its interfaces are these, before init is started.
    pub fn give_links(&mut self, links: Links) {
        self.links = links;
    }

    /// The guest's network namespace, and what is known of its interfaces beyond that.
    pub fn interfaces(&mut self) -> Option<(&Netlink, &mut Links)> {
        self.network()?;
        Some((self.netlink.as_ref()?, &mut self.links))
    }

    /// The guest's network namespace.
    pub fn network(&mut self) -> Option<&Netlink> {
        if self.netlink.is_none() {
            self.netlink = self.forwarder.as_ref()?.network().ok();
        }
        self.netlink.as_ref()
    }

    /// The kernel's events about devices there.
    pub fn uevents(&mut self) -> Option<&mut Uevents> {
        if self.uevents.is_none() {
            self.uevents = self.forwarder.as_ref()?.uevents().ok();
        }
        self.uevents.as_mut()
    }

    /// A socket there that is given no packets.
    pub fn packets(&mut self) -> Option<OwnedFd> {
        self.forwarder.as_ref()?.packets().ok()
    }

    /// Whether nobody has listened to events about devices before.
    pub fn is_first_listener(&mut self) -> bool {
        std::mem::take(&mut self.unheard)
    }

    /// The guest starts again.
    pub fn forget_start(&mut self) {
        self.unheard = true;
    }

    /// `who` listens at an endpoint.
    pub fn listens(&mut self, endpoint: Endpoint, who: &Process) -> Listening {
        if self.listening.len() >= LISTENING_MAX && !self.listening.contains_key(&endpoint) {
            return Listening::Full;
        }
        match self.listening.insert(endpoint, who.clone()) {
            None => Listening::New,
            Some(_) => Listening::Known,
        }
    }

    /// Whether anything listens at this port of TCP, at whatever address.
    pub fn listens_at(&self, port: u16) -> bool {
        let at = |end: &Endpoint| end.proto == "tcp" && end.address.port() == port;
        // Beyond the most that are kept, nobody knows.
        self.listening.len() >= LISTENING_MAX || self.listening.keys().any(at)
    }

    /// Where something listens for TCP.
    pub fn tcp(&self) -> Vec<SocketAddr> {
        let listening = self.listening.keys();
        let tcp = listening.filter(|endpoint| endpoint.proto == "tcp");
        tcp.map(|endpoint| endpoint.address).collect()
    }

    /// Who listens for TCP at an address.
    pub fn who_listens(&self, address: SocketAddr) -> Process {
        let endpoint = Endpoint {
            proto: "tcp",
            address,
        };
        self.listening.get(&endpoint).cloned().unwrap_or_default()
    }

    /// By which protocols anything listens.
    pub fn protocols(&self) -> HashSet<&'static str> {
        self.listening
            .keys()
            .map(|endpoint| endpoint.proto)
            .collect()
    }

    /// Whether anything listens.
    pub fn any(&self) -> bool {
        !self.listening.is_empty()
    }

    /// Forget the endpoints that meet a condition, and say who listened there.
    pub fn forget(&mut self, gone: impl Fn(&Endpoint) -> bool) -> Vec<(Endpoint, Process)> {
        let gone = self.listening.extract_if(|endpoint, _| gone(endpoint));
        gone.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(port: u16) -> Endpoint {
        Endpoint {
            proto: "tcp",
            address: ([0, 0, 0, 0], port).into(),
        }
    }

    #[test]
    fn a_guest_cannot_fill_the_memory_with_ports_that_listen() {
        let mut services = Services::new(None);
        let who = Process::default();
        for port in 0..1024 {
            assert_eq!(services.listens(endpoint(port), &who), Listening::New);
        }
        assert_eq!(services.listens(endpoint(2000), &who), Listening::Full);
        assert_eq!(services.listens(endpoint(3), &who), Listening::Known);
        assert_eq!(services.forget(|end| end.address.port() < 1000).len(), 1000);
        assert_eq!(services.listens(endpoint(2000), &who), Listening::New);
        assert!(services.any() && services.network().is_none());
    }
}
