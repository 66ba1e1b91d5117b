//! Frames of Ethernet with ARP, IPv4, UDP and ICMP: as much as to answer a guest's.

use std::net::Ipv4Addr;

/// The address on the link of whoever answers.
pub const OUR_MAC: [u8; 6] = [0x52, 0x55, 0x0A, 0, 2, 2];

const ETHERNET: usize = 14;
const IPV4: usize = 20;
const UDP: usize = 8;
const TYPE_IPV4: u16 = 0x0800;
const TYPE_ARP: u16 = 0x0806;
const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP_NUMBER: u8 = 17;
/// Routers on the way that a packet may pass.
const TTL: u8 = 64;

/// A datagram of UDP in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// The sender's address on the link.
    mac: [u8; 6],
    pub from: (Ipv4Addr, u16),
    pub to: (Ipv4Addr, u16),
    pub data: &'a [u8],
}

impl<'a> Datagram<'a> {
    /// The datagram that a frame holds whole.
    pub fn of(frame: &'a [u8]) -> Option<Self> {
        let packet = Packet::of(frame)?;
        if packet.protocol != UDP_NUMBER {
            return None;
        }
        let length = usize::from(short(packet.data, 4)?);
        Some(Self {
            mac: packet.mac,
            from: (packet.from, short(packet.data, 0)?),
            to: (packet.to, short(packet.data, 2)?),
            data: packet.data.get(UDP..length)?,
        })
    }

    /// The frame that takes `data` back to the sender.
    pub fn answer(&self, data: &[u8]) -> Vec<u8> {
        let mut datagram = self.to.1.to_be_bytes().to_vec();
        datagram.extend(self.from.1.to_be_bytes());
        datagram.extend(small(UDP + data.len()).to_be_bytes());
        // No checksum, which IPv4 lets a sender do.
        datagram.extend([0, 0]);
        datagram.extend(data);
        ipv4_frame(self.mac, self.to.0, self.from.0, UDP_NUMBER, &datagram)
    }
}

/// A packet of IPv4 in a frame, which is not a fragment.
struct Packet<'a> {
    mac: [u8; 6],
    from: Ipv4Addr,
    to: Ipv4Addr,
    protocol: u8,
    data: &'a [u8],
    whole: &'a [u8],
}

impl<'a> Packet<'a> {
    fn of(frame: &'a [u8]) -> Option<Self> {
        let whole = frame.get(ETHERNET..)?;
        let length = usize::from(short(whole, 2)?);
        let whole = whole.get(..length)?;
        let first = *whole.first()?;
        let header = usize::from(first & 15) * 4;
        let is_fragment = short(whole, 6)? & 0x3FFF != 0;
        let is_ipv4 = short(frame, 12)? == TYPE_IPV4 && first >> 4 == 4 && header >= IPV4;
        (is_ipv4 && !is_fragment).then_some(())?;
        Some(Self {
            mac: mac(frame, 6)?,
            from: address(whole, 12)?,
            to: address(whole, 16)?,
            protocol: *whole.get(9)?,
            data: whole.get(header..)?,
            whole,
        })
    }
}

/// What somebody else on the link says to a frame that nothing else answers: that every address is
/// here, and that nobody is at home.
pub fn refuse(frame: &[u8]) -> Option<Vec<u8>> {
    has_address(frame).or_else(|| unreachable(frame))
}

/// To the question who has an address: we. Not to a guest that asks whether its own is free.
fn has_address(frame: &[u8]) -> Option<Vec<u8>> {
    const REQUEST: [u8; 8] = [0, 1, 8, 0, 6, 4, 0, 1];
    let body = frame.get(ETHERNET..).filter(|body| body.len() >= 28)?;
    let (asking, asked) = (address(body, 14)?, address(body, 24)?);
    let is_question = short(frame, 12)? == TYPE_ARP && body.starts_with(&REQUEST);
    if !is_question || asking.is_unspecified() || asking == asked {
        return None;
    }
    let sender = mac(body, 8)?;
    let mut answer = ethernet(sender, TYPE_ARP);
    answer.extend([0, 1, 8, 0, 6, 4, 0, 2]);
    answer.extend(OUR_MAC);
    answer.extend(asked.octets());
    answer.extend(sender);
    answer.extend(asking.octets());
    Some(answer)
}

/// The question who has an address, as `asking` sends it.
pub fn who_has(asked: Ipv4Addr, sender: [u8; 6], asking: Ipv4Addr) -> Vec<u8> {
    let mut frame = vec![0xFF; 6];
    frame.extend(sender);
    frame.extend(TYPE_ARP.to_be_bytes());
    frame.extend([0, 1, 8, 0, 6, 4, 0, 1]);
    frame.extend(sender);
    frame.extend(asking.octets());
    frame.extend([0; 6]);
    frame.extend(asked.octets());
    frame
}

