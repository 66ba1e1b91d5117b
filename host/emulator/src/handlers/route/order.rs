//! The byte order of a request: of a guest that has another than its host, the emulator turns what
//! it knows of a message around, and leaves the rest as the guest wrote it.

use libc::{IFLA_INFO_DATA, IFLA_INFO_KIND, IFLA_LINKINFO};

use crate::kernel::netlink::message::{Message, OF_ADDRESS, OF_LINK, name_of};

/// Numbers of 32 bits about an interface: of bytes, of another interface, of queues.
const OF_LINKS: &[u16] = &[
    libc::IFLA_MTU,
    libc::IFLA_LINK,
    libc::IFLA_MASTER,
    libc::IFLA_TXQLEN,
    libc::IFLA_GROUP,
    libc::IFLA_NET_NS_PID,
    libc::IFLA_NET_NS_FD,
    libc::IFLA_NUM_TX_QUEUES,
    libc::IFLA_NUM_RX_QUEUES,
    libc::IFLA_EXT_MASK,
];
const OF_ADDRESSES: &[u16] = &[libc::IFA_FLAGS];
const OF_ROUTES: &[u16] = &[libc::RTA_TABLE, libc::RTA_PRIORITY, libc::RTA_OIF];
/// The length of the fixed part of a message about a route (`struct rtmsg`).
const OF_ROUTE: usize = 12;

/// Kinds of interfaces whose data is numbers, and those that have one order everywhere.
const NUMBERS: &[(&str, &[u16])] = &[
    // `IFLA_VLAN_PROTOCOL`
    ("vlan", &[5]),
    // `IFLA_BR_VLAN_PROTOCOL`
    ("bridge", &[8]),
    ("macvlan", &[]),
    ("bond", &[]),
];

/// A number beyond this is one of the other order, where it is none beyond it turned around.
const USUAL: u32 = 0xFFFF;

/// Turn around what the emulator of a guest that is `big_endian` has left.
pub fn put_right(message: &mut Message, big_endian: bool) {
    if !big_endian {
        return;
    }
    if whole(message) {
        return;
    }
    let kinds: &[(u16, usize, &[u16])] = &[
        (libc::RTM_NEWLINK, OF_LINK, OF_LINKS),
        (libc::RTM_NEWADDR, OF_ADDRESS, OF_ADDRESSES),
        (libc::RTM_NEWROUTE, OF_ROUTE, OF_ROUTES),
    ];
    let of = |(first, ..): &&(u16, usize, &[u16])| (*first..first + 4).contains(&message.kind);
    let Some((first, fixed, numbers)) = kinds.iter().find(of).copied() else {
        return;
    };
    let Some(attributes) = message.body.get_mut(fixed..) else {
        return;
    };
    each(attributes, false, |kind, value| {
        if first == libc::RTM_NEWLINK && kind == IFLA_LINKINFO {
            info(value);
        } else if numbers.contains(&kind)
            && let Ok(bytes) = <[u8; 4]>::try_from(&*value)
        {
            let number = u32::from_ne_bytes(bytes);
            if number > USUAL && number.swap_bytes() <= USUAL {
                value.reverse();
            }
        }
    });
}

/// Messages that the emulator leaves as they are: their kind, the numbers in their fixed part, by
/// where they begin and their length, and its length, and attributes of 32 bits.
type Whole = (u16, &'static [(usize, usize)], usize, &'static [u16]);
const WHOLE: &[Whole] = &[
    (
        libc::RTM_SETLINK,
        &[(2, 2), (4, 4), (8, 4), (12, 4)],
        OF_LINK,
        OF_LINKS,
    ),
    (libc::RTM_NEWNEIGH, &[(4, 4), (8, 2)], 12, &[]),
    (libc::RTM_DELNEIGH, &[(4, 4), (8, 2)], 12, &[]),
    // `FRA_GOTO`, `FRA_PRIORITY`, `FRA_FWMARK`, `FRA_TABLE`, `FRA_FWMASK`
    (libc::RTM_NEWRULE, &[(8, 4)], 12, &[4, 6, 10, 15, 16]),
    (libc::RTM_DELRULE, &[(8, 4)], 12, &[4, 6, 10, 15, 16]),
];

