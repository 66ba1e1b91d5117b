//! The guest's file system as one of its processes sees it: paths are resolved as they would be for
//! that process, and what is found is looked at, not opened.
//!
//! Reading what the guest named is another step, [`read`], and takes only what surely is a file of
//! the guest's own: anything else might be the host's, have no end, or act on being opened.
//!
//! Invariant 8: nothing from a guest is a path, a number or advice.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use rustix::fs::{Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use crate::kernel::{paths, shortage};

/// Links that are followed in one path, as the kernel has it.
const LINKS_MAX: u32 = 40;
/// Steps that are gone by ourselves in one path.
const STEPS_MAX: u32 = 512;
/// How often a path is looked at while others change the tree.
const RACES_MAX: u32 = 1000;

/// Where a process stands.
#[derive(Debug)]
pub struct View {
    /// What it sees as `/`.
    root: Rc<OwnedFd>,
    /// That is what the guest has as `/`: a path that it names is the file's own.
    whole: bool,
    /// Its own pid in the guest, for `/proc/self`.
    pid: u32,
}

impl View {
    /// What is seen below `root` by the process `pid` of the guest.
    pub fn new(root: impl Into<Rc<OwnedFd>>, pid: u32) -> Self {
        let (root, whole) = (root.into(), false);
        Self { root, whole, pid }
    }

    /// As [`View::new`], where `root` is what the guest has as `/`.
    pub fn of_whole(root: Rc<OwnedFd>, pid: u32) -> Self {
        let whole = true;
        Self { root, whole, pid }
    }

    /// What is at an absolute path.
    pub fn find(&self, path: &str) -> Result<OwnedFd, Errno> {
        self.resolve(path, OFlags::empty())
    }

    /// What is at an absolute path, a link at its end included.
    pub fn find_link(&self, path: &str) -> Result<OwnedFd, Errno> {
        self.resolve(path, OFlags::NOFOLLOW)
    }

