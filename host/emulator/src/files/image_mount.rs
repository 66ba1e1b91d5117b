//! An image of a file system, unpacked and mounted in the guest by a process of its own: nobody
//! else waits for it, and it can be ended at any time.
//!
//! The image's structure is followed by a confined process that this one starts (invariant 16).
//! What comes of it is put into a file system in memory that nobody sees until it is complete.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Instant;

use rookery_project::{Cancel, Error, FileSystem, Node};
use rustix::fs::{CWD, FileType, Mode};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags, OpenTreeFlags,
};
use rustix::process::{Pid, Signal, WaitOptions};

use crate::files::devices::FileId;
use crate::files::mount_names::image_source;
use crate::files::mounts::files_in;
use crate::kernel::passing::{packet_pair, receive_with_fd, send_with_fd};
use crate::kernel::{enter, process, shortage};

/// Device nodes of an image that work.
const NODES_MAX: usize = 256;
/// A message with all of them.
const MESSAGE_MAX: usize = 128 << 10;
const PAGE: u64 = 4096;

/// What is to be mounted, and how.
#[derive(Debug)]
pub struct Wanted {
    /// Where it is shown.
    pub at: OwnedFd,
    /// The image's number in the guest's table of mounts.
    pub image: u64,
    pub read_only: bool,
    /// What is written to it is kept when it is mounted nowhere.
    pub lasts: bool,
}

/// What came of it.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Mounted {
    /// The kernel's number of the file system.
    pub device: u64,
    /// What it may hold.
    pub bytes: u64,
    /// The image's device nodes, each with the inode that stands for it.
    pub nodes: Vec<(Node, u64)>,
    /// The file system once more, mounted nowhere, where it lasts.
    #[serde(skip)]
    pub kept: Option<OwnedFd>,
}

/// Why nothing is mounted.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct Failure {
    errno: i32,
    /// In words.
    pub why: String,
}

impl Failure {
    pub fn errno(&self) -> Errno {
        Errno::from_raw_os_error(self.errno)
    }
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Self {
            errno: errno.raw_os_error(),
            why: format!("the sandbox could not do it: {errno}"),
        }
    }
}

type Done = Result<Mounted, Failure>;

/// The process.
#[derive(Debug)]
pub struct Unpacking {
    child: Pid,
    socket: OwnedFd,
}

impl Unpacking {
    /// Begin to read `image` from where it stands, and to mount what is in it for the `guest`. It
    /// may have `most` bytes and must be done at `until`.
    pub fn start(
        guest: &OwnedFd,
        image: &File,
        wanted: &Wanted,
        most: u64,
        until: Instant,
    ) -> Result<Self, Errno> {
        let failed = |_| shortage::of("socketpair")(Errno::MFILE);
        let (ours, theirs) = packet_pair().map_err(failed)?;
        let child = process::fork_into(0).map_err(|_| shortage::of("fork")(Errno::AGAIN))?;
        let Some(child) = child else {
            let needed = [image.as_raw_fd(), wanted.at.as_raw_fd(), guest.as_raw_fd()];
            process::close_all_except(&[&needed[..], &[theirs.as_raw_fd()]].concat());
            let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
            let done = carry_out(guest, image, wanted, most, until);
            process::leave(tell(&theirs, &done).err().map_or(0, |_| 1));
        };
        Ok(Self {
            child,
            socket: ours,
        })
    }

    /// What came of it, once it is readable.
    pub fn end(self) -> Done {
        let mut message = vec![0; MESSAGE_MAX];
        let (length, kept) = receive_with_fd(&self.socket, &mut message).unwrap_or((0, None));
        let text = message.get(..length).unwrap_or_default();
        let done: Result<Mounted, Failure> =
            serde_json::from_slice(text).unwrap_or_else(|_| Err(Errno::IO.into()));
        done.map(|mounted| Mounted { kept, ..mounted })
    }
}

