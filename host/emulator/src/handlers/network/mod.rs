//! Ioctls of the network that qemu does not know: bridges and VLANs are made by netlink, what
//! belongs to a driver is answered as by one that has nothing special, and failures are noted.

mod argument;
mod bridges;
mod drivers;
mod modelled;
mod tunnels;
mod vlans;

use std::collections::BTreeMap;

use rustix::io::Errno;

use crate::files::interfaces::{VLAN_TABLE, VLANS};
use crate::guest::access::{HasDevices, HasEmulators, HasPlan, HasServices, Reports};
use crate::guest::links::Links;
use crate::kernel::netlink::Netlink;
use crate::kernel::sockios::{
    SIOCBRADDBR, SIOCBRDELIF, SIOCDEVPRIVATE, SIOCETHTOOL, SIOCGIFBR, SIOCGIFVLAN, SIOCIWFIRST,
    SIOCIWFIRSTPRIV, SIOCIWLAST, SIOCIWLASTSTANDARD, SIOCSIFBR, SIOCSIFVLAN, SIOCSMIIREG,
};
use crate::network::wanted::{Made, Vlan, Wanted};
use crate::process::call::{Action, Call};
use argument::Argument;
use rookery_records::event::{Process, What};

/// What the emulator is taught to pass on, after the commands of models: `ethtool` and MII, VLANs,
/// bridges, and those of drivers and of wireless interfaces.
pub fn commands() -> impl Iterator<Item = u32> {
    [
        SIOCBRADDBR..=SIOCBRDELIF,
        SIOCGIFBR..=SIOCSIFBR,
        SIOCETHTOOL..=SIOCSMIIREG,
        SIOCGIFVLAN..=SIOCSIFVLAN,
        SIOCDEVPRIVATE..=SIOCDEVPRIVATE + 15,
        SIOCIWFIRST..=SIOCIWLASTSTANDARD,
        SIOCIWFIRSTPRIV..=SIOCIWLAST,
    ]
    .into_iter()
    .flatten()
}

/// Whether a command is a driver's own.
fn is_of_drivers(command: u32) -> bool {
    [
        SIOCETHTOOL..=SIOCSMIIREG,
        SIOCDEVPRIVATE..=SIOCDEVPRIVATE + 15,
        SIOCIWFIRST..=SIOCIWLAST,
    ]
    .iter()
    .any(|range| range.contains(&command))
}

/// What a command does for the guest.
#[derive(Debug, Default)]
struct Answer {
    /// What it returns.
    value: i64,
    /// What it writes into the caller's memory, and where.
    writes: Vec<(u64, Vec<u8>)>,
    /// The interface that it made in place of another.
    stand_in: Option<Wanted>,
}

impl Answer {
    fn of(writes: impl IntoIterator<Item = (u64, Vec<u8>)>) -> Self {
        Self {
            writes: writes.into_iter().collect(),
            ..Self::default()
        }
    }

    fn made(wanted: Wanted, made: Made) -> Self {
        Self {
            stand_in: (made == Made::StandIn).then_some(wanted),
            ..Self::default()
        }
    }
}

