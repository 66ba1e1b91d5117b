//! An interface as a message tells of it, and as `/sys/class/net` would.

use libc::{
    IFLA_ADDRESS, IFLA_CARRIER, IFLA_IFNAME, IFLA_INFO_KIND, IFLA_LINK, IFLA_LINKINFO, IFLA_MASTER,
    IFLA_MTU, IFLA_OPERSTATE, IFLA_STATS64, IFLA_TXQLEN,
};

use crate::kernel::netlink::message::{
    HEADER, IFLA_LINK_NETNSID, OF_LINK, attribute_of, attributes, long, name_of, short,
};

/// What is known of an interface.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// Its number.
    pub index: u32,
    /// The number of the bridge that it is a port of, 0 for none.
    pub master: u32,
    /// The kind that a netlink message gave when it was made.
    pub made_as: String,
    /// The number of the interface that it is made of, 0 for none that the guest can see.
    pub below: u32,
    kind: u16,
    flags: u32,
    address: Vec<u8>,
    mtu: u32,
    queue: u32,
    state: u8,
    carrier: u8,
    /// What it has counted (`struct rtnl_link_stats64`).
    counts: Vec<u64>,
}

/// Flags that `/sys` does not show, because they are the driver's: running, and those beyond 16
/// bits.
const DRIVERS_FLAGS: u32 = 0xFFFF_0040;

/// Kinds that the kernel tells of in events (`DEVTYPE`).
const TYPES: [&str; 6] = ["bond", "bridge", "macvlan", "ppp", "vlan", "vxlan"];

impl Link {
    /// What a message (`RTM_NEWLINK`) tells.
    pub fn parse(answer: &[u8]) -> Option<Self> {
        Self::of_body(answer.get(HEADER..)?)
    }

    /// As [`Link::parse`], of what follows the message's header.
    pub fn of_body(body: &[u8]) -> Option<Self> {
        let mut link = Self {
            kind: short(body, 2)?,
            index: long(body, 4)?,
            flags: long(body, 8)? & !DRIVERS_FLAGS,
            ..Self::default()
        };
        let mut is_elsewhere = false;
        for (kind, value) in attributes(body.get(OF_LINK..)?) {
            let number = || long(value, 0);
            let byte = value.first().copied().unwrap_or(0);
            match kind {
                IFLA_IFNAME => link.name = name_of(value),
                IFLA_ADDRESS => link.address = value.to_vec(),
                IFLA_MTU => link.mtu = number()?,
                IFLA_TXQLEN => link.queue = number()?,
                IFLA_MASTER => link.master = number()?,
                IFLA_LINK => link.below = number()?,
                IFLA_LINK_NETNSID => is_elsewhere = true,
                IFLA_STATS64 => {
                    let (counts, _) = value.as_chunks::<8>();
                    link.counts = counts
                        .iter()
                        .map(|count| u64::from_ne_bytes(*count))
                        .collect();
                }
                IFLA_OPERSTATE => link.state = byte,
                IFLA_CARRIER => link.carrier = byte,
                IFLA_LINKINFO => {
                    let kind = attribute_of(value, IFLA_INFO_KIND);
                    link.made_as = kind.map(name_of).unwrap_or_default();
                }
                _ => {}
            }
        }
        // The other end of a pair is in a namespace that the guest knows nothing of.
        if is_elsewhere {
            link.below = 0;
        }
        Some(link)
    }

    /// The same interface, as one of a kind that is made of another.
    #[must_use]
    pub fn as_one(self, made_as: String, below: u32) -> Self {
        Self {
            made_as,
            below,
            ..self
        }
    }

    /// Whether it is a bridge.
    pub fn is_bridge(&self) -> bool {
        self.made_as == "bridge"
    }

    /// Whether it is up and has a carrier.
    pub fn has_carrier(&self) -> bool {
        self.is_up() && self.carrier != 0
    }

    fn is_up(&self) -> bool {
        self.flags & libc::IFF_UP.cast_unsigned() != 0
    }

    /// Its hardware address, where that is one of Ethernet.
    pub fn mac(&self) -> Option<[u8; 6]> {
        self.address.as_slice().try_into().ok()
    }

