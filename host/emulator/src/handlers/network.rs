//! Ioctls of the network that qemu does not know: bridges and VLANs are made by netlink, what
//! belongs to a driver is refused and noted.

use std::io;

use rustix::io::Errno;

use crate::guest::access::{HasEmulators, HasServices, Reports};
use crate::kernel::netlink::Netlink;
use crate::kernel::sockios::{
    SIOCBRADDBR, SIOCBRADDIF, SIOCBRDELBR, SIOCBRDELIF, SIOCDEVPRIVATE, SIOCETHTOOL, SIOCGIFVLAN,
    SIOCSIFVLAN, SIOCSMIIREG,
};
use crate::process::call::{Action, Call};
use rookery_records::event::What;

/// What the emulator is taught to pass on, after the commands of models: `ethtool` and MII, VLANs,
/// bridges, and those of drivers.
pub fn commands() -> impl Iterator<Item = u32> {
    [
        SIOCBRADDBR..=SIOCBRDELIF,
        SIOCETHTOOL..=SIOCSMIIREG,
        SIOCGIFVLAN..=SIOCSIFVLAN,
        SIOCDEVPRIVATE..=SIOCDEVPRIVATE + 15,
    ]
    .into_iter()
    .flatten()
}

/// `ioctl` with one of [`commands`]; `address` is where the guest's argument is. `None` where it is
/// none of them.
pub fn ioctl<'a>(
    guest: &mut (impl Reports + HasEmulators<'a> + HasServices),
    call: &Call,
    command: u32,
    address: u64,
) -> Option<Action> {
    if !commands().any(|known| known == command) {
        return None;
    }
    let memory = guest.memory(call);
    let mut argument = Argument {
        bytes: [0; 56],
        big_endian: guest
            .emulators()
            .first()
            .is_some_and(|qemu| qemu.arch.is_big_endian()),
    };
    // A name alone may end where its memory does.
    let read = memory.is_some_and(|memory| {
        [56, 40, 16, 4].into_iter().any(|length| {
            let part = argument.bytes.get_mut(..length);
            part.is_some_and(|part| memory.read(address, part).is_ok())
        })
    });
    if !read {
        return Some(Errno::FAULT.into());
    }
    let name = argument.name(if command == SIOCSIFVLAN { 4 } else { 0 });
    let result = match guest.services().network() {
        Some(network) => carry_out(network, command, &name, &argument),
        None => Err(Errno::OPNOTSUPP),
    };
    Some(match result {
        Ok(()) => Action::Return(0),
        Err(errno) => {
            let result = -errno.raw_os_error();
            let what = What::InterfaceMissing {
                name,
                command,
                result,
            };
            guest.report_call(call, what);
            errno.into()
        }
    })
}

struct Argument {
    bytes: [u8; 56],
    big_endian: bool,
}

impl Argument {
    fn name(&self, at: usize) -> String {
        let name = self.bytes.get(at..at + 16).unwrap_or_default();
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(name).into_owned()
    }

    fn int(&self, at: usize) -> u32 {
        let bytes = self.bytes.get(at..at + 4).and_then(|b| b.try_into().ok());
        bytes.map_or(
            0,
            if self.big_endian {
                u32::from_be_bytes
            } else {
                u32::from_ne_bytes
            },
        )
    }
}

/// Make an interface, also where the configuration has one of that name: what the firmware makes
/// itself is what it wants. Once that is made, it exists.
fn in_place(
    network: &Netlink,
    name: &str,
    is_for_it: bool,
    make: impl Fn() -> io::Result<()>,
) -> io::Result<()> {
    match make() {
        Err(error)
            if is_for_it
                && error.kind() == io::ErrorKind::AlreadyExists
                && network.delete(name, "veth").is_ok() =>
        {
            make()
        }
        outcome => outcome,
    }
}

fn carry_out(
    network: &Netlink,
    command: u32,
    name: &str,
    argument: &Argument,
) -> Result<(), Errno> {
    // `struct vlan_ioctl_args`: a command, a name of 24 bytes, a number.
    const ADD_VLAN: u32 = 0;
    const DELETE_VLAN: u32 = 1;
    const NAMING: u32 = 6;
    let done = match command {
        SIOCBRADDBR => in_place(network, name, name.starts_with("br"), || {
            network.add_bridge(name)
        }),
        SIOCBRDELBR => network.delete(name, "bridge"),
        SIOCBRADDIF => network.set_master(argument.int(16), Some(name)),
        SIOCBRDELIF => network.set_master(argument.int(16), None),
        SIOCSIFVLAN => match argument.int(0) {
            ADD_VLAN => {
                let number = argument.int(28);
                let made = format!("{name}.{number}");
                in_place(network, &made, true, || network.add_vlan(name, number))
            }
            DELETE_VLAN => network.delete(name, "vlan"),
            NAMING => Ok(()),
            _ => return Err(Errno::OPNOTSUPP),
        },
        _ => return Err(Errno::OPNOTSUPP),
    };
    done.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}
