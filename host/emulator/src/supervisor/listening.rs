//! Sockets that listen no more: seen in the kernel's tables of the guest's network namespace.

use std::collections::HashSet;

use crate::guest::access::{HasServices, Reports};
use crate::network::endpoint::Endpoint;
use rookery_records::event::What;

/// The state of a listening TCP socket, as the tables write it.
const LISTEN: &str = "0A";

/// Report every known endpoint that is gone, and give back the host's ports of those that do not
/// come back.
pub fn sweep(guest: &mut (impl Reports + HasServices)) {
    if let Some(forwarder) = guest.services().forwarder() {
        forwarder.close_idle();
    }
    if !guest.services().any() {
        return;
    }
    let mut there = HashSet::new();
    for (proto, file) in [
        ("tcp", "tcp"),
        ("tcp", "tcp6"),
        ("udp", "udp"),
        ("udp", "udp6"),
    ] {
        let text = match guest.init().text(&format!("net/{file}")) {
            Ok(text) => text,
            // Without IPv6 there is no such table.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            // What cannot be read tells nothing about what is gone.
            Err(_) => return,
        };
        there.extend(ports(&text, proto).map(|port| (proto, port)));
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

/// The local ports of a table.
fn ports<'a>(text: &'a str, proto: &'a str) -> impl Iterator<Item = u16> + 'a {
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
        assert_eq!(ports(table, "tcp").collect::<Vec<_>>(), [80]);
        assert_eq!(ports(table, "udp").collect::<Vec<_>>(), [80, 8080]);
    }
}
