//! The guest's network, and what listens there.

use std::collections::HashMap;

use rookery_records::event::Process;

use crate::kernel::netlink::Netlink;
use crate::network::endpoint::Endpoint;
use crate::network::forward::Forwarder;

/// What the guest offers.
pub struct Services {
    /// Ports of the host that lead to it; `None` where the helper could not be started.
    pub forwarder: Option<Forwarder>,
    /// What listens, and who.
    pub listening: HashMap<Endpoint, Process>,
    netlink: Option<Netlink>,
}

impl Services {
    /// Nothing listens yet.
    pub fn new(forwarder: Option<Forwarder>) -> Self {
        Self {
            forwarder,
            listening: HashMap::new(),
            netlink: None,
        }
    }

    /// Its network namespace.
    pub fn network(&mut self) -> Option<&Netlink> {
        if self.netlink.is_none() {
            self.netlink = self.forwarder.as_ref()?.network().ok();
        }
        self.netlink.as_ref()
    }
}
