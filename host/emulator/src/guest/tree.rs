//! What the guest's file system holds that no disk does, and what a path leads to in it.

use std::collections::HashMap;
use std::os::fd::OwnedFd;

use rookery_project::SetId;
use rustix::fs::Stat;
use rustix::io::Errno;

use crate::files::console::Console;
use crate::files::devices::{self, Device, Devices, FileId};
use crate::files::mounts::Mounts;
use crate::files::private::{self, PrivateFiles};
use crate::files::process_file::ProcessFile;
use crate::guest::kept::Kept;
use crate::kernel::paths;
use crate::process::proc_dir::ProcDir;
use crate::process::record::Record;
use crate::process::view::View;
use crate::sandbox::rootfs::Rootfs;

/// Where the guest finds its console.
pub const CONSOLE: &str = "/dev/console";

/// What a path leads to.
#[derive(Debug)]
pub enum Found {
    /// A file that the supervisor answers for, and its path.
    Device(String, Device),
    /// What `/proc` tells about a process.
    OfProcess(ProcessFile),
    /// Any other file, where it is and what it is.
    File(String, Stat),
    /// What only the kernel can reach for the caller.
    Other,
}

/// What is in the file system beside its files.
pub struct Tree<'a> {
    /// The files that the supervisor answers for.
    pub(super) devices: Devices,
    /// What the guest believes to be mounted.
    pub(super) mounts: Mounts,
    /// Files of the archive that are not for every user.
    pub(super) private: PrivateFiles,
    /// The guest's console.
    pub(super) console: &'a Console,
    /// Programs of the archive that give their owner's rights, and how; their files do not show
    /// it.
    set_ids: HashMap<FileId, u32>,
    /// The file system that is its `/proc`, wherever it is seen.
    proc_device: Option<u64>,
    /// That file system's root, whatever the guest mounts there later.
    proc: Option<OwnedFd>,
}

impl<'a> Tree<'a> {
    /// With nothing mounted yet.
    pub fn new(devices: Devices, console: &'a Console) -> Self {
        Self {
            devices,
            mounts: Mounts::default(),
            private: PrivateFiles::default(),
            console,
            set_ids: HashMap::new(),
            proc_device: None,
            proc: None,
        }
    }

    /// What is at a path for the caller, also when a link leads there.
    ///
    /// `follow` is whether a link at the end of the path counts as what it points to. Which sockets
    /// are models, `kept` tells.
    pub fn resolve(
        &self,
        caller: &Record,
        init: &ProcDir,
        path: &str,
        follow: bool,
        kept: &Kept,
    ) -> Result<Found, Errno> {
        let spelled = paths::own_proc(path, caller.who.pid);
        for path in [path, &spelled] {
            if let Some(device) = self.devices.without_file(path).cloned()
                && is_of_first_root(caller, init, path)
            {
                return Ok(Found::Device(path.to_owned(), device));
            }
        }
        let view = caller.view().ok_or(Errno::SRCH)?;
        let (found, real) = match view.find_named(path, follow) {
            Ok(found) => found,
            // Beyond what the supervisor resolves for it: another user's, or a file without a name.
            Err(Errno::ACCESS | Errno::XDEV) => return Ok(self.stream(&view, path, kept)),
            Err(Errno::NOENT) if let Some(directory) = self.devices.directory(path) => {
                return Ok(Found::Device(path.to_owned(), directory));
            }
            Err(Errno::NOENT) if let Some(device) = self.hidden(&view, path) => {
                return Ok(Found::Device(path.to_owned(), device));
            }
            Err(error) => return Err(error),
        };
        let status = paths::status(&found)?;
        if let Some((path, device)) = self.devices.of_file(devices::id(&status)) {
            return Ok(Found::Device(path, device));
        }
        let real = real.map(|real| self.mounts.canonical(real));
        // A descriptor of the console, by `/proc/self/fd`, `/dev/stdout` and the like.
        let terminal = real
            .as_ref()
            .is_some_and(|real| paths::is_below(real, "/dev/pts"));
        if terminal
            && self.console.is_behind(&status)
            && let Some(device) = self.devices.get(CONSOLE)
        {
            return Ok(Found::Device(CONSOLE.to_owned(), device.clone()));
        }
        let Some(real) = real else {
            return Ok(Found::Other);
        };
        if real != path
            && let Some(device) = self.devices.without_file(&real)
        {
            return Ok(Found::Device(real, device.clone()));
        }
        let on_proc = Some(status.st_dev) == self.proc_device;
        Ok(match ProcessFile::named(&real).filter(|_| on_proc) {
            Some(file) => Found::OfProcess(file),
            None => Found::File(real, status),
        })
    }