/// Turn around a message that is wholly in the other order.
fn whole(message: &mut Message) -> bool {
    let of = |known: &&Whole| known.0 == message.kind;
    let Some((_, fields, fixed, numbers)) = WHOLE.iter().find(of) else {
        return false;
    };
    let attributes = message.body.get_mut(*fixed..).unwrap_or_default();
    if !is_turned(attributes) {
        return true;
    }
    each(attributes, true, |kind, value| {
        if kind == IFLA_LINKINFO && *fixed == OF_LINK {
            info(value);
        } else if numbers.contains(&kind) && value.len() == 4 {
            value.reverse();
        }
    });
    for (at, length) in *fields {
        if let Some(field) = message.body.get_mut(*at..at + length) {
            field.reverse();
        }
    }
    true
}

/// What an interface is: a name, and data by that.
fn info(value: &mut [u8]) {
    if !is_turned(value) {
        return;
    }
    let mut name = String::new();
    each(value, true, |kind, value| match kind {
        IFLA_INFO_KIND => name = name_of(value),
        IFLA_INFO_DATA => {
            let known = NUMBERS.iter().find(|(known, _)| *known == name);
            each(value, true, |kind, value| {
                let numbers = known.is_some_and(|(_, others)| !others.contains(&kind));
                if numbers && matches!(value.len(), 2 | 4) {
                    value.reverse();
                }
            });
        }
        _ => {}
    });
}

/// Whether the first attribute's length makes sense in the other order only.
fn is_turned(attributes: &[u8]) -> bool {
    let Some(Ok(length)) = attributes.get(..2).map(<[u8; 2]>::try_from) else {
        return false;
    };
    let fits = |length: u16| (4..=attributes.len()).contains(&usize::from(length));
    let length = u16::from_ne_bytes(length);
    !fits(length) && fits(length.swap_bytes())
}

/// Give `each` the kinds of attributes and what they hold, after their headers were turned around
/// where that is wanted.
fn each(attributes: &mut [u8], turn: bool, mut each: impl FnMut(u16, &mut [u8])) {
    let mut rest = attributes;
    while rest.len() >= 4 {
        if turn {
            rest[..2].reverse();
            rest[2..4].reverse();
        }
        let (header, _) = rest.split_at(4);
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let kind = u16::from_ne_bytes([header[2], header[3]]) & 0x3FFF;
        let Some(value) = rest.get_mut(4..length) else {
            return;
        };
        each(kind, value);
        let next = length.next_multiple_of(4).min(rest.len());
        rest = rest.split_at_mut(next).1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::netlink::IFLA_VLAN_ID;
    use crate::kernel::netlink::message::attribute;

    /// An attribute as the guest of the other order has it.
    fn turned(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = attribute(kind, value);
        bytes[..2].reverse();
        bytes[2..4].reverse();
        bytes
    }

    fn message(attributes: &[Vec<u8>]) -> Message {
        Message {
            kind: libc::RTM_NEWLINK,
            flags: 0,
            sequence: 0,
            port: 0,
            body: [vec![0; OF_LINK], attributes.concat()].concat(),
        }
    }

    #[test]
    fn what_the_emulator_left_is_turned_around_once() {
        let id = turned(IFLA_VLAN_ID, &5_u16.swap_bytes().to_ne_bytes());
        let protocol = turned(5, &[0x81, 0]);
        let data = turned(IFLA_INFO_DATA, &[id, protocol].concat());
        let info = [turned(IFLA_INFO_KIND, b"vlan\0"), data].concat();
        let number = |number: u32| attribute(libc::IFLA_LINK, &number.to_ne_bytes());
        let mut sent = message(&[number(3_u32.swap_bytes()), attribute(IFLA_LINKINFO, &info)]);
        let right = message(&[
            number(3),
            attribute(
                IFLA_LINKINFO,
                &[
                    attribute(IFLA_INFO_KIND, b"vlan\0"),
                    attribute(
                        IFLA_INFO_DATA,
                        &[
                            attribute(IFLA_VLAN_ID, &5_u16.to_ne_bytes()),
                            attribute(5, &[0x81, 0]),
                        ]
                        .concat(),
                    ),
                ]
                .concat(),
            ),
        ]);
        let original = sent.clone();
        put_right(&mut sent, false);
        assert_eq!(sent, original);
        for _ in 0..2 {
            put_right(&mut sent, true);
            assert_eq!(sent, right);
        }
    }

    #[test]
    fn what_is_cut_off_is_left_as_it_is() {
        for length in 0..40 {
            let mut bytes = vec![0xFF; length];
            each(&mut bytes, true, |_, value| value.reverse());
            let mut sent = message(&[vec![0xFF; length]]);
            put_right(&mut sent, true);
            assert_eq!(sent.body.len(), OF_LINK + length);
        }
    }
}