    /// What it has counted, by the place in the kernel's order.
    pub fn count(&self, place: usize) -> u64 {
        self.counts.get(place).copied().unwrap_or(0)
    }

    /// The text of one of its files.
    pub fn describe(&self, file: &str) -> Option<String> {
        let states = [
            "unknown",
            "notpresent",
            "down",
            "lowerlayerdown",
            "testing",
            "dormant",
            "up",
        ];
        let hexadecimal = |bytes: &[u8]| {
            let bytes: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            bytes.join(":")
        };
        let value = match file {
            "address" => hexadecimal(&self.address),
            "broadcast" => hexadecimal(&vec![0xFF; self.address.len()]),
            "addr_len" => self.address.len().to_string(),
            "mtu" => self.mtu.to_string(),
            "tx_queue_len" => self.queue.to_string(),
            "flags" => format!("{:#x}", self.flags),
            "iflink" if self.below != 0 => self.below.to_string(),
            "ifindex" | "iflink" => self.index.to_string(),
            "type" => self.kind.to_string(),
            "operstate" => (*states.get(usize::from(self.state))?).to_owned(),
            "bridge/bridge_id" | "bridge/root_id" => {
                format!("8000.{}", hexadecimal(&self.address).replace(':', ""))
            }
            "carrier" => self.carrier.to_string(),
            "uevent" => return Some(self.about()),
            _ => return None,
        };
        Some(value + "\n")
    }

    fn about(&self) -> String {
        let kind = match self.made_as.as_str() {
            kind if TYPES.contains(&kind) => format!("DEVTYPE={kind}\n"),
            _ => String::new(),
        };
        format!("{kind}INTERFACE={}\nIFINDEX={}\n", self.name, self.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::netlink::message::attribute;

    #[test]
    fn an_interface_is_described_as_sysfs_would() {
        let mut answer = vec![0; 16];
        answer.extend([0, 0, 1, 0, 2, 0, 0, 0, 0x43, 0x10, 1, 0, 0, 0, 0, 0]);
        answer.extend(attribute(IFLA_IFNAME, b"eth0\0"));
        answer.extend(attribute(IFLA_ADDRESS, &[0x52, 0x54, 0, 0x12, 0x34, 0x56]));
        answer.extend(attribute(IFLA_MTU, &1500_u32.to_ne_bytes()));
        answer.extend(attribute(IFLA_TXQLEN, &1000_u32.to_ne_bytes()));
        answer.extend(attribute(IFLA_OPERSTATE, &[6]));
        answer.extend(attribute(
            IFLA_LINKINFO,
            &attribute(IFLA_INFO_KIND, b"veth\0"),
        ));
        let link = Link::parse(&answer).unwrap();
        assert_eq!(link.made_as, "veth");
        for (file, text) in [
            ("address", "52:54:00:12:34:56\n"),
            ("broadcast", "ff:ff:ff:ff:ff:ff\n"),
            ("addr_len", "6\n"),
            ("mtu", "1500\n"),
            ("tx_queue_len", "1000\n"),
            ("flags", "0x1003\n"),
            ("ifindex", "2\n"),
            ("type", "1\n"),
            ("operstate", "up\n"),
            ("uevent", "INTERFACE=eth0\nIFINDEX=2\n"),
        ] {
            assert_eq!(link.describe(file).as_deref(), Some(text));
        }
        assert_eq!(link.describe("statistics/rx_bytes"), None);
        assert_eq!(link.describe("iflink").as_deref(), Some("2\n"));
        answer.extend(attribute(IFLA_LINK, &[7, 0, 0, 0]));
        let of_another = Link::parse(&answer).unwrap();
        assert_eq!(of_another.describe("iflink").as_deref(), Some("7\n"));
        answer.extend(attribute(IFLA_LINK_NETNSID, &[0; 4]));
        let elsewhere = Link::parse(&answer).unwrap();
        assert_eq!(elsewhere.describe("iflink").as_deref(), Some("2\n"));
        let vlan = Link {
            made_as: "vlan".into(),
            ..elsewhere
        };
        let told = "DEVTYPE=vlan\nINTERFACE=eth0\nIFINDEX=2\n";
        assert_eq!(vlan.describe("uevent").as_deref(), Some(told));
        assert_eq!(Link::parse(&answer[..20]), None);
    }
}