    /// A model that is a stream, by `/proc/self/fd`, `/dev/stdout` and the like: the kernel opens
    /// no socket.
    fn stream(&self, view: &View, path: &str, kept: &Kept) -> Found {
        let path = view.socket(path).and_then(|inode| kept.stream(inode));
        let device = path.and_then(|path| Some((path.to_owned(), self.devices.get(path)?.clone())));
        device.map_or(Found::Other, |(path, device)| Found::Device(path, device))
    }

    /// What the configuration says of a device whose file the guest covered: where it mounts a file
    /// system over `/dev`, it copies its own nodes there, which extractors lose.
    fn hidden(&self, view: &View, path: &str) -> Option<Device> {
        let (device, file_system) = self.devices.hidden(path)?;
        let shown = paths::status(&view.find("/dev").ok()?).ok()?;
        let covered = paths::is_below(path, "/dev") && shown.st_dev != file_system;
        covered.then(|| device.clone())
    }

    /// Whether what was found is in `/proc` and belongs to one process.
    pub fn is_of_process(&self, found: &OwnedFd) -> bool {
        let on_proc =
            paths::status(found).is_ok_and(|status| Some(status.st_dev) == self.proc_device);
        let path = paths::of_descriptor(found).map(|path| self.mounts.canonical(path));
        on_proc && path.is_none_or(|path| paths::process(&path).is_some())
    }

    /// A process, by its number in the guest, as the guest's own `/proc` shows it.
    pub fn in_its_proc(&self, process: &ProcDir, number: u32) -> Result<ProcDir, Errno> {
        let proc = self.proc.as_ref().ok_or(Errno::NOENT)?;
        process.in_other(proc, number)
    }

    /// Learn, before init is started, which files stand for the devices, and what the files of the
    /// archive do not show that they were unpacked to.
    pub fn find_files(&mut self, init: &ProcDir, rootfs: &Rootfs) {
        let Ok(root) = init.target("root") else {
            return;
        };
        let view = View::new(root, 1);
        let status = |path: &str| paths::status(view.find_link(path).ok()?).ok();
        let find = |path: &str| status(path).map(|status| devices::id(&status));
        self.proc_device = find("/proc").map(|(device, _)| device);
        self.proc = view.find_directory("/proc").ok();
        for (path, _) in self.devices.placeholders() {
            if let Some(file) = find(&path) {
                self.devices.place(&path, file);
            }
        }
        for path in self.devices.of_the_kernel() {
            if let Some(file) = find(&path) {
                self.devices.add_file(&path, file);
            }
        }
        let found = |program: &SetId| Some((find(&program.path)?, program.bits));
        self.set_ids = rootfs.set_ids.iter().filter_map(found).collect();
        for private in &rootfs.private {
            if let Some(status) = status(&private.path) {
                self.private.add(private, &status);
            }
        }
    }

    /// Whether the caller gave up root's rights and is therefore surely refused `wanted` of what
    /// has this status at this path.
    pub fn refuses(&self, caller: &Record, path: &str, status: &Stat, wanted: u32) -> bool {
        let (uid, view) = match caller.uid {
            Some([_, uid, _]) if uid != 0 => (uid, caller.view()),
            _ => return false,
        };
        let closed = |directory: &str| {
            let found = view
                .as_ref()
                .and_then(|view| view.find_link(directory).ok());
            found
                .and_then(|found| paths::status(found).ok())
                .is_some_and(|status| self.private.refuses(uid, &status, private::EXECUTE))
        };
        self.private.refuses(uid, status, wanted) || self.private.above(path).any(closed)
    }

    /// The set-user-id and set-group-id bits that a program's file has in the archive.
    pub fn set_id_bits(&self, program: &OwnedFd) -> u32 {
        let status = paths::status(program).ok();
        let bits = status.and_then(|status| self.set_ids.get(&devices::id(&status)));
        bits.copied().unwrap_or(0)
    }
}

/// Whether the caller means by `path` what it means without a `chroot`.
fn is_of_first_root(caller: &Record, init: &ProcDir, path: &str) -> bool {
    if !caller.is_in_chroot() {
        return true;
    }
    let own = caller.view();
    let pid = caller.who.pid;
    let first = init.target("root").ok().map(|root| View::new(root, pid));
    let directory = |view: Option<View>| {
        let found = view?.find(paths::parent(path)).ok()?;
        paths::status(found).ok().map(|status| devices::id(&status))
    };
    let (own, first) = (directory(own), directory(first));
    own.is_some() && own == first
}
