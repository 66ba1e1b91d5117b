//! What a guest may make the host's kernel hold, and what becomes of a guest that makes it hold
//! more: its run ends, with that reason.
//!
//! `kernel` and `cgroup` have what the kernel refuses by itself, `network` and `memory` what is
//! counted, `shortage` what the supervisor lacks.
//!
//! Invariant 4: every axis has a budget.

pub mod cgroup;
mod files;
pub mod kernel;
pub mod memory;
pub mod network;
mod processes;
mod shared;

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rookery_project::{Error, Result};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags};

use crate::files::mounts::Mounts;
use crate::kernel::netlink::Netlink;
use crate::kernel::sock_diag::Sockets;
use crate::limits::memory::Memory;
use crate::limits::network::Network;
use crate::process::proc_dir::ProcDir;

/// What the supervisor counts by, opened where only the process can that builds the guest's world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handle {
    /// The `/proc` of the guest's pid namespace, whatever the guest mounts over it.
    Proc,
    /// The file system with all that the guest changes in its files.
    Disk,
    /// The file system that files without a name are made in.
    Nameless,
    /// The kernel's table of System V segments of the guest's IPC namespace.
    Segments,
    /// A netlink socket that is told of changes.
    Changes,
    /// A netlink socket to ask by.
    Lists,
    /// One to ask for sockets by.
    Sockets,
    /// A netlink socket of the namespace with the other ends of interface pairs.
    Outside,
}

/// As many as there are.
pub const HANDLES: [Handle; 8] = [
    Handle::Proc,
    Handle::Disk,
    Handle::Nameless,
    Handle::Segments,
    Handle::Changes,
    Handle::Lists,
    Handle::Sockets,
    Handle::Outside,
];

/// Open what can be opened before the guest's root is entered: its `/proc`, and `disk`, which holds
/// what it writes.
pub fn open(proc: &Path, disk: &Path, budget: u64) -> rustix::io::Result<Vec<(Handle, OwnedFd)>> {
    let directory = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let open = |path: &Path, flags| rustix::fs::open(path, flags, Mode::empty());
    let segments = proc.join("sysvipc/shm");
    let mut handles = vec![
        (Handle::Proc, uncovered(proc)?),
        (Handle::Disk, open(disk, directory)?),
        (Handle::Nameless, nameless(budget)?),
    ];
    if segments.exists() {
        handles.push((
            Handle::Segments,
            open(&segments, OFlags::RDONLY | OFlags::CLOEXEC)?,
        ));
    }
    Ok(handles)
}

/// The file system that is mounted at `path`, without whatever will be mounted on parts of it.
fn uncovered(path: &Path) -> rustix::io::Result<OwnedFd> {
    let copy = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = rustix::mount::open_tree(CWD, path, copy)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(&tree, ".", flags, Mode::empty())
}

/// A file system in memory that is mounted nowhere.
fn nameless(budget: u64) -> rustix::io::Result<OwnedFd> {
    let context = rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (name, value) in [
        ("size", budget.to_string().as_str()),
        ("nr_inodes", "4096"),
        ("mode", "0700"),
    ] {
        rustix::mount::fsconfig_set_string(&context, name, value)?;
    }
    rustix::mount::fsconfig_create(&context)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// The sockets by which the current network namespace is watched.
pub fn open_network() -> std::io::Result<Vec<(Handle, OwnedFd)>> {
    let changes = Netlink::subscribed(network::groups())?;
    let mut handles = vec![
        (Handle::Changes, changes.into()),
        (Handle::Lists, Netlink::open()?.into()),
    ];
    // Not every kernel has it.
    if let Ok(sockets) = Sockets::open() {
        handles.push((Handle::Sockets, sockets.into()));
    }
    Ok(handles)
}

/// A guest, counted.
#[derive(Debug)]
pub struct Limits {
    /// Its memory, and what else its processes hold.
    pub memory: Memory,
    /// Its network.
    pub network: Network,
    /// What is bound there.
    pub sockets: Option<Sockets>,
}

impl Limits {
    /// For a guest with `planned` interfaces that may have `budget` bytes.
    pub fn new(handles: Vec<(Handle, OwnedFd)>, planned: usize, budget: u64) -> Result<Self> {
        let mut handles = handles;
        let mut take = |handle| {
            let at = handles.iter().position(|(known, _)| *known == handle)?;
            Some(handles.swap_remove(at).1)
        };
        let (changes, lists) = (take(Handle::Changes), take(Handle::Lists));
        let (proc, disk) = (take(Handle::Proc), take(Handle::Disk));
        let (nameless, segments) = (take(Handle::Nameless), take(Handle::Segments));
        let sockets = take(Handle::Sockets).map(Sockets::from);
        match (changes, lists, proc, disk, nameless) {
            (Some(changes), Some(lists), Some(proc), Some(disk), Some(nameless)) => Ok(Self {
                memory: Memory::new(proc, [disk, nameless], segments.map(fs::File::from), budget),
                network: Network::new(changes, lists, planned),
                sockets,
            }),
            _ => Err(Error::Backend(
                "the guest's world was built without the means to count what it uses of the \
                 host"
                    .into(),
            )),
        }
    }

    /// What the guest with this init has too much of, in words. `written` is what it has written
    /// into files of the supervisor's.
    pub fn excess(&mut self, init: &ProcDir, mounts: &Mounts, written: u64) -> Option<String> {
        if let Some(excess) = self.network.excess() {
            return Some(excess);
        }
        let exact = || written + files::held(init, mounts);
        self.memory.excess(written + mounts.reserved(), exact)
    }

    /// How long the guest's processes computed, all together.
    pub fn computed(&self) -> Duration {
        self.memory.computed()
    }

    /// When to look again, where nothing happens.
    pub fn due(&self) -> Instant {
        let memory = self.memory.due();
        self.network
            .due()
            .map_or(memory, |network| memory.min(network))
    }

    /// What to wait for.
    pub fn changes(&self) -> std::os::fd::BorrowedFd<'_> {
        self.network.as_fd()
    }
}
