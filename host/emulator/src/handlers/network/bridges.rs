//! Bridges: the calls of today (`SIOCBRADDBR` and its kin), and those of older tools, whose
//! arguments are an array of words (`linux/if_bridge.h`).

use rustix::io::Errno;

use crate::guest::links::Links;
use crate::handlers::network::argument::Argument;
use crate::handlers::network::{Answer, code};
use crate::kernel::netlink::{Link, Netlink};
use crate::kernel::sockios::{SIOCBRADDBR, SIOCBRADDIF, SIOCBRDELBR, SIOCBRDELIF};
use crate::network::wanted::Wanted;

const GET_VERSION: u64 = 0;
const GET_BRIDGES: u64 = 1;
const ADD_BRIDGE: u64 = 2;
const DELETE_BRIDGE: u64 = 3;
const ADD_PORT: u64 = 4;
const DELETE_PORT: u64 = 5;
const GET_BRIDGE: u64 = 6;
const GET_PORTS: u64 = 7;
const SET_FIRST: u64 = 8;
const SET_AGEING: u64 = 11;
const GET_PORT: u64 = 13;
const SET_STP: u64 = 14;
const SET_LAST: u64 = 17;
const GET_ADDRESSES: u64 = 18;

/// What an array of ports has room for, where its caller does not say.
const PORTS: u64 = 256;

pub fn control(
    network: &Netlink,
    links: &mut Links,
    command: u32,
    argument: &Argument,
) -> Result<Answer, Errno> {
    let name = argument.name(0);
    match command {
        SIOCBRADDBR => add(network, links, name),
        SIOCBRDELBR => delete(network, links, &name),
        SIOCBRADDIF => set_port(network, links, argument.int(16), Some(&name)),
        SIOCBRDELIF => set_port(network, links, argument.int(16), None),
        _ => of_all(network, links, argument),
    }
}

/// `SIOCGIFBR` and `SIOCSIFBR`, which do the same.
fn of_all(network: &Netlink, links: &mut Links, argument: &Argument) -> Result<Answer, Errno> {
    let named = || argument.name_at(argument.word(1)).ok_or(Errno::FAULT);
    match argument.word(0) {
        GET_VERSION => Ok(Answer {
            value: 1,
            ..Answer::default()
        }),
        GET_BRIDGES => {
            let room = usize::try_from(argument.word(2)).unwrap_or(0);
            let all = network.links().map_err(|error| code(&error))?;
            let bridges = all.iter().filter(|link| links.is(link, "bridge"));
            let indices: Vec<_> = bridges.map(|link| link.index).take(room).collect();
            let bytes = indices.iter().flat_map(|index| argument.bytes_of(*index));
            let write = (argument.leads_to(argument.word(1)), bytes.collect());
            Ok(Answer {
                value: i64::try_from(indices.len()).unwrap_or(0),
                ..Answer::of([write])
            })
        }
        ADD_BRIDGE => add(network, links, named()?),
        DELETE_BRIDGE => delete(network, links, &named()?),
        _ => Err(Errno::OPNOTSUPP),
    }
}

/// `SIOCDEVPRIVATE` of a bridge.
pub fn private(
    network: &Netlink,
    links: &Links,
    bridge: &Link,
    argument: &Argument,
) -> Result<Answer, Errno> {
    let [command, first, second, _] = argument.words(argument.data()).ok_or(Errno::FAULT)?;
    let at = argument.leads_to(first);
    let port = u32::try_from(first & 0xFFFF_FFFF).unwrap_or(0);
    match command {
        ADD_PORT => set_port(network, links, port, Some(&bridge.name)),
        DELETE_PORT => set_port(network, links, port, None),
        GET_BRIDGE => Ok(Answer::of([(at, described(bridge, argument))])),
        GET_PORTS => {
            let room = if second == 0 {
                PORTS
            } else {
                second.min(PORTS)
            };
            let all = network.links().map_err(|error| code(&error))?;
            let ports = all.iter().filter(|link| link.master == bridge.index);
            // Ports are numbered from 1 on.
            let indices = std::iter::once(0).chain(ports.map(|link| link.index));
            let indices: Vec<_> = indices
                .chain(std::iter::repeat(0))
                .take(usize::try_from(room).unwrap_or(0))
                .collect();
            let bytes = indices.iter().flat_map(|index| argument.bytes_of(*index));
            Ok(Answer::of([(at, bytes.collect())]))
        }
        GET_PORT => Ok(Answer::of([(at, forwarding())])),
        SET_FIRST..=SET_AGEING | SET_STP..=SET_LAST | GET_ADDRESSES => Ok(Answer::default()),
        _ => Err(Errno::OPNOTSUPP),
    }
}

/// `struct __bridge_info`: a bridge that is its own root, without a spanning tree.
fn described(bridge: &Link, argument: &Argument) -> Vec<u8> {
    /// In hundredths of a second.
    const MAX_AGE: u32 = 2000;
    const HELLO: u32 = 200;
    const DELAY: u32 = 1500;
    const AGEING: u32 = 30_000;
    let id = [&[0x80, 0][..], &bridge.mac().unwrap_or_default()].concat();
    let mut bytes = [id.clone(), id].concat();
    let times = [0, MAX_AGE, HELLO, DELAY, MAX_AGE, HELLO, DELAY];
    bytes.extend(times.iter().flat_map(|time| argument.bytes_of(*time)));
    bytes.extend([0; 4]);
    let others = [AGEING, 0, 0, 0, 0, 0];
    bytes.extend(others.iter().flat_map(|time| argument.bytes_of(*time)));
    bytes
}

/// `struct __port_info` of a port that forwards.
fn forwarding() -> Vec<u8> {
    const LENGTH: usize = 44;
    const STATE: usize = 28;
    const FORWARDING: u8 = 3;
    let mut bytes = vec![0; LENGTH];
    if let Some(state) = bytes.get_mut(STATE) {
        *state = FORWARDING;
    }
    bytes
}

fn add(network: &Netlink, links: &mut Links, name: String) -> Result<Answer, Errno> {
    let wanted = Wanted {
        name,
        kind: "bridge".into(),
        vlan: None,
    };
    let made = links.make(network, &wanted, || network.add_bridge(&wanted.name));
    made.map(|made| Answer::made(wanted, made))
        .map_err(|error| code(&error))
}

fn delete(network: &Netlink, links: &mut Links, name: &str) -> Result<Answer, Errno> {
    // As the kernel has it.
    let removed = links.remove(network, name, "bridge");
    removed.map_err(|error| match code(&error) {
        Errno::NODEV => Errno::NXIO,
        other => other,
    })?;
    Ok(Answer::default())
}

fn set_port(
    network: &Netlink,
    links: &Links,
    port: u32,
    bridge: Option<&str>,
) -> Result<Answer, Errno> {
    let link = network.link_at(port).map_err(|_| Errno::INVAL)?;
    let bridge = bridge.map(|name| network.link(name)).transpose();
    let bridge = bridge.map_err(|error| code(&error))?;
    if bridge
        .as_ref()
        .is_some_and(|bridge| links.stands_for(&bridge.name, "bridge"))
    {
        return Ok(Answer::default());
    }
    match &bridge {
        Some(bridge) if link.master != 0 && link.master != bridge.index => {
            return Err(Errno::BUSY);
        }
        _ => {}
    }
    let master = bridge.map_or(0, |bridge| bridge.index);
    let set = network.set_master(port, master);
    set.map(|()| Answer::default())
        .map_err(|error| code(&error))
}
