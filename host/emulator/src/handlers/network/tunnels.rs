//! Tunnels of IP as `ip tunnel` makes them, by ioctls of the interface that each kind begins with:
//! another interface stands in for each.

use rustix::io::Errno;

use crate::guest::links::Links;
use crate::handlers::network::argument::{Argument, NAME};
use crate::handlers::network::{Answer, code};
use crate::kernel::netlink::Netlink;
use crate::kernel::netlink::message::name_of;
use crate::kernel::sockios::SIOCDEVPRIVATE;
use crate::network::wanted::Wanted;

/// `SIOCADDTUNNEL`, `SIOCDELTUNNEL` and `SIOCCHGTUNNEL` of `linux/if_tunnel.h`.
const ADD: u32 = SIOCDEVPRIVATE + 1;
const DELETE: u32 = SIOCDEVPRIVATE + 2;
const CHANGE: u32 = SIOCDEVPRIVATE + 3;

/// The interfaces that the kinds begin with.
const KINDS: &[(&str, &str)] = &[
    ("tunl0", "ipip"),
    ("gre0", "gre"),
    ("sit0", "sit"),
    ("ip_vti0", "vti"),
    ("ip6tnl0", "ip6tnl"),
    ("ip6gre0", "ip6gre"),
];

/// A command that is about a tunnel, `None` where it is not.
pub fn control(
    network: &Netlink,
    links: &mut Links,
    command: u32,
    argument: &Argument,
) -> Option<Result<Answer, Errno>> {
    let device = argument.name(0);
    let first = KINDS.iter().find(|(first, _)| *first == device);
    // One is removed and changed by its own name, too.
    let own = || {
        KINDS
            .iter()
            .find(|(_, kind)| links.stands_for(&device, kind))
    };
    let (_, kind) = first.or_else(own)?;
    // `struct ip_tunnel_parm` and `struct ip6_tnl_parm` begin with it.
    let name = argument.memory.string(argument.data(), NAME);
    let name = name.map_or_else(String::new, |name| name_of(&name));
    let named = if name.is_empty() { &device } else { &name };
    match command {
        ADD => Some(add(network, links, kind, &name)),
        DELETE => {
            let removed = links.remove(network, named, kind);
            let done = removed.map(|()| Answer::default());
            Some(done.map_err(|error| code(&error)))
        }
        CHANGE if links.stands_for(named, kind) => Some(Ok(Answer::default())),
        CHANGE => Some(Err(Errno::NODEV)),
        _ => None,
    }
}

fn add(network: &Netlink, links: &mut Links, kind: &str, name: &str) -> Result<Answer, Errno> {
    let wanted = Wanted {
        name: match name {
            "" => format!("{kind}%d"),
            name => name.to_owned(),
        },
        kind: kind.to_owned(),
        vlan: None,
    };
    if network.link(&wanted.name).is_ok() && !links.is_beforehand(&wanted.name) {
        return Err(Errno::EXIST);
    }
    let refused = || Err(std::io::Error::from_raw_os_error(libc::EOPNOTSUPP));
    let made = links.make(network, &wanted, refused);
    made.map(|made| Answer::made(wanted, made))
        .map_err(|error| code(&error))
}
