//! Ports of the host that lead to the guest, and what the guest finds beyond its own network.

pub mod asker;
pub mod capture;
pub mod datagrams;
pub mod endpoint;
pub mod forward;
pub mod proxy;
pub mod reach;
pub mod uplink;
pub mod wanted;
