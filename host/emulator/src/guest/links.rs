//! The guest's network interfaces beyond what the kernel says of them: which of them the firmware
//! has yet to make itself, which stand in for a kind that the host's kernel cannot make, and which
//! are VLANs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io;

use rookery_runs::plan::{Address, Plan};

use crate::kernel::netlink::{Link, Netlink};
use crate::network::wanted::{Elsewhere, Made, Naming, Vlan, Wanted};

/// Interfaces that are kept in mind; the guest's run ends before it has so many.
const KEPT_MAX: usize = 256;
/// Numbers that are tried for an interface that asks for a number of its own (`dummy%d`).
const NUMBERS: u32 = 64;
/// Kinds that are told of.
const NUMBERS_OF_KINDS: usize = 16;
/// The numbers of VLANs are below this.
const VLANS: u16 = 4095;

/// What interfaces are made as of which the guest is told another kind, or none.
pub const MADE_AS: [&str; 2] = ["veth", "dummy"];

/// The interfaces.
#[derive(Debug, Default)]
pub struct Links {
    elsewhere: Option<Elsewhere>,
    /// Those of the plan that the guest has not made itself.
    beforehand: BTreeSet<String>,
    addresses: Vec<Address>,
    /// Those that stand in for a kind that the host's kernel has not, and that kind.
    stand_ins: BTreeMap<String, String>,
    vlans: BTreeMap<String, Vlan>,
    /// How VLANs are named.
    naming: Naming,
    peers: u32,
    last_stand_in: String,
    /// Kinds that the run's notes tell of.
    told: BTreeSet<String>,
}

impl Links {
    /// Those of a plan. Without `elsewhere` nothing can stand in for another kind.
    pub fn new(plan: &Plan, elsewhere: Option<Elsewhere>) -> Self {
        Self {
            elsewhere,
            beforehand: plan.netdevs.iter().cloned().collect(),
            addresses: plan.addresses.clone(),
            ..Self::default()
        }
    }

    /// Make an interface by `by_kernel`. One of the plan of that name gives way, once: what the
    /// firmware makes itself is what it wants. Where the kernel has no such kind, another
    /// interface stands in for it.
    pub fn make(
        &mut self,
        network: &Netlink,
        wanted: &Wanted,
        by_kernel: impl Fn() -> io::Result<()>,
    ) -> io::Result<Made> {
        if self.is_taken(wanted) {
            return Err(errno(libc::EEXIST));
        }
        let gives_way = |links: &mut Self| {
            let planned = links.beforehand.remove(&wanted.name);
            let link = || network.link(&wanted.name);
            planned.then(|| link().and_then(|link| network.delete(link.index)))
        };
        let mut result = by_kernel();
        if code(&result) == Some(libc::EEXIST)
            && let Some(gone) = gives_way(self)
        {
            gone?;
            result = by_kernel();
        }
        let made = if code(&result) == Some(libc::EOPNOTSUPP) {
            gives_way(self).transpose()?;
            self.stand_in(network, wanted)?;
            Made::StandIn
        } else {
            result?;
            Made::AsWanted
        };
        self.beforehand.remove(&wanted.name);
        if let Some(vlan) = wanted.vlan.clone().filter(|_| self.vlans.len() < KEPT_MAX) {
            self.vlans.insert(wanted.name.clone(), vlan);
        }
        self.give_addresses(network, &wanted.name);
        Ok(made)
    }

    /// Whether there is a VLAN of that number already.
    fn is_taken(&self, wanted: &Wanted) -> bool {
        let vlan = wanted.vlan.as_ref();
        vlan.is_some_and(|vlan| self.vlans.values().any(|known| known == vlan))
    }

    fn stand_in(&mut self, network: &Netlink, wanted: &Wanted) -> io::Result<()> {
        let elsewhere = self.elsewhere.as_ref().ok_or(errno(libc::EOPNOTSUPP))?;
        if wanted.vlan.as_ref().is_some_and(|vlan| vlan.id >= VLANS) {
            return Err(errno(libc::ERANGE));
        }
        let below = wanted.vlan.as_ref().map(|vlan| network.link(&vlan.on));
        let mac = below.transpose()?.and_then(|below| below.mac());
        let name = match wanted.name.strip_suffix("%d") {
            Some(start) => {
                let names = (0..NUMBERS).map(|number| format!("{start}{number}"));
                let mut free = names.filter(|name| network.link(name).is_err());
                free.next().ok_or(errno(libc::ENFILE))?
            }
            None => wanted.name.clone(),
        };
        self.peers += 1;
        let peer = format!("peer{}", self.peers);
        network.add_pair(&name, mac, &peer, &elsewhere.namespace)?;
        let _ = elsewhere.network.up(&peer);
        self.last_stand_in.clone_from(&name);
        if self.stand_ins.len() < KEPT_MAX {
            self.stand_ins.insert(name, wanted.kind.clone());
        }
        Ok(())
    }