/// `ioctl` with one of [`commands`]; `address` is where the guest's argument is. `None` where it is
/// none of them.
pub fn ioctl<'a>(
    guest: &mut (impl Reports + HasPlan<'a> + HasEmulators<'a> + HasServices + HasDevices),
    call: &Call,
    command: u32,
    address: u64,
) -> Option<Action> {
    if !commands().any(|known| known == command) && !modelled::is_command(guest.plan(), command) {
        return None;
    }
    let Some(argument) = Argument::read(guest, call, address) else {
        return Some(Errno::FAULT.into());
    };
    let name = argument.interface(command);
    let model = modelled::answer(guest, command, &name, &argument);
    let result = match guest.services().interfaces() {
        _ if model.is_some() => model.unwrap_or(Err(Errno::OPNOTSUPP)),
        Some((network, links)) => carry_out(network, links, command, &argument),
        None => Err(Errno::OPNOTSUPP),
    };
    show_vlans(guest);
    let result = result.and_then(|answer| {
        for (address, bytes) in &answer.writes {
            argument.memory.write(call, *address, bytes)?;
        }
        Ok(answer)
    });
    Some(match result {
        Ok(answer) => {
            answer
                .stand_in
                .iter()
                .for_each(|wanted| note(guest, wanted));
            Action::Return(answer.value)
        }
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

/// A command of wireless interfaces that the emulator knows by itself: the kernel may know none of
/// them, whatever the interface.
pub fn wireless<'a>(
    guest: &mut (impl Reports + HasPlan<'a> + HasEmulators<'a> + HasServices),
    call: &Call,
    command: u32,
) -> Option<Action> {
    if !(SIOCIWFIRST..=SIOCIWLAST).contains(&command) {
        return None;
    }
    let argument = Argument::read(guest, call, call.arg(2))?;
    if let Some(Ok(answer)) = modelled::answer(guest, command, &argument.name(0), &argument) {
        let mut written = answer.writes.iter();
        let failed = written.find_map(|(to, bytes)| argument.memory.write(call, *to, bytes).err());
        return Some(failed.map_or(Action::Return(answer.value), Action::from));
    }
    let name = argument.name(0);
    let link = guest.services().network()?.link(&name);
    let errno = link.map_or_else(|error| code(&error), |_| Errno::OPNOTSUPP);
    let what = What::InterfaceMissing {
        name,
        command,
        result: -errno.raw_os_error(),
    };
    guest.report_call(call, what);
    Some(errno.into())
}

fn carry_out(
    network: &Netlink,
    links: &mut Links,
    command: u32,
    argument: &Argument,
) -> Result<Answer, Errno> {
    match command {
        SIOCBRADDBR..=SIOCBRDELIF | SIOCGIFBR..=SIOCSIFBR => {
            bridges::control(network, links, command, argument)
        }
        SIOCGIFVLAN..=SIOCSIFVLAN => vlans::control(network, links, argument),
        _ => {
            if let Some(done) = tunnels::control(network, links, command, argument) {
                return done;
            }
            let link = network
                .link(&argument.name(0))
                .map_err(|error| code(&error))?;
            if command == SIOCDEVPRIVATE && links.is(&link, "bridge") {
                bridges::private(network, links, &link, argument)
            } else {
                drivers::control(&link, command, argument)
            }
        }
    }
}

fn code(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

/// The path and the text of a VLAN's file. What a stand-in has counted says nothing of it.
fn vlan_file((name, vlan): (&String, &Vlan)) -> (String, String) {
    let none = |what: &str| format!("{what:>30} {:>12}\n", 0);
    let received = [
        "total frames received",
        "total bytes received",
        "Broadcast/Multicast Rcvd",
    ];
    let sent = ["total frames transmitted", "total bytes transmitted"];
    let text = format!(
        "{name}  VID: {}\t REORDER_HDR: 1  dev->priv_flags: 1\n{}\n{}Device: {}\n\
         INGRESS priority mappings: 0:0  1:0  2:0  3:0  4:0  5:0  6:0 7:0\n \
         EGRESS priority mappings: \n",
        vlan.id,
        received.map(none).concat(),
        sent.map(none).concat(),
        vlan.on,
    );
    (format!("{VLANS}/{name}"), text)
}

/// Let `/proc/net/vlan` show the VLANs that there are.
pub fn show_vlans(guest: &mut (impl HasServices + HasDevices)) {
    if let Some((_, links)) = guest.services().interfaces() {
        let table = links.vlan_table().into_bytes();
        let all: BTreeMap<_, _> = links.vlans().map(vlan_file).collect();
        let devices = guest.devices();
        devices.set_contents(VLAN_TABLE, table);
        devices.keep_contents(VLANS, |path| path == VLAN_TABLE || all.contains_key(path));
        for (path, text) in all {
            devices.set_contents(&path, text.into_bytes());
        }
    }
}

/// Say what stands in for an interface that the host cannot make, once for each kind.
pub fn note(guest: &mut (impl Reports + HasServices), wanted: &Wanted) {
    let known = guest.services().interfaces();
    if !known.is_some_and(|(_, links)| links.is_first_of(&wanted.kind)) {
        return;
    }
    let lacks = match wanted.kind.as_str() {
        "bridge" => "forward nothing from port to port",
        "vlan" => "put no tags on frames",
        _ => "carry nothing",
    };
    let note = format!(
        "the host's kernel cannot make interfaces of the kind {}, so others stand in for them, \
         which {lacks}",
        wanted.kind.escape_debug()
    );
    guest.report(Process::default(), What::Note(note.into()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_taught_once_and_leaves_room_for_those_of_models() {
        let all: std::collections::HashSet<_> = commands().collect();
        assert_eq!(all.len(), commands().count());
        assert!(all.len() < 140, "{}", all.len());
    }
}