impl AsFd for Unpacking {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Unpacking {
    fn drop(&mut self) {
        let _ = rustix::process::kill_process(self.child, Signal::KILL);
        let _ = rustix::process::waitpid(Some(self.child), WaitOptions::empty());
    }
}

fn tell(socket: &OwnedFd, done: &Done) -> std::io::Result<()> {
    let text = serde_json::to_vec(done)?;
    let kept = done.as_ref().ok().and_then(|mounted| mounted.kept.as_ref());
    send_with_fd(socket, &text, kept.map(AsFd::as_fd))
}

/// The process's work.
fn carry_out(guest: &OwnedFd, image: &File, wanted: &Wanted, most: u64, until: Instant) -> Done {
    let cancel = Cancel::at(until);
    let length = image.metadata().map_or(0, |metadata| metadata.len());
    let file = image.try_clone().map_err(|_| Errno::MFILE)?;
    let system = FileSystem::read(file, Path::new("its image"), most, &cancel)
        .map_err(|error| refused(&error))?;
    let files = system.entries() + NODES_MAX as u64;
    let mut bytes = system.bytes(PAGE);
    if !wanted.read_only {
        // A disk has the room that its image has.
        bytes = bytes.max(length).min(most);
    }
    if bytes > most || files > files_in(most) {
        let why = format!("it takes more than the {} MiB that are left", most >> 20);
        let errno = Errno::NOMEM.raw_os_error();
        return Err(Failure { errno, why });
    }
    let bytes = bytes.max(files * PAGE);
    enter::enter(guest, enter::MOUNTS)?;
    let mount = memory(wanted, bytes, files)?;
    rustix::process::fchdir(&mount)?;
    let unpacked = system
        .write(Path::new("."), &cancel)
        .map_err(|error| refused(&error))?;
    let nodes = unpacked.nodes.into_iter().take(NODES_MAX);
    let nodes = nodes.filter_map(|node| place(node).ok()).collect();
    let device = rustix::fs::fstat(&mount)?.st_dev;
    rustix::process::chdir("/")?;
    move_to(&mount, &wanted.at)?;
    let kept = wanted.lasts.then(|| copy(&mount)).transpose()?;
    if wanted.read_only {
        let _ = set_read_only(&mount, true);
    }
    Ok(Mounted {
        device,
        bytes,
        nodes,
        kept,
    })
}

fn refused(error: &Error) -> Failure {
    let errno = match error {
        Error::InvalidArgument(_) => Errno::INVAL,
        Error::Limit(_) => Errno::NOMEM,
        Error::Cancelled => Errno::TIMEDOUT,
        _ => Errno::IO,
    };
    Failure {
        errno: errno.raw_os_error(),
        why: error.to_string(),
    }
}

/// A file system in memory that is mounted nowhere yet.
fn memory(wanted: &Wanted, bytes: u64, files: u64) -> Result<OwnedFd, Errno> {
    let context = rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    let source = image_source(wanted.image);
    for (name, value) in [
        ("source", source.as_str()),
        ("size", &bytes.to_string()),
        ("nr_inodes", &files.to_string()),
        ("mode", "0755"),
    ] {
        rustix::mount::fsconfig_set_string(&context, name, value)?;
    }
    rustix::mount::fsconfig_create(&context)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// An empty file in the place of a device node, which the kernel refuses to a user namespace.
fn place(node: Node) -> Result<(Node, u64), Errno> {
    let path = node.path.trim_start_matches('/').to_owned();
    let mode = Mode::from_raw_mode(node.mode & 0o777);
    rustix::fs::mknodat(CWD, path.as_str(), FileType::RegularFile, mode, 0)?;
    Ok((node, rustix::fs::lstat(path.as_str())?.st_ino))
}

/// The file that stands for a node of the file system `device`.
pub fn id_of_node(device: u64, inode: u64) -> FileId {
    (device, inode)
}

/// Mount a file system that was kept: gives it once more, to be kept.
pub fn mount_again(
    guest: &OwnedFd,
    kept: &OwnedFd,
    at: &OwnedFd,
    read_only: bool,
) -> Result<OwnedFd, Errno> {
    enter::make(guest, enter::MOUNTS, || {
        move_to(kept, at)?;
        let copy = copy(kept)?;
        if read_only {
            set_read_only(kept, true)?;
        }
        Ok(copy)
    })
}

/// Show what is mounted at `from`, or was mounted nowhere, at `at`.
pub fn move_to(from: &OwnedFd, at: &OwnedFd) -> Result<(), Errno> {
    let both = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(from, "", at, "", both)
}

/// A mount once more, mounted nowhere.
fn copy(mount: &OwnedFd) -> Result<OwnedFd, Errno> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    rustix::mount::open_tree(mount, "", flags)
}

/// Let a mount be written to, or not. The caller is in the guest's namespace.
pub fn set_read_only(mount: &OwnedFd, read_only: bool) -> Result<(), Errno> {
    rustix::process::fchdir(mount)?;
    let mut flags = MountFlags::BIND | MountFlags::NOSUID | MountFlags::NODEV;
    flags.set(MountFlags::RDONLY, read_only);
    rustix::mount::mount_remount(".", flags, "")
}
