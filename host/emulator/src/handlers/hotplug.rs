//! Events of the kernel about devices: told to who begins to listen, and on request (`echo add >
//! /sys/…/uevent`), as `mdev`, `udevtrigger` and boot scripts have it.

use std::os::fd::OwnedFd;

use rustix::net::netlink::{KOBJECT_UEVENT, SocketAddrNetlink};
use rustix::net::{AddressFamily, sockopt};

use crate::files::interfaces::CLASS;
use crate::guest::access::{Callers, HasDevices, HasServices, Paths};
use crate::guest::tree::Found;
use crate::handlers::net;
use crate::kernel::netlink::message::{long, short};
use crate::kernel::paths;
use crate::kernel::uevent::Uevents;
use crate::process::call::{Action, Call};

/// Devices that are told of to who begins to listen: as many as fit into what a socket holds.
const TOLD_MAX: usize = 96;
/// `struct sockaddr_nl`
const ADDRESS: usize = 12;
/// The file in a device's directory.
const FILE: &str = "uevent";

/// `bind` of a socket that is told of events: the first is told of the devices that there are.
/// `None` where it is another.
pub fn bind(guest: &mut (impl Callers + HasServices + HasDevices), call: &Call) -> Option<Action> {
    let mut address = [0_u8; ADDRESS];
    let memory = guest.memory(call)?;
    memory.read(call.arg(1), &mut address).ok()?;
    let (port, groups) = (long(&address, 4)?, long(&address, 8)?);
    if short(&address, 0).map(i32::from) != Some(libc::AF_NETLINK) || groups == 0 {
        return None;
    }
    let socket = net::socket(guest, call).ok().filter(is_told)?;
    if let Err(errno) = rustix::net::bind(&socket, &SocketAddrNetlink::new(port, groups)) {
        return Some(errno.into());
    }
    tell_of_all(guest);
    Some(Action::Return(0))
}

fn is_told(socket: &OwnedFd) -> bool {
    sockopt::socket_domain(socket) == Ok(AddressFamily::NETLINK)
        && sockopt::socket_protocol(socket) == Ok(Some(KOBJECT_UEVENT))
}

fn tell_of_all(guest: &mut (impl HasServices + HasDevices)) {
    let devices = guest.devices().in_sys();
    let services = guest.services();
    if !services.is_first_listener() {
        return;
    }
    let interfaces = services
        .interfaces()
        .map_or_else(Vec::new, |(network, links)| {
            let all = network.links().unwrap_or_default().into_iter();
            all.map(|link| links.as_known(network, link)).collect()
        });
    let Some(uevents) = services.uevents() else {
        return;
    };
    for link in interfaces.iter().take(TOLD_MAX / 2) {
        let about = link.describe(FILE).unwrap_or_default();
        let _ = uevents.send("add", &of_interface(&link.name), "net", &about);
    }
    for device in devices.iter().take(TOLD_MAX / 2) {
        let _ = uevents.send("add", &device.path(), device.class(), &device.about());
    }
}

fn of_interface(name: &str) -> String {
    format!("/devices/virtual/net/{name}")
}

/// A file is opened to be written: that of a device lets the kernel tell of it.
pub fn request(guest: &mut (impl Paths + HasServices + HasDevices), call: &Call, path: &str) {
    if paths::basename(path) != FILE || !paths::is_below(path, "/sys") {
        return;
    }
    let Ok(Found::File(real, _)) = guest.resolve(call, path, true) else {
        return;
    };
    let directory = paths::parent(&real).to_owned();
    let devices = guest.devices().in_sys();
    let services = guest.services();
    let told = if paths::parent(&directory) == CLASS {
        let name = paths::basename(&directory);
        let about = services.interfaces().and_then(|(network, links)| {
            let link = links.as_known(network, network.link(name).ok()?);
            link.describe(FILE)
        });
        about.map(|about| (of_interface(name), "net".to_owned(), about))
    } else {
        let of = directory.strip_prefix("/sys").unwrap_or_default();
        let device = devices.iter().find(|device| device.path() == of);
        device.map(|device| (device.path(), device.class().to_owned(), device.about()))
    };
    if let (Some((path, class, about)), Some(uevents)) = (told, services.uevents()) {
        // What is written is not known yet, and is this nearly always.
        let _ = uevents.send("add", &path, &class, &about);
    }
}

/// The number of the last event, as `/sys/kernel/uevent_seqnum` has it.
pub fn last(guest: &mut impl HasServices, path: &str) -> Option<String> {
    (path == "/sys/kernel/uevent_seqnum").then(|| {
        let last = guest.services().uevents().map_or(0, Uevents::last);
        format!("{last}\n")
    })
}
