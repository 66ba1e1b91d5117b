//! Network interfaces that a guest wants to be made, and what they can be made of.

use std::os::fd::OwnedFd;

use crate::kernel::netlink::Netlink;

/// The namespace in which the other ends of pairs are.
#[derive(Debug)]
pub struct Elsewhere {
    /// The namespace.
    pub namespace: OwnedFd,
    /// A connection to it.
    pub network: Netlink,
}

/// A VLAN: of which interface, and its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vlan {
    /// The interface's name.
    pub on: String,
    /// Its number.
    pub id: u16,
}

/// An interface that the guest wants to be made.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Its name; `dummy%d` is the first of these that is free.
    pub name: String,
    /// Its kind, by the name that rtnetlink has for it.
    pub kind: String,
    /// What it is of, where it is a VLAN.
    pub vlan: Option<Vlan>,
}

/// How an interface came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// As the guest wanted it.
    AsWanted,
    /// The host's kernel has no such kind: one of a pair stands in for it.
    StandIn,
}

/// How VLANs are named that are made without a name (`enum vlan_name_types`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Naming {
    /// `vlan0005`
    VlanPadded,
    /// `vlan5`
    Vlan,
    /// `eth0.0005`
    RawPadded,
    /// `eth0.5`
    #[default]
    Raw,
}

impl Naming {
    /// By the kernel's number for it.
    pub fn by_number(number: u32) -> Option<Self> {
        let all = [Self::VlanPadded, Self::Vlan, Self::RawPadded, Self::Raw];
        all.get(usize::try_from(number).ok()?).copied()
    }

    /// The name of a VLAN.
    pub fn name(self, vlan: &Vlan) -> String {
        let Vlan { on, id } = vlan;
        match self {
            Self::VlanPadded => format!("vlan{id:04}"),
            Self::Vlan => format!("vlan{id}"),
            Self::RawPadded => format!("{on}.{id:04}"),
            Self::Raw => format!("{on}.{id}"),
        }
    }

    /// The name that `/proc/net/vlan/config` has for it.
    pub fn table_name(self) -> &'static str {
        match self {
            Self::VlanPadded => "VLAN_NAME_TYPE_PLUS_VID",
            Self::Vlan => "VLAN_NAME_TYPE_PLUS_VID_NO_PAD",
            Self::RawPadded => "VLAN_NAME_TYPE_RAW_PLUS_VID",
            Self::Raw => "VLAN_NAME_TYPE_RAW_PLUS_VID_NO_PAD",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vlans_are_named_as_the_firmware_has_chosen() {
        let vlan = Vlan {
            on: "eth0".into(),
            id: 5,
        };
        let names: Vec<_> = (0..4)
            .map(|number| Naming::by_number(number).unwrap().name(&vlan))
            .collect();
        assert_eq!(names, ["vlan0005", "vlan5", "eth0.0005", "eth0.5"]);
        assert_eq!(Naming::by_number(4), None);
        assert_eq!(Naming::default(), Naming::Raw);
    }
}
