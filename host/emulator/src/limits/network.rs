//! What the guest makes in its network namespace: each thing there is the kernel's to keep, and all
//! namespaces share the kernel's one lock on their configuration, so thousands hold up the host's
//! as well.
//!
//! The kernel tells of changes, so a guest that changes nothing costs nothing. A change only says
//! that it is time to count.

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use crate::kernel::netlink::Netlink;

use libc::{RTM_NEWADDR, RTM_NEWLINK, RTM_NEWNEIGH, RTM_NEWQDISC, RTM_NEWROUTE, RTM_NEWRULE};

/// What is counted.
struct Row {
    /// What a change to it is told as; the request that lists it has this number and 2, its
    /// removal this number and 1.
    kind: u16,
    /// The bits of the groups that tell of it.
    groups: u32,
    /// The length of the request that lists it.
    request: usize,
    most: usize,
    name: &'static str,
}

const INTERFACES: &Row = &Row {
    kind: RTM_NEWLINK,
    groups: group(1),
    request: 16,
    most: 64,
    name: "network interfaces",
};

/// Above what firmware makes by far, and below what anybody else on the host would notice: its
/// table of neighbours holds 1024.
const ROWS: &[&Row] = &[
    INTERFACES,
    &Row {
        kind: RTM_NEWADDR,
        groups: group(5) | group(9),
        request: 8,
        most: 64,
        name: "network addresses",
    },
    &Row {
        kind: RTM_NEWROUTE,
        groups: group(7) | group(11),
        request: 12,
        most: 1024,
        name: "routes",
    },
    &Row {
        kind: RTM_NEWNEIGH,
        groups: group(3),
        request: 12,
        most: 512,
        name: "network neighbours",
    },
    &Row {
        kind: RTM_NEWRULE,
        groups: group(8) | group(19),
        request: 12,
        most: 256,
        name: "routing rules",
    },
    &Row {
        kind: RTM_NEWQDISC,
        groups: group(4),
        request: 20,
        most: 256,
        name: "network queues",
    },
];

const fn group(number: u32) -> u32 {
    1 << (number - 1)
}

/// Changes that are read before they are acted on.
const CHANGES: usize = 256;

/// Counting takes a fraction of a millisecond; a guest that changes things all the time must not
/// make it all that is done.
const COUNT_EVERY: Duration = Duration::from_millis(5);

/// The groups of all that is counted.
pub fn groups() -> u32 {
    ROWS.iter().fold(0, |groups, row| groups | row.groups)
}

/// The guest's network namespace, watched.
#[derive(Debug)]
pub struct Network {
    changes: Netlink,
    lists: Netlink,
    /// Interfaces of the plan beyond what a guest may have anyway.
    planned: usize,
    /// What has changed since it was counted, by the bits of its groups.
    due: u32,
    counted: Instant,
}

impl Network {
    /// `changes` is told of [`groups`]. The plan has `planned` interfaces.
    pub fn new(changes: OwnedFd, lists: OwnedFd, planned: usize) -> Self {
        Self {
            changes: changes.into(),
            lists: lists.into(),
            planned: (planned + INTERFACES.most / 2).saturating_sub(INTERFACES.most),
            due: groups(),
            counted: Instant::now(),
        }
    }

    /// When there is something to count that has not been told yet.
    pub fn due(&self) -> Option<Instant> {
        (self.due != 0).then(|| self.counted + COUNT_EVERY)
    }

    /// What the guest has too much of, in words.
    pub fn excess(&mut self) -> Option<String> {
        self.due |= self.changed();
        if self.due == 0 || self.counted.elapsed() < COUNT_EVERY {
            return None;
        }
        let due = std::mem::take(&mut self.due);
        let excess = ROWS
            .iter()
            .filter(|row| row.groups & due != 0)
            .find_map(|row| {
                let most = row.most
                    + if row.kind == RTM_NEWLINK {
                        self.planned
                    } else {
                        0
                    };
                // Where the kernel has no such things, there are none.
                let number = count(&self.lists, row, most).unwrap_or(0);
                (number > most).then(|| format!("the guest made more than {most} {}", row.name))
            });
        self.counted = Instant::now();
        excess
    }

    fn changed(&self) -> u32 {
        match self.changes.changes(CHANGES) {
            None => groups(),
            Some(kinds) => ROWS
                .iter()
                .filter(|row| kinds.contains(&row.kind) || kinds.contains(&(row.kind + 1)))
                .fold(0, |groups, row| groups | row.groups),
        }
    }
}

impl AsFd for Network {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.changes.as_fd()
    }
}

/// How many there are, or any number beyond `most`.
fn count(lists: &Netlink, row: &Row, most: usize) -> io::Result<usize> {
    let (mut number, mut own) = (0, HashSet::new());
    lists.list(row.kind + 2, row.request, |message| {
        let is_first_own =
            row.kind == RTM_NEWADDR && link_local(message).is_some_and(|of| own.insert(of));
        number += usize::from(!is_first_own);
        number <= most
    })?;
    Ok(number)
}

/// The interface whose link-local address of IPv6 this is: the kernel gives each interface one.
fn link_local(address: &[u8]) -> Option<u32> {
    const LINK: u8 = 253;
    let (family, scope) = (*address.first()?, *address.get(3)?);
    let interface = u32::from_ne_bytes(address.get(4..8)?.try_into().ok()?);
    (i32::from(family) == libc::AF_INET6 && scope == LINK).then_some(interface)
}