/// That a port is closed, to a datagram or a connection that is meant for one host.
fn unreachable(frame: &[u8]) -> Option<Vec<u8>> {
    const PORT_UNREACHABLE: [u8; 8] = [3, 3, 0, 0, 0, 0, 0, 0];
    let packet = Packet::of(frame)?;
    let is_for_one = !packet.to.is_broadcast() && !packet.to.is_multicast();
    let is_from_one = !packet.from.is_unspecified();
    let is_link_broadcast = frame.first()? & 1 != 0;
    if ![TCP, UDP_NUMBER].contains(&packet.protocol)
        || !is_for_one
        || !is_from_one
        || is_link_broadcast
    {
        return None;
    }
    let header = packet.whole.len() - packet.data.len();
    let mut message = PORT_UNREACHABLE.to_vec();
    message.extend(packet.whole.iter().take(header + 8));
    let sum = checksum(&message).to_be_bytes();
    message[2..4].copy_from_slice(&sum);
    Some(ipv4_frame(
        packet.mac,
        packet.to,
        packet.from,
        ICMP,
        &message,
    ))
}

fn ethernet(to: [u8; 6], kind: u16) -> Vec<u8> {
    [&to[..], &OUR_MAC, &kind.to_be_bytes()].concat()
}

fn ipv4_frame(mac: [u8; 6], from: Ipv4Addr, to: Ipv4Addr, protocol: u8, data: &[u8]) -> Vec<u8> {
    let mut header = vec![0x45, 0];
    header.extend(small(IPV4 + data.len()).to_be_bytes());
    header.extend([0, 0, 0, 0, TTL, protocol, 0, 0]);
    header.extend(from.octets());
    header.extend(to.octets());
    let sum = checksum(&header).to_be_bytes();
    header[10..12].copy_from_slice(&sum);
    [ethernet(mac, TYPE_IPV4), header, data.to_vec()].concat()
}

/// The checksum of the Internet (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|word| {
        let low = word.get(1).copied().unwrap_or(0);
        u32::from(u16::from_be_bytes([word[0], low]))
    });
    let mut sum: u32 = words.sum();
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

fn small(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
    Some(u16::from_be_bytes(bytes))
}

fn mac(bytes: &[u8], at: usize) -> Option<[u8; 6]> {
    bytes.get(at..at.checked_add(6)?)?.try_into().ok()
}

fn address(bytes: &[u8], at: usize) -> Option<Ipv4Addr> {
    let bytes: [u8; 4] = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
    Some(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUEST_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
    const GUEST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
    const OTHER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 3);

    fn sent(protocol: u8, data: &[u8]) -> Vec<u8> {
        let mut frame = ipv4_frame(OUR_MAC, GUEST, OTHER, protocol, data);
        frame[6..12].copy_from_slice(&GUEST_MAC);
        frame
    }

    fn datagram(data: &[u8]) -> Vec<u8> {
        let length = small(UDP + data.len()).to_be_bytes();
        let header = [&[0x30, 0x39, 0, 53][..], &length, &[0, 0]].concat();
        sent(UDP_NUMBER, &[&header, data].concat())
    }

    #[test]
    fn an_answer_goes_back_to_where_the_question_came_from() {
        let frame = datagram(b"question");
        let question = Datagram::of(&frame).unwrap();
        assert_eq!(question.data, b"question");
        assert_eq!((question.from, question.to), ((GUEST, 12345), (OTHER, 53)));
        let answer = question.answer(b"answer");
        assert_eq!(answer[..6], GUEST_MAC);
        assert_eq!(checksum(&answer[ETHERNET..ETHERNET + IPV4]), 0);
        let answer = Datagram::of(&answer).unwrap();
        assert_eq!((answer.from, answer.to), ((OTHER, 53), (GUEST, 12345)));
        assert_eq!(answer.data, b"answer");
    }

    #[test]
    fn every_address_is_taken_but_the_askers_own() {
        let question = who_has(OTHER, GUEST_MAC, GUEST);
        let answer = refuse(&question).unwrap();
        assert_eq!(answer[..6], GUEST_MAC);
        assert_eq!(mac(&answer, ETHERNET + 8), Some(OUR_MAC));
        assert_eq!(address(&answer, ETHERNET + 14), Some(OTHER));
        assert_eq!(refuse(&who_has(GUEST, GUEST_MAC, GUEST)), None);
        assert_eq!(
            refuse(&who_has(GUEST, GUEST_MAC, Ipv4Addr::UNSPECIFIED)),
            None
        );
        assert_eq!(refuse(&answer), None, "it is not a question");
    }

    #[test]
    fn a_connection_is_refused_and_nothing_answers_an_error() {
        let refused = refuse(&sent(TCP, &[7; 20])).unwrap();
        let packet = Packet::of(&refused).unwrap();
        assert_eq!(
            (packet.protocol, packet.from, packet.to),
            (ICMP, OTHER, GUEST)
        );
        assert_eq!(packet.data[..2], [3, 3]);
        assert_eq!(checksum(packet.data), 0);
        assert_eq!(packet.data.len(), 8 + IPV4 + 8);
        assert_eq!(refuse(&sent(ICMP, &[3; 20])), None);
    }

    #[test]
    fn what_is_cut_off_is_nothing() {
        let frame = datagram(b"question");
        for length in 0..frame.len() {
            assert_eq!(Datagram::of(&frame[..length]), None, "{length}");
            assert_eq!(refuse(&frame[..length]), None, "{length}");
        }
        let mut fragment = frame.clone();
        fragment[ETHERNET + 6] = 0x20;
        assert_eq!(Datagram::of(&fragment), None);
        let mut short = frame;
        short[ETHERNET + IPV4 + 5] = 4;
        assert_eq!(Datagram::of(&short), None, "shorter than its own header");
    }
}
