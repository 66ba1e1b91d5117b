//! VLANs, as `vconfig` asks for them (`struct vlan_ioctl_args` of `linux/if_vlan.h`).

use rustix::io::Errno;

use crate::guest::links::Links;
use crate::handlers::network::argument::Argument;
use crate::handlers::network::{Answer, code};
use crate::kernel::netlink::Netlink;
use crate::network::wanted::{Naming, Vlan, Wanted};

const ADD: u32 = 0;
const DELETE: u32 = 1;
const SET_INGRESS: u32 = 2;
const SET_EGRESS: u32 = 3;
const SET_NAMING: u32 = 6;
const SET_FLAG: u32 = 7;
const GET_LOWER: u32 = 8;
const GET_ID: u32 = 9;

/// Where the interface's name is in the structure, and where what the command is given.
const NAME: usize = 4;
const GIVEN: usize = 28;
const GIVEN_64: u64 = GIVEN as u64;

pub fn control(network: &Netlink, links: &mut Links, argument: &Argument) -> Result<Answer, Errno> {
    let name = argument.name(NAME);
    let given = argument.int(GIVEN);
    let vlan = |links: &Links| links.vlan(&name).cloned().ok_or(Errno::INVAL);
    match argument.int(0) {
        ADD => {
            let on = network.link(&name).map_err(|error| code(&error))?.name;
            let id = u16::try_from(given).map_err(|_| Errno::RANGE)?;
            let vlan = Vlan { on, id };
            let wanted = Wanted {
                name: links.vlan_name(&vlan),
                kind: "vlan".into(),
                vlan: Some(vlan),
            };
            let by_kernel = || network.add_vlan(&wanted.name, &name, id);
            let made = links.make(network, &wanted, by_kernel);
            made.map(|made| Answer::made(wanted, made))
                .map_err(|error| code(&error))
        }
        DELETE => {
            let removed = links.remove(network, &name, "vlan");
            removed
                .map(|()| Answer::default())
                .map_err(|error| code(&error))
        }
        SET_NAMING => {
            links.name_vlans(Naming::by_number(given).ok_or(Errno::INVAL)?);
            Ok(Answer::default())
        }
        SET_INGRESS | SET_EGRESS | SET_FLAG => vlan(links).map(|_| Answer::default()),
        GET_LOWER => {
            let mut lower = vlan(links)?.on.into_bytes();
            lower.push(0);
            Ok(Answer::of([(argument.address + GIVEN_64, lower)]))
        }
        GET_ID => {
            let id = argument.bytes_of(vlan(links)?.id.into());
            Ok(Answer::of([(argument.address + GIVEN_64, id.to_vec())]))
        }
        _ => Err(Errno::OPNOTSUPP),
    }
}
