//! What a message of routing netlink is about.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use libc::{
    IFLA_IFNAME, IFLA_INFO_DATA, IFLA_INFO_KIND, IFLA_LINK, IFLA_LINKINFO, IFLA_NET_NS_FD,
    IFLA_NET_NS_PID,
};

use crate::kernel::netlink::message::{
    IFLA_LINK_NETNSID, IFLA_TARGET_NETNSID, Message, OF_ADDRESS, OF_LINK, attribute_of, attributes,
    long, name_of, short,
};
use crate::kernel::netlink::{IFLA_VLAN_ID, Netlink};
use crate::network::wanted::{Vlan, Wanted};

/// Kinds whose data names another interface, which may be put into any namespace.
const WITH_PEER: [&str; 3] = ["veth", "vxcan", "netkit"];

/// The kinds of messages that are sent here, from `RTM_NEWLINK` on, and the first of the kinds
/// about namespaces.
const FIRST: u16 = libc::RTM_NEWLINK;
const NAMESPACES: u16 = libc::RTM_NEWNSID;

/// The names of what messages are about, by kind: each has a request to make, to remove, to ask
/// for, and to set.
const NAMES: [&str; 9] = [
    "LINK", "ADDR", "ROUTE", "NEIGH", "RULE", "QDISC", "TCLASS", "TFILTER", "ACTION",
];
const VERBS: [&str; 4] = ["NEW", "DEL", "GET", "SET"];

/// Whether a message names nothing by a number of its sender's, a process or a descriptor.
pub fn is_plain(message: &Message) -> bool {
    if !(FIRST..NAMESPACES).contains(&message.kind) {
        return false;
    }
    if !is_of_link(message) {
        return true;
    }
    let is_namespace = |kind: u16| {
        let kinds = [
            IFLA_NET_NS_PID,
            IFLA_NET_NS_FD,
            IFLA_LINK_NETNSID,
            IFLA_TARGET_NETNSID,
        ];
        kinds.contains(&kind)
    };
    let mut all = message.attributes(OF_LINK);
    all.all(|(kind, value)| {
        let has_peer = kind == IFLA_LINKINFO
            && attributes(value)
                .filter(|(kind, _)| *kind == IFLA_INFO_KIND)
                .any(|(_, kind)| WITH_PEER.contains(&name_of(kind).as_str()));
        !is_namespace(kind) && !has_peer
    })
}

fn is_of_link(message: &Message) -> bool {
    (libc::RTM_NEWLINK..libc::RTM_NEWADDR).contains(&message.kind)
}

/// Whether a message only asks for something.
pub fn asks(message: &Message) -> bool {
    message.kind % 4 == libc::RTM_GETLINK % 4
}

/// The name of the interface that a message is about, where it says one.
pub fn interface(message: &Message) -> Option<String> {
    let named = is_of_link(message).then(|| message.body.get(OF_LINK..))??;
    attribute_of(named, IFLA_IFNAME).map(name_of)
}

/// The interface that a message asks to be made.
pub fn wanted(message: &Message, kind: &str, network: &Netlink) -> Option<Wanted> {
    let attributes = message.body.get(OF_LINK..)?;
    let name = attribute_of(attributes, IFLA_IFNAME).map(name_of);
    let data = attribute_of(attributes, IFLA_LINKINFO)
        .and_then(|info| attribute_of(info, IFLA_INFO_DATA))
        .unwrap_or_default();
    let vlan = if kind == "vlan" {
        let below = attribute_of(attributes, IFLA_LINK).and_then(|below| long(below, 0))?;
        Some(Vlan {
            on: network.link_at(below).ok()?.name,
            id: attribute_of(data, IFLA_VLAN_ID).and_then(|id| short(id, 0))?,
        })
    } else {
        None
    };
    Some(Wanted {
        name: name.unwrap_or_else(|| format!("{kind}%d")),
        kind: kind.to_owned(),
        vlan,
    })
}

