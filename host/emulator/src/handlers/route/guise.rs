//! What a message of routing netlink tells of an interface that is something else to the guest:
//! its kind, what it is made of, and the data of its kind.

use libc::{
    IFLA_IFNAME, IFLA_INFO_DATA, IFLA_INFO_KIND, IFLA_INFO_XSTATS, IFLA_LINK, IFLA_LINKINFO,
    IFLA_MAP, RTM_DELLINK, RTM_NEWLINK,
};

use crate::guest::links::{Links, MADE_AS};
use crate::kernel::netlink::message::{
    IFLA_LINK_NETNSID, Message, OF_LINK, attribute, attribute_of, text, whole_attributes,
};
use crate::kernel::netlink::{IFLA_VLAN_ID, Link, Netlink};

/// `linux/if_link.h`, which libc does not have.
const IFLA_VLAN_FLAGS: u16 = 2;
const IFLA_VLAN_PROTOCOL: u16 = 5;
/// The number of VLANs among protocols (`ETH_P_8021Q`).
const PROTOCOL: u16 = 0x8100;
/// Tags are not shown to who reads packets: the kernel's default (`VLAN_FLAG_REORDER_HDR`).
const REORDERS: u32 = 1;

/// What a message says of the pair that stands in. The last of them is about addresses of hardware
/// that no virtual interface has, and nobody asks for: it leaves room, because a message must not
/// become longer than what its reader has room for.
const OF_THE_PAIR: [u16; 4] = [IFLA_LINK, IFLA_LINK_NETNSID, IFLA_LINKINFO, IFLA_MAP];

/// The message as it is for the guest. `None` where it is that already.
pub fn of(
    message: &Message,
    network: &Netlink,
    links: &Links,
    big_endian: bool,
) -> Option<Message> {
    if ![RTM_NEWLINK, RTM_DELLINK].contains(&message.kind) {
        return None;
    }
    let link = Link::of_body(&message.body)?;
    if !MADE_AS.contains(&link.made_as.as_str()) {
        return None;
    }
    let (below, made_as) = (link.below, link.made_as.clone());
    let known = links.as_known(network, link);
    if (known.below, &known.made_as) == (below, &made_as) {
        return None;
    }
    let id = links.vlan(&known.name).map(|vlan| vlan.id);
    retell(message, &known, id, big_endian)
}

fn retell(message: &Message, known: &Link, vlan: Option<u16>, big_endian: bool) -> Option<Message> {
    let (fixed, attributes) = message.body.split_at_checked(OF_LINK)?;
    let mut body = fixed.to_vec();
    for (kind, whole) in whole_attributes(attributes) {
        if !OF_THE_PAIR.contains(&kind) {
            add(&mut body, whole);
        }
        if kind == IFLA_IFNAME && known.below != 0 {
            body.extend(attribute(IFLA_LINK, &known.below.to_ne_bytes()));
        }
    }
    let before = attribute_of(attributes, IFLA_LINKINFO).unwrap_or_default();
    let info = info(before, known, vlan, big_endian);
    if !info.is_empty() {
        body.extend(attribute(IFLA_LINKINFO, &info));
    }
    (body.len() <= message.body.len()).then(|| Message {
        body,
        ..message.clone()
    })
}

/// What an interface is, and what it is as a port of another, which stays.
fn info(before: &[u8], known: &Link, vlan: Option<u16>, big_endian: bool) -> Vec<u8> {
    let mut info = Vec::new();
    if !known.made_as.is_empty() {
        info.extend(attribute(IFLA_INFO_KIND, &text(&known.made_as)));
    }
    if let Some(id) = vlan {
        info.extend(attribute(IFLA_INFO_DATA, &vlan_data(id, big_endian)));
    }
    for (kind, whole) in whole_attributes(before) {
        if ![IFLA_INFO_KIND, IFLA_INFO_DATA, IFLA_INFO_XSTATS].contains(&kind) {
            add(&mut info, whole);
        }
    }
    info
}

/// Of the data of a VLAN no emulator knows anything: it has to be in the guest's order.
fn vlan_data(id: u16, big_endian: bool) -> Vec<u8> {
    let turned = |number: u16| {
        if big_endian {
            number.swap_bytes()
        } else {
            number
        }
    };
    let mut flags = [REORDERS.to_ne_bytes(), u32::MAX.to_ne_bytes()];
    if big_endian {
        flags[0].reverse();
    }
    let all = [
        (IFLA_VLAN_PROTOCOL, PROTOCOL.to_be_bytes().to_vec()),
        (IFLA_VLAN_ID, turned(id).to_ne_bytes().to_vec()),
        (IFLA_VLAN_FLAGS, flags.as_flattened().to_vec()),
    ];
    let mut data = Vec::new();
    for (kind, value) in all {
        let start = data.len();
        data.extend(attribute(kind, &value));
        for field in [start..start + 2, start + 2..start + 4] {
            if let Some(field) = data.get_mut(field).filter(|_| big_endian) {
                field.reverse();
            }
        }
    }
    data
}

