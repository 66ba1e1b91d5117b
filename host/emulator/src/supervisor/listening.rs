//! Sockets that listen no more: the kernel lists those of the guest's network namespace.

use std::collections::HashSet;
use std::io;

use crate::guest::access::{HasLimits, HasServices, Reports};
use crate::network::endpoint::Endpoint;
use rookery_records::event::What;

/// The state of a listening TCP socket, as the tables write it.
const LISTEN: &str = "0A";

/// Report every known endpoint that is gone, and give back the host's ports of those that do not
/// come back.
pub fn sweep(guest: &mut (impl Reports + HasServices + HasLimits)) {
    if let Some(forwarder) = guest.services().forwarder() {
        forwarder.close_idle();
    }
    if !guest.services().any() {
        return;
    }
    let mut there = HashSet::new();
    for proto in guest.services().protocols() {
        // A socket of IPv6 may listen at an address of IPv4.
        for ipv6 in [false, true] {
            // What cannot be listed tells nothing about what is gone.
            let Ok(ports) = ports(guest, proto, ipv6) else {
                return;
            };
            there.extend(ports.into_iter().map(|port| (proto, port)));
        }
    }
    let is_gone = |endpoint: &Endpoint| !there.contains(&(endpoint.proto, endpoint.address.port()));
    for (endpoint, who) in guest.services().forget(is_gone) {
        if let Some(forwarder) = guest.services().forwarder() {
            forwarder.idle(&endpoint);
        }
        guest.report(
            who,
            What::Unlisten {
                proto: endpoint.proto,
                ip: endpoint.address.ip(),
                port: endpoint.address.port(),
            },
        );
    }
}

/// The ports where sockets of a kind listen.
fn ports(
    guest: &mut (impl Reports + HasLimits),
    proto: &'static str,
    ipv6: bool,
) -> io::Result<Vec<u16>> {
    if let Some(sockets) = &guest.limits().sockets
        && let Ok(ports) = sockets.ports(proto == "udp", ipv6)
    {
        return Ok(ports);
    }
    let table = format!("net/{proto}{}", if ipv6 { "6" } else { "" });
    match guest.init().text(&table) {
        Ok(text) => Ok(of_table(&text, proto).collect()),
        // Without IPv6 there is no such table.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// The local ports of a table of `/proc`, for kernels that do not list sockets otherwise.
fn of_table<'a>(text: &'a str, proto: &'a str) -> impl Iterator<Item = u16> + 'a {
    text.lines().skip(1).filter_map(move |line| {
        let mut fields = line.split_whitespace().skip(1);
        let (_, port) = fields.next()?.rsplit_once(':')?;
        let state = fields.nth(1)?;
        (proto == "udp" || state == LISTEN)
            .then(|| u16::from_str_radix(port, 16).ok())
            .flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listening_sockets_count() {
        let table = "sl  local_address rem_address   st tx_queue\n\
                     0: 00000000:0050 00000000:0000 0A 0\n\
                     1: 0100007F:1F90 0100007F:D431 01 0\n";
        assert_eq!(of_table(table, "tcp").collect::<Vec<_>>(), [80]);
        assert_eq!(of_table(table, "udp").collect::<Vec<_>>(), [80, 8080]);
    }
}