/// A message in short: `RTM_NEWLINK br0 bridge`, `RTM_NEWADDR 192.168.1.1/24 dev 3`.
pub fn in_words(message: &Message) -> String {
    let number = message.kind.saturating_sub(FIRST);
    let verb = VERBS
        .get(usize::from(number % 4))
        .copied()
        .unwrap_or_default();
    let mut words = match NAMES.get(usize::from(number / 4)) {
        Some(name) => format!("RTM_{verb}{name}"),
        None => format!("RTM_{verb} {}", message.kind),
    };
    let body = message.body.as_slice();
    let prefix = body.get(1).copied().unwrap_or(0);
    if is_of_link(message) {
        let attributes = body.get(OF_LINK..).unwrap_or_default();
        let name = attribute_of(attributes, IFLA_IFNAME).map(name_of);
        let number = long(body, 4).filter(|number| *number != 0);
        let number = || number.map(|number| format!("dev {number}"));
        let kind = attribute_of(attributes, IFLA_LINKINFO);
        let kind = kind.and_then(|info| attribute_of(info, IFLA_INFO_KIND));
        for word in name.or_else(number).into_iter().chain(kind.map(name_of)) {
            let _ = write!(words, " {}", word.escape_debug());
        }
    } else if number / 4 == 1 {
        let attributes = body.get(OF_ADDRESS..).unwrap_or_default();
        let local = attribute_of(attributes, libc::IFA_LOCAL);
        let address = local.or_else(|| attribute_of(attributes, libc::IFA_ADDRESS));
        if let Some(address) = address.and_then(ip) {
            let _ = write!(words, " {address}/{prefix}");
        }
        if let Some(number) = long(body, 4) {
            let _ = write!(words, " dev {number}");
        }
    } else if number / 4 == 2 {
        let attributes = body.get(12..).unwrap_or_default();
        let to = attribute_of(attributes, libc::RTA_DST).and_then(ip);
        let _ = match to {
            Some(to) => write!(words, " {to}/{prefix}"),
            None => write!(words, " default"),
        };
        if let Some(gateway) = attribute_of(attributes, libc::RTA_GATEWAY).and_then(ip) {
            let _ = write!(words, " via {gateway}");
        }
    }
    words
}

fn ip(bytes: &[u8]) -> Option<std::net::IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(|bytes| Ipv4Addr::from(bytes).into());
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(|bytes| Ipv6Addr::from(bytes).into()))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::netlink::message::{attribute, text};

    fn about(kind: u16, fixed: usize, attributes: &[(u16, &[u8])]) -> Message {
        let mut body = vec![0; fixed];
        for (kind, value) in attributes {
            body.extend(attribute(*kind, value));
        }
        Message {
            kind,
            flags: 1,
            sequence: 1,
            port: 0,
            body,
        }
    }

    #[test]
    fn what_names_a_namespace_is_the_kernels() {
        let named = |attributes: &[(u16, &[u8])]| about(libc::RTM_NEWLINK, OF_LINK, attributes);
        assert!(is_plain(&named(&[(IFLA_IFNAME, b"eth0\0")])));
        let kind = |name: &str| attribute(IFLA_INFO_KIND, &text(name));
        assert!(is_plain(&named(&[(IFLA_LINKINFO, &kind("vlan"))])));
        for attributes in [
            &[(IFLA_NET_NS_PID, &[1, 0, 0, 0][..])][..],
            &[(IFLA_NET_NS_FD, &[5, 0, 0, 0])],
            &[(IFLA_IFNAME, b"a\0"), (IFLA_TARGET_NETNSID, &[0; 4])],
            &[(IFLA_NET_NS_FD | 0x8000, &[5, 0, 0, 0])],
            &[(IFLA_LINKINFO, &kind("veth"))],
            &[(IFLA_LINKINFO, &[kind("vlan"), kind("veth")].concat())],
        ] {
            assert!(!is_plain(&named(attributes)), "{attributes:?}");
        }
        assert!(!is_plain(&about(libc::RTM_NEWNSID, 4, &[])));
        assert!(!is_plain(&about(libc::RTM_GETNSID, 4, &[])));
        assert!(!is_plain(&about(1, 0, &[])));
    }

    #[test]
    fn a_request_is_told_in_the_words_of_its_kind() {
        let info = attribute(IFLA_INFO_KIND, b"bridge\0");
        let bridge = about(
            libc::RTM_NEWLINK,
            OF_LINK,
            &[(IFLA_IFNAME, b"br0\0"), (IFLA_LINKINFO, &info)],
        );
        assert_eq!(in_words(&bridge), "RTM_NEWLINK br0 bridge");
        assert_eq!(interface(&bridge).as_deref(), Some("br0"));
        let mut address = about(libc::RTM_NEWADDR, 8, &[(libc::IFA_LOCAL, &[10, 0, 0, 1])]);
        (address.body[1], address.body[4]) = (8, 3);
        assert_eq!(in_words(&address), "RTM_NEWADDR 10.0.0.1/8 dev 3");
        let route = about(
            libc::RTM_NEWROUTE,
            12,
            &[(libc::RTA_GATEWAY, &[10, 0, 0, 9])],
        );
        assert_eq!(in_words(&route), "RTM_NEWROUTE default via 10.0.0.9");
        assert!(asks(&about(libc::RTM_GETADDR, 8, &[])) && !asks(&route));
        assert_eq!(in_words(&about(86, 8, &[])), "RTM_GET 86");
    }
}
