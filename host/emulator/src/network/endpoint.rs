//! A service of the guest.

use std::net::SocketAddr;

/// A socket that listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// `tcp` or `udp`.
    pub proto: &'static str,
    /// Where, in the guest.
    pub address: SocketAddr,
}