    /// The text of a file of an unpacked firmware, which nobody changes, to a length.
    pub fn unpacked_text(&self, path: &str, most: u64) -> Option<String> {
        let file = read_unpacked(self.find(path).ok()?).ok()?;
        let mut bytes = Vec::new();
        file.take(most).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The directory that is at an absolute path.
    pub fn find_directory(&self, path: &str) -> Result<OwnedFd, Errno> {
        self.resolve(path, OFlags::DIRECTORY)
    }

    /// What is at an absolute path, and its name in the guest, links resolved, where it has one.
    /// `follow` is whether a link at the end of the path counts as what it points to.
    pub fn find_named(&self, path: &str, follow: bool) -> Result<(OwnedFd, Option<String>), Errno> {
        let (path, flags) = (paths::own_proc(path, self.pid), leads_on(follow));
        match self.look_straight(&path, flags) {
            Some(found) if self.whole => Ok((found?, Some(path))),
            Some(found) => found.map(with_name),
            None => self.follow(&path, flags).map(with_name),
        }
    }

    fn resolve(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        let path = paths::own_proc(path, self.pid);
        let straight = self.look_straight(&path, flags);
        straight.unwrap_or_else(|| self.follow(&path, flags))
    }

    /// What is at a path on which there is no link, or why there is nothing; `None` where there is
    /// one.
    fn look_straight(&self, path: &str, flags: OFlags) -> Option<Result<OwnedFd, Errno>> {
        match self.look(
            path,
            flags,
            ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS,
        ) {
            Err(Errno::LOOP) => None,
            found => Some(found),
        }
    }

    /// What is at a path on which there is a link.
    fn follow(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        match self.look(path, flags, ResolveFlags::IN_ROOT) {
            // Behind a link of `/proc` that leads to what a process has, which nobody may follow
            // whose root is pinned.
            Err(Errno::XDEV) => self.walk(path, flags),
            // A link to `/proc/self/…` leads the process somewhere, but not us.
            Err(errno @ (Errno::NOENT | Errno::LOOP)) if self.may_lead_on(path, flags) => {
                self.walk(path, flags).map_err(|walked| match walked {
                    Errno::NOENT => errno,
                    walked => walked,
                })
            }
            result => result,
        }
    }

    /// The inode of the socket to which a link of `/proc` leads, also by way of others.
    pub fn socket(&self, path: &str) -> Option<u64> {
        let mut path = path.to_owned();
        for _ in 0..LINKS_MAX {
            let link = self.find_link(&path).ok()?;
            let target = rustix::fs::readlinkat(&link, "", Vec::new()).ok()?;
            let target = target.to_string_lossy();
            if let Some(inode) = paths::socket(&target).filter(|_| on_proc(&link)) {
                return Some(inode);
            }
            path = paths::join(paths::parent(&path), &target);
        }
        None
    }

    /// Whether a path at which we find nothing may lead the process somewhere: there is a link on
    /// it.
    fn may_lead_on(&self, path: &str, flags: OFlags) -> bool {
        let Ok(parent) = self.look(
            paths::parent(path),
            OFlags::DIRECTORY,
            ResolveFlags::IN_ROOT,
        ) else {
            return true;
        };
        let link = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let name = paths::basename(path);
        !flags.contains(OFlags::NOFOLLOW)
            && rustix::fs::openat(parent, name, link, Mode::empty()).is_ok()
    }

    fn look(&self, path: &str, flags: OFlags, resolve: ResolveFlags) -> Result<OwnedFd, Errno> {
        let relative = path.trim_start_matches('/');
        let relative = if relative.is_empty() { "." } else { relative };
        let open = || {
            rustix::fs::openat2(
                &self.root,
                relative,
                flags | OFlags::PATH | OFlags::CLOEXEC,
                Mode::empty(),
                resolve,
            )
        };
        // The kernel does not follow `..` while anybody renames or mounts anything (`openat2(2)`,
        // EAGAIN): it can be followed the next moment.
        let mut all = (0..RACES_MAX).map(|_| open());
        let found = all.find(|found| !matches!(found, Err(Errno::AGAIN)));
        found.unwrap_or_else(open).map_err(shortage::of("openat2"))
    }

    /// Where the link `found`, whose name is `name`, leads the process.
    fn target(&self, found: &OwnedFd, name: &str) -> Result<String, Errno> {
        let on_proc = on_proc(found);
        if on_proc && matches!(name, "self" | "thread-self") {
            return Ok(self.pid.to_string());
        }
        let target = rustix::fs::readlinkat(found, "", Vec::new())?;
        let target = target.to_string_lossy().into_owned();
        let ordinary = !on_proc || matches!(name, "mounts" | "net");
        // A pipe, a socket, a file that has no name here: only the kernel can go there.
        let has_name = || {
            paths::is_path(&target)
                && self
                    .look(&target, OFlags::NOFOLLOW, ResolveFlags::IN_ROOT)
                    .is_ok()
        };
        if ordinary || has_name() {
            Ok(target)
        } else {
            Err(Errno::XDEV)
        }
    }

    /// Resolve step by step what the kernel does not resolve for us. `NAMETOOLONG` where there is
    /// no end to it.
    fn walk(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        let parts = |path: &str| -> Vec<String> {
            let parts = path.split('/').filter(|part| !part.is_empty());
            parts.map(str::to_owned).collect()
        };
        let mut left: VecDeque<String> = parts(path).into();
        // Holds no link.
        let mut reached = "/".to_owned();
        let (mut links, mut steps) = (0, 0);
        while let Some(part) = left.pop_front() {
            steps += 1;
            if steps > STEPS_MAX {
                return Err(Errno::NAMETOOLONG);
            }
            let next = paths::own_proc(&paths::join(&reached, &part), self.pid);
            let last = left.is_empty();
            let found = self.look(&next, OFlags::NOFOLLOW, ResolveFlags::IN_ROOT)?;
            if !is_link(&paths::status(&found)?) || (last && flags.contains(OFlags::NOFOLLOW)) {
                reached = next;
                continue;
            }
            links += 1;
            if links > LINKS_MAX {
                return Err(Errno::LOOP);
            }
            let target = self.target(&found, &part)?;
            if target.starts_with('/') {
                "/".clone_into(&mut reached);
            }
            for part in parts(&target).into_iter().rev() {
                left.push_front(part);
            }
        }
        self.look(&reached, flags, ResolveFlags::IN_ROOT)
    }
}

fn leads_on(follow: bool) -> OFlags {
    if follow {
        OFlags::empty()
    } else {
        OFlags::NOFOLLOW
    }
}

fn with_name(found: OwnedFd) -> (OwnedFd, Option<String>) {
    let name = paths::of_descriptor(&found);
    (found, name)
}

fn is_link(status: &Stat) -> bool {
    status.st_mode & libc::S_IFMT == libc::S_IFLNK
}

/// Whether a file is one of `/proc`, wherever it is seen.
pub fn on_proc(found: impl AsFd) -> bool {
    file_system(found.as_fd()).is_ok_and(|kind| kind == PROC)
}

/// `PROC_SUPER_MAGIC`, `TMPFS_MAGIC`, `OVERLAYFS_SUPER_MAGIC` (`statfs(2)`).
const PROC: i64 = libc::PROC_SUPER_MAGIC;
const TMPFS: i64 = libc::TMPFS_MAGIC;
const OVERLAY: i64 = libc::OVERLAYFS_SUPER_MAGIC;

fn file_system(found: BorrowedFd<'_>) -> Result<i64, Errno> {
    rustix::fs::fstatfs(found).map(|status| status.f_type)
}

/// Open for reading what was found. `ACCESS` for anything but a regular file or a directory of the
/// file systems that hold the guest's own files: those end, and no read of them waits.
pub fn read(found: impl AsFd) -> Result<File, Errno> {
    match file_system(found.as_fd())? {
        TMPFS | OVERLAY => read_unpacked(found),
        _ => Err(Errno::ACCESS),
    }
}

/// As [`read`], of what was found in the unpacked archive before the guest begins: whichever file
/// system of the host it is on, nothing else is in it.
pub fn read_unpacked(found: impl AsFd) -> Result<File, Errno> {
    let found = found.as_fd();
    let mode = paths::status(found)?.st_mode & libc::S_IFMT;
    if !matches!(mode, libc::S_IFREG | libc::S_IFDIR) {
        return Err(Errno::ACCESS);
    }
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let path = format!("/proc/self/fd/{}", found.as_raw_fd());
    rustix::fs::open(path, flags, Mode::empty()).map(File::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn view_of(root: &std::path::Path) -> View {
        View::new(OwnedFd::from(File::open(root).unwrap()), std::process::id())
    }

    #[test]
    fn links_never_lead_out_of_the_root() {
        let root = tempfile::tempdir().unwrap();
        symlink("../../../../etc/passwd", root.path().join("up")).unwrap();
        symlink("/inside", root.path().join("absolute")).unwrap();
        std::fs::write(root.path().join("inside"), "x").unwrap();
        let view = view_of(root.path());
        let exists = |path| view.find(path).map(drop);
        assert_eq!(exists("/up"), Err(Errno::NOENT));
        assert_eq!(exists("/absolute"), Ok(()));
        assert_eq!(exists("/absolute/x"), Err(Errno::NOTDIR));
        assert!(is_link(
            &paths::status(view.find_link("/up").unwrap()).unwrap()
        ));
    }

    #[test]
    fn a_way_up_is_found_while_others_rename() {
        // In memory others are fast enough to come between.
        let root = tempfile::tempdir_in("/dev/shm").unwrap();
        std::fs::create_dir_all(root.path().join("a/b")).unwrap();
        std::fs::write(root.path().join("file"), "x").unwrap();
        let names = ["one", "two"].map(|name| root.path().join(name));
        std::fs::write(&names[0], "x").unwrap();
        let view = view_of(root.path());
        let ends = std::sync::atomic::AtomicBool::new(false);
        let ended = || ends.load(std::sync::atomic::Ordering::Relaxed);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !ended() {
                    std::fs::rename(&names[0], &names[1]).unwrap();
                    std::fs::rename(&names[1], &names[0]).unwrap();
                }
            });
            let path = format!("/{}file", "a/b/../../".repeat(20));
            let lost = (0..20_000).filter(|_| view.find(&path).is_err());
            let lost = lost.count();
            ends.store(true, std::sync::atomic::Ordering::Relaxed);
            assert_eq!(lost, 0);
        });
    }

    #[test]
    fn what_a_process_has_is_found_through_its_links_of_proc() {
        let view = view_of(std::path::Path::new("/"));
        let name = |path: &str| {
            view.find(path)
                .map(|found| paths::of_descriptor(found).unwrap())
        };
        assert_eq!(
            name("/proc/self/root/proc/version").unwrap(),
            "/proc/version"
        );
        let own = std::process::id();
        assert_eq!(
            name("/proc/thread-self/root/proc/self/root/proc/mounts").unwrap(),
            format!("/proc/{own}/mounts")
        );
        let held = File::open("/etc/passwd").unwrap();
        let by_number = format!("/proc/self/fd/{}", held.as_raw_fd());
        assert_eq!(name(&by_number).unwrap(), "/etc/passwd");
        assert_eq!(name("/proc/self/exe/x").unwrap_err(), Errno::NOTDIR);
        let (pipe, _end) = std::io::pipe().unwrap();
        let by_number = format!("/proc/self/fd/{}", pipe.as_raw_fd());
        assert_eq!(name(&by_number).unwrap_err(), Errno::XDEV);
        let (socket, _end) = std::os::unix::net::UnixStream::pair().unwrap();
        let number = format!("/proc/self/fd/{}", socket.as_raw_fd());
        let inode = rustix::fs::fstat(&socket).unwrap().st_ino;
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("stdout");
        std::os::unix::fs::symlink(&number, &link).unwrap();
        for path in [number.as_str(), link.to_str().unwrap()] {
            assert_eq!(view.socket(path), Some(inode), "{path}");
        }
        assert_eq!(view.socket(&by_number), None, "a pipe");
        let endless = "/proc/self/root".repeat(STEPS_MAX as usize);
        assert!(matches!(
            name(&endless),
            Err(Errno::NAMETOOLONG | Errno::LOOP)
        ));
    }

    #[test]
    fn only_what_surely_is_a_file_of_the_guests_own_is_read() {
        let view = view_of(std::path::Path::new("/"));
        for foreign in [
            "/proc/version",
            "/proc/self/mounts",
            "/dev/zero",
            "/dev/tty",
            "/proc",
        ] {
            let found = view.find(foreign).unwrap();
            assert_eq!(read(&found).err(), Some(Errno::ACCESS), "{foreign}");
        }
        let memory = rustix::fs::memfd_create("x", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        assert!(read(&memory).is_ok());
        let (pipe, _end) = std::io::pipe().unwrap();
        assert_eq!(read(&pipe).err(), Some(Errno::ACCESS));
    }
}