fn add(all: &mut Vec<u8>, whole: &[u8]) {
    all.extend(whole);
    all.resize(all.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    const AF_SPEC: u16 = libc::IFLA_AF_SPEC;
    const SLAVE_KIND: u16 = libc::IFLA_INFO_SLAVE_KIND;

    /// A message about one end of a pair that is a port of a bridge.
    fn pair() -> Message {
        let kind = attribute(IFLA_INFO_KIND, b"veth\0");
        let port = attribute(SLAVE_KIND, b"bridge\0");
        let info = [kind, port].concat();
        let body = [
            vec![0; OF_LINK],
            attribute(IFLA_IFNAME, b"lan7\0"),
            attribute(IFLA_MAP, &[0; 32]),
            attribute(IFLA_LINK, &[9, 0, 0, 0]),
            attribute(IFLA_LINKINFO, &info),
            attribute(IFLA_LINK_NETNSID, &[0; 4]),
            attribute(AF_SPEC | 0x8000, &[1, 2, 3]),
        ];
        Message {
            kind: RTM_NEWLINK,
            flags: 2,
            sequence: 7,
            port: 3,
            body: body.concat(),
        }
    }

    fn known(kind: &str, below: u32) -> Link {
        Link::default().as_one(kind.into(), below)
    }

    #[test]
    fn a_pair_is_told_as_the_vlan_that_it_stands_in_for() {
        let told = retell(&pair(), &known("vlan", 4), Some(10), false).unwrap();
        assert!(told.body.len() <= pair().body.len());
        let of = |kind| told.attributes(OF_LINK).find(|(of, _)| *of == kind);
        assert_eq!(of(IFLA_LINK).unwrap().1, [4, 0, 0, 0]);
        assert_eq!((of(IFLA_LINK_NETNSID), of(IFLA_MAP)), (None, None));
        let flagged = whole_attributes(&told.body[OF_LINK..]).last().unwrap();
        assert!(flagged.0 == IFLA_LINKINFO);
        let (_, info) = of(IFLA_LINKINFO).unwrap();
        assert_eq!(attribute_of(info, IFLA_INFO_KIND).unwrap(), b"vlan\0");
        assert_eq!(attribute_of(info, SLAVE_KIND).unwrap(), b"bridge\0");
        let data = attribute_of(info, IFLA_INFO_DATA).unwrap();
        assert_eq!(attribute_of(data, IFLA_VLAN_ID).unwrap(), [10, 0]);
        assert_eq!(attribute_of(data, IFLA_VLAN_PROTOCOL).unwrap(), [0x81, 0]);
        let nested = whole_attributes(&told.body[OF_LINK..]).find(|(kind, _)| *kind == AF_SPEC);
        assert_eq!(nested.unwrap().1[3], 0x80, "what was marked stays so");
    }

    #[test]
    fn the_data_of_a_vlan_is_in_the_guests_order() {
        let data = vlan_data(10, true);
        assert_eq!(data[..8], [0, 6, 0, 5, 0x81, 0, 0, 0]);
        assert_eq!(data[8..16], [0, 6, 0, 1, 0, 10, 0, 0]);
        assert_eq!(data[16..24], [0, 12, 0, 2, 0, 0, 0, 1]);
    }

    #[test]
    fn one_of_the_plan_is_of_no_kind_and_nothing_becomes_longer() {
        let told = retell(&pair(), &known("", 0), None, false).unwrap();
        let (_, info) = told
            .attributes(OF_LINK)
            .find(|(kind, _)| *kind == IFLA_LINKINFO)
            .unwrap();
        assert_eq!(attribute_of(info, IFLA_INFO_KIND), None);
        assert!(attribute_of(info, SLAVE_KIND).is_some());
        let short = Message {
            body: [vec![0; OF_LINK], attribute(IFLA_IFNAME, b"lan7\0")].concat(),
            ..pair()
        };
        assert_eq!(retell(&short, &known("vlan", 4), Some(1), false), None);
    }
}