    fn give_addresses(&self, network: &Netlink, name: &str) {
        let own = |address: &&Address| address.interface == name;
        if let Ok(link) = network.link(name) {
            for address in self.addresses.iter().filter(own) {
                let _ = network.add_address(link.index, address.ip, address.prefix);
            }
        }
    }

    /// Whether an interface is of a kind.
    pub fn is(&self, link: &Link, kind: &str) -> bool {
        match self.stand_ins.get(&link.name) {
            Some(stands_for) => stands_for == kind,
            None => link.made_as == kind,
        }
    }

    /// Whether the guest is told of interfaces what the kernel does not say.
    pub fn pretend(&self) -> bool {
        !self.stand_ins.is_empty() || !self.beforehand.is_empty()
    }

    /// An interface as the guest knows it: of the kind that it stands in for, and above what it is
    /// made of; one of the plan is a plain one, whatever it is made as.
    pub fn as_known(&self, network: &Netlink, link: Link) -> Link {
        let (made_as, below) = if let Some(kind) = self.stand_ins.get(&link.name) {
            let vlan = self.vlans.get(&link.name);
            let below = vlan.and_then(|vlan| network.link(&vlan.on).ok());
            (kind.clone(), below.map_or(0, |below| below.index))
        } else if self.beforehand.contains(&link.name) && MADE_AS.contains(&link.made_as.as_str()) {
            (String::new(), 0)
        } else {
            return link;
        };
        link.as_one(made_as, below)
    }

    /// Whether an interface stands in for a kind.
    pub fn stands_for(&self, name: &str, kind: &str) -> bool {
        self.stand_ins.get(name).is_some_and(|known| known == kind)
    }

    /// Whether the plan has an interface of this name, which the guest has not made itself.
    pub fn is_beforehand(&self, name: &str) -> bool {
        self.beforehand.contains(name)
    }

    /// The name of the interface that stood in last, where one was wanted by a name with `%d`.
    pub fn last_made<'a>(&'a self, wanted: &'a str) -> &'a str {
        if wanted.ends_with("%d") {
            &self.last_stand_in
        } else {
            wanted
        }
    }

    /// Whether it was not told before that others stand in for this kind.
    pub fn is_first_of(&mut self, kind: &str) -> bool {
        self.told.len() < NUMBERS_OF_KINDS && self.told.insert(kind.to_owned())
    }

    /// Remove an interface, if it is of that kind.
    pub fn remove(&mut self, network: &Netlink, name: &str, kind: &str) -> io::Result<()> {
        let link = network.link(name)?;
        if !self.is(&link, kind) {
            return Err(errno(libc::EPERM));
        }
        network.delete(link.index)?;
        self.forget_gone(network);
        Ok(())
    }

    /// Forget what is not there any more; a VLAN goes with what it is of.
    pub fn forget_gone(&mut self, network: &Netlink) {
        let Ok(links) = network.links() else {
            return;
        };
        let is_there = |name: &str| links.iter().any(|link| link.name == name);
        let stand_ins = &self.stand_ins;
        self.vlans.retain(|name, vlan| {
            let lives = is_there(name) && is_there(&vlan.on);
            if !lives
                && stand_ins.contains_key(name)
                && let Some(link) = links.iter().find(|link| link.name == *name)
            {
                let _ = network.delete(link.index);
            }
            lives
        });
        self.stand_ins.retain(|name, _| is_there(name));
        self.beforehand.retain(|name| is_there(name));
    }

    /// The VLAN that an interface is.
    pub fn vlan(&self, name: &str) -> Option<&Vlan> {
        self.vlans.get(name)
    }

    /// From now on VLANs are named so.
    pub fn name_vlans(&mut self, naming: Naming) {
        self.naming = naming;
    }

    /// The name that a VLAN gets where nobody chooses one.
    pub fn vlan_name(&self, vlan: &Vlan) -> String {
        self.naming.name(vlan)
    }

    /// The VLANs, by their names.
    pub fn vlans(&self) -> impl Iterator<Item = (&String, &Vlan)> {
        self.vlans.iter()
    }

    /// `/proc/net/vlan/config`
    pub fn vlan_table(&self) -> String {
        let mut table = format!(
            "VLAN Dev name\t | VLAN ID\nName-Type: {}\n",
            self.naming.table_name()
        );
        for (name, Vlan { on, id }) in &self.vlans {
            let _ = writeln!(table, "{name:<15}| {id:<4} | {on}");
        }
        table
    }
}

fn errno(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}

fn code(result: &io::Result<()>) -> Option<i32> {
    result.as_ref().err().and_then(io::Error::raw_os_error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_vlans_is_the_kernels() {
        let mut links = Links::default();
        let vlan = Vlan {
            on: "eth0".into(),
            id: 5,
        };
        links.vlans.insert("eth0.5".into(), vlan);
        assert_eq!(
            links.vlan_table(),
            "VLAN Dev name\t | VLAN ID\nName-Type: VLAN_NAME_TYPE_RAW_PLUS_VID_NO_PAD\n\
             eth0.5         | 5    | eth0\n"
        );
    }
}
