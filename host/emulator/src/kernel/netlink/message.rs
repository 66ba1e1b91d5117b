//! Messages of rtnetlink: a header, a fixed part by the kind, and attributes (`netlink(7)`,
//! `rtnetlink(7)`).

/// The length of a header (`struct nlmsghdr`).
pub const HEADER: usize = 16;
/// The length of the fixed part of a message about an interface (`struct ifinfomsg`).
pub const OF_LINK: usize = 16;
/// The length of that about an address (`struct ifaddrmsg`).
pub const OF_ADDRESS: usize = 8;

/// Attributes that name a namespace (`linux/if_link.h`), which libc does not have: that of the
/// interface that another is made of.
pub const IFLA_LINK_NETNSID: u16 = 37;
/// The namespace that a request is about.
pub const IFLA_TARGET_NETNSID: u16 = 46;

/// Set on the kind of an attribute that holds attributes, which says nothing more.
const FLAGS: u16 = 0xC000;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What it asks for or tells (`RTM_*`, `NLMSG_*`).
    pub kind: u16,
    /// `NLM_F_*`.
    pub flags: u16,
    /// The same in a request and its answer.
    pub sequence: u32,
    /// The sender's port.
    pub port: u32,
    /// What follows the header.
    pub body: Vec<u8>,
}

impl Message {
    /// The message that these bytes begin with, and the length that it takes.
    pub fn first(bytes: &[u8]) -> Option<(Self, usize)> {
        let length = usize::try_from(long(bytes, 0)?).ok()?;
        let message = Self {
            kind: short(bytes, 4)?,
            flags: short(bytes, 6)?,
            sequence: long(bytes, 8)?,
            port: long(bytes, 12)?,
            body: bytes.get(HEADER..length)?.to_vec(),
        };
        Some((message, length.next_multiple_of(4).min(bytes.len())))
    }

    /// The message of which these bytes are all.
    pub fn only(bytes: &[u8]) -> Option<Self> {
        let (message, length) = Self::first(bytes)?;
        (length == bytes.len()).then_some(message)
    }

    /// As it is sent.
    pub fn bytes(&self) -> Vec<u8> {
        let length = u32::try_from(HEADER + self.body.len()).unwrap_or(u32::MAX);
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend(self.kind.to_ne_bytes());
        bytes.extend(self.flags.to_ne_bytes());
        bytes.extend(self.sequence.to_ne_bytes());
        bytes.extend(self.port.to_ne_bytes());
        bytes.extend(&self.body);
        bytes
    }

    /// The errno that it reports, 0 for success; `None` where it is another message.
    pub fn error(&self) -> Option<i32> {
        let is_error = i32::from(self.kind) == libc::NLMSG_ERROR;
        let error = long(&self.body, 0)?.cast_signed();
        is_error.then_some(error.wrapping_neg())
    }

    /// Its attributes, behind a fixed part of this length.
    pub fn attributes(&self, fixed: usize) -> impl Iterator<Item = (u16, &[u8])> {
        attributes(self.body.get(fixed..).unwrap_or_default())
    }
}

/// The kinds of attributes, and what they hold. What is cut off ends them.
pub fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    whole_attributes(bytes).map(|(kind, whole)| (kind, whole.get(4..).unwrap_or_default()))
}

/// Attributes as they are, with their headers: their kinds, and their bytes without what pads them.
pub fn whole_attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = usize::from(short(rest, 0)?);
        let kind = short(rest, 2)? & !FLAGS;
        let whole = rest.get(..length).filter(|whole| whole.len() >= 4)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, whole))
    })
}

/// What the first attribute of a kind holds.
pub fn attribute_of(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    let mut all = attributes(bytes);
    all.find_map(|(of, value)| (of == kind).then_some(value))
}

/// An attribute.
pub fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    let mut attribute = length.to_ne_bytes().to_vec();
    attribute.extend(kind.to_ne_bytes());
    attribute.extend(value);
    attribute.resize(attribute.len().next_multiple_of(4), 0);
    attribute
}

/// A name as an attribute holds it.
pub fn text(name: &str) -> Vec<u8> {
    [name.as_bytes(), &[0]].concat()
}

/// The name that an attribute holds.
pub fn name_of(value: &[u8]) -> String {
    let name = value.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(name).into_owned()
}

/// The number of 16 bits at a place.
pub fn short(bytes: &[u8], at: usize) -> Option<u16> {
    let value = bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
    Some(u16::from_ne_bytes(value))
}

/// The number of 32 bits at a place.
pub fn long(bytes: &[u8], at: usize) -> Option<u32> {
    let value = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
    Some(u32::from_ne_bytes(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_carry_their_true_length() {
        assert_eq!(attribute(3, b"lo\0"), [7, 0, 3, 0, b'l', b'o', 0, 0]);
        let two = [attribute(3, b"lo\0"), attribute(0x8004, &[1, 2])].concat();
        let all: Vec<_> = attributes(&two).collect();
        assert_eq!(all, [(3, &b"lo\0"[..]), (4, &[1, 2][..])]);
        assert_eq!(attribute_of(&two, 4), Some(&[1, 2][..]));
        assert_eq!(attributes(&[3, 0, 1, 0]).count(), 0, "too short for itself");
        assert_eq!(attributes(&[9, 0, 1, 0, 7]).count(), 0, "cut off");
    }

    #[test]
    fn a_message_is_read_as_it_was_written() {
        let message = Message {
            kind: libc::RTM_NEWLINK,
            flags: 5,
            sequence: 7,
            port: 0,
            body: vec![1, 2, 3],
        };
        let bytes = message.bytes();
        assert_eq!(Message::only(&bytes), Some(message.clone()));
        assert_eq!(
            Message::only(&[bytes.clone(), bytes.clone()].concat()),
            None
        );
        for length in 0..bytes.len() {
            assert_eq!(Message::first(&bytes[..length]), None, "{length}");
        }
        let refused = Message {
            kind: u16::try_from(libc::NLMSG_ERROR).unwrap(),
            body: (-libc::ENODEV).to_ne_bytes().to_vec(),
            ..message.clone()
        };
        assert_eq!(refused.error(), Some(libc::ENODEV));
        assert_eq!(message.error(), None);
    }
}
