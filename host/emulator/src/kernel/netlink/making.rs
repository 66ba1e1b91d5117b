//! Interfaces that are made, changed and removed.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, AsRawFd};

use libc::{
    IFLA_ADDRESS, IFLA_IFNAME, IFLA_INFO_DATA, IFLA_INFO_KIND, IFLA_LINK, IFLA_LINKINFO,
    IFLA_MASTER, IFLA_NET_NS_FD, RTM_DELLINK, RTM_NEWLINK,
};

use crate::kernel::netlink::message::{attribute, text};
use crate::kernel::netlink::{CREATE, EXCLUSIVE, Netlink, interface, of_index};

const IFF_UP: u32 = libc::IFF_UP.cast_unsigned();
/// `VETH_INFO_PEER` of `linux/veth.h`, and `IFLA_VLAN_ID` of `linux/if_link.h`: libc has neither.
const VETH_INFO_PEER: u16 = 1;
/// The number of a VLAN.
pub const IFLA_VLAN_ID: u16 = 1;

impl Netlink {
    /// Set an interface up.
    pub fn up(&self, name: &str) -> io::Result<()> {
        let mut body = interface(IFF_UP);
        body.extend(attribute(IFLA_IFNAME, &text(name)));
        self.request(RTM_NEWLINK, 0, body)
    }

    /// Make an interface: a bridge where the name says so, else a dummy, else (without that kernel
    /// module) one end of a pair whose other end is in the namespace `elsewhere`.
    pub fn add(&self, name: &str, mac: [u8; 6], elsewhere: impl AsFd) -> io::Result<()> {
        let made = if name.starts_with("br") {
            self.add_kind(name, Some(mac), "bridge", &[])
        } else {
            self.add_kind(name, Some(mac), "dummy", &[])
        };
        made.or_else(|_| self.add_pair(name, Some(mac), name, &elsewhere))
    }

    /// Make one end of a pair whose other end, `peer`, is in the namespace `elsewhere`. The
    /// kernel chooses an address where there is none.
    pub fn add_pair(
        &self,
        name: &str,
        mac: Option<[u8; 6]>,
        peer: &str,
        elsewhere: impl AsFd,
    ) -> io::Result<()> {
        let mut other = interface(0);
        other.extend(attribute(IFLA_IFNAME, &text(peer)));
        other.extend(attribute(
            IFLA_NET_NS_FD,
            &elsewhere.as_fd().as_raw_fd().to_ne_bytes(),
        ));
        self.add_kind(name, mac, "veth", &attribute(VETH_INFO_PEER, &other))
    }

    fn add_kind(
        &self,
        name: &str,
        mac: Option<[u8; 6]>,
        kind: &str,
        data: &[u8],
    ) -> io::Result<()> {
        let mut info = attribute(IFLA_INFO_KIND, &text(kind));
        if !data.is_empty() {
            info.extend(attribute(IFLA_INFO_DATA, data));
        }
        let mut body = interface(0);
        body.extend(attribute(IFLA_IFNAME, &text(name)));
        if let Some(mac) = mac {
            body.extend(attribute(IFLA_ADDRESS, &mac));
        }
        body.extend(attribute(IFLA_LINKINFO, &info));
        self.request(RTM_NEWLINK, CREATE | EXCLUSIVE, body)
    }

    /// Make a bridge.
    pub fn add_bridge(&self, name: &str) -> io::Result<()> {
        self.add_kind(name, None, "bridge", &[])
    }

    /// Make the VLAN `id` of the interface `on`.
    pub fn add_vlan(&self, name: &str, on: &str, id: u16) -> io::Result<()> {
        let mut info = attribute(IFLA_INFO_KIND, &text("vlan"));
        info.extend(attribute(
            IFLA_INFO_DATA,
            &attribute(IFLA_VLAN_ID, &id.to_ne_bytes()),
        ));
        let mut body = interface(0);
        body.extend(attribute(IFLA_IFNAME, &text(name)));
        body.extend(attribute(IFLA_LINK, &self.link(on)?.index.to_ne_bytes()));
        body.extend(attribute(IFLA_LINKINFO, &info));
        self.request(RTM_NEWLINK, CREATE | EXCLUSIVE, body)
    }

    /// Give an interface an address on its link.
    pub fn set_mac(&self, index: u32, mac: [u8; 6]) -> io::Result<()> {
        let mut body = of_index(index);
        body.extend(attribute(IFLA_ADDRESS, &mac));
        self.request(RTM_NEWLINK, 0, body)
    }

    /// Have packets for everybody else go out by an interface, to `gateway`.
    pub fn add_default_route(&self, index: u32, gateway: Ipv4Addr) -> io::Result<()> {
        /// A `struct rtmsg` of IPv4, for every destination: in the main table, set when the machine
        /// began, to be reached by others (`RT_TABLE_MAIN`, `RTPROT_BOOT`, `RTN_UNICAST`).
        const ROUTE: [u8; 12] = [2, 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0];
        let mut body = ROUTE.to_vec();
        body.extend(attribute(libc::RTA_GATEWAY, &gateway.octets()));
        body.extend(attribute(libc::RTA_OIF, &index.to_ne_bytes()));
        self.request(libc::RTM_NEWROUTE, CREATE | EXCLUSIVE, body)
    }

    /// Remove an interface.
    pub fn delete(&self, index: u32) -> io::Result<()> {
        self.request(RTM_DELLINK, 0, of_index(index))
    }

    /// Make an interface a port of the bridge with a number, or of none (0).
    pub fn set_master(&self, port: u32, bridge: u32) -> io::Result<()> {
        let mut body = of_index(port);
        body.extend(attribute(IFLA_MASTER, &bridge.to_ne_bytes()));
        self.request(RTM_NEWLINK, 0, body)
    }

    /// Give an interface an address, of which so many bits name its network. One of IPv6 is taken
    /// without asking the network first.
    pub fn add_address(&self, index: u32, ip: IpAddr, prefix: u8) -> io::Result<()> {
        /// `AF_INET` and `AF_INET6`, which libc has as `int`.
        const FAMILY: u8 = 2;
        const FAMILY_6: u8 = 10;
        /// `IFA_F_NODAD` of `linux/if_addr.h`.
        const WITHOUT_ASKING: u8 = 2;
        let (mut body, address, broadcast) = match ip {
            IpAddr::V4(ip) => {
                let bits = u32::from(ip) | u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
                let broadcast = bits.to_be_bytes().to_vec();
                (
                    vec![FAMILY, prefix, 0, 0],
                    ip.octets().to_vec(),
                    Some(broadcast),
                )
            }
            IpAddr::V6(ip) => {
                let body = vec![FAMILY_6, prefix, WITHOUT_ASKING, 0];
                (body, ip.octets().to_vec(), None)
            }
        };
        body.extend(index.to_ne_bytes());
        body.extend(attribute(libc::IFA_LOCAL, &address));
        body.extend(attribute(libc::IFA_ADDRESS, &address));
        if let Some(broadcast) = broadcast {
            body.extend(attribute(libc::IFA_BROADCAST, &broadcast));
        }
        self.request(libc::RTM_NEWADDR, CREATE | EXCLUSIVE, body)
    }
}
