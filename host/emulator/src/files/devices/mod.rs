//! The files that the supervisor answers for: models of the plan, device nodes, and the parts of
//! `/proc` that would show the host.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use rookery_project::Node;

use crate::files::drivers::{self, TTY_MAJOR};
use crate::files::flash::{self, Partitions};
use crate::files::interfaces::{NO_VLANS, VLAN_TABLE};
use crate::files::mounts::LISTINGS;
use crate::files::sys_tree::SysDevice;
use crate::files::{loops, machine, sys_tree};
use crate::kernel::paths;
use crate::qemu::arch::Arch;
use rookery_runs::plan::{Plan, Pseudofile, StaticFile};

/// What stands behind a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backing {
    /// A model of the plan, by its place there.
    Model(usize),
    /// The console.
    Console,
    /// The kernel's log: who reads it waits, and what is written to it is printed.
    KernelLog,
    /// A device of the host that is the same everywhere.
    Host(&'static str),
    /// Fixed contents.
    Contents(Vec<u8>),
    /// A directory of `/proc` that only holds models.
    Directory,
    /// A loop device, by its number.
    Loop(u32),
    /// The device that gives out loop devices.
    LoopControl,
    /// What makes interfaces that programs read and write.
    Tunnel,
    /// A flash partition.
    Flash {
        /// The block device, else the character device.
        block: bool,
        /// Its number.
        number: u32,
    },
    /// The machine's memory and ports, of which there is nothing to see: opening it fails with
    /// `EPERM`, as a kernel with `CONFIG_STRICT_DEVMEM` has it.
    Memory,
    /// A vendor's driver of the NVRAM.
    Nvram,
    /// A node without a driver: opening it fails with `ENXIO`.
    Nothing,
}

/// One path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// File type and permission bits.
    pub mode: u32,
    /// Major and minor number; 0 for regular files.
    pub numbers: (u32, u32),
    /// Its size as `stat` shows it.
    pub size: u64,
    /// What it is.
    pub backing: Backing,
}

impl Device {
    /// A device node, with the driver that every machine has for its numbers, or none.
    pub fn node(block: bool, numbers: (u32, u32), mode: u32) -> Self {
        let (kind, backing) = if block {
            (libc::S_IFBLK, disk(numbers))
        } else if numbers == loops::CONTROL_NUMBERS {
            (libc::S_IFCHR, Backing::LoopControl)
        } else {
            (libc::S_IFCHR, drivers::device(numbers))
        };
        Self {
            mode: kind | mode & 0o7777,
            numbers,
            size: 0,
            backing,
        }
    }

    /// A regular file.
    fn file(mode: u32, backing: Backing) -> Self {
        Self {
            mode: libc::S_IFREG | mode,
            numbers: (0, 0),
            size: 0,
            backing,
        }
    }

    /// A node of flash memory is a partition, where there is one of its number.
    fn find_flash(&mut self, partitions: &Partitions) {
        let block = self.is_block();
        if self.backing == Backing::Nothing
            && let Some(number) = partitions.of_numbers(block, self.numbers)
        {
            self.backing = Backing::Flash { block, number };
        }
    }

    fn is_block(&self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFBLK
    }
}

/// A file of the guest: the numbers of its file system and of its inode.
pub type FileId = (u64, u64);

/// The file that has this status.
pub fn id(status: &rustix::fs::Stat) -> FileId {
    (status.st_dev, status.st_ino)
}

/// All paths that the supervisor answers for.
#[derive(Debug, Default)]
pub struct Devices {
    /// Those of the plan and of the archive.
    by_path: HashMap<String, Device>,
    /// Of these, the paths that answer only where their file is, and the file system of that.
    placed: HashMap<String, u64>,
    /// The models that a [`Backing::Model`] is the number of.
    models: Vec<(String, Rc<Pseudofile>)>,
    /// Flash memory.
    flash: Partitions,
    /// The files that stand for devices, whatever they come to be called, with the path that each
    /// was made for.
    by_file: HashMap<FileId, (String, Device)>,
}

/// Files that may stand for devices; those that were removed count, too.
const FILES_MAX: usize = 10_000;

/// The major number that modelled character devices show: one that Linux keeps for local use.
const MODEL_MAJOR: u32 = 240;

/// The first minor number of a console that the archive has no node for: behind those of serial
/// ports that firmware has (Linux, `Documentation/admin-guide/devices.txt`).
const FIRST_CONSOLE: u32 = 96;

/// The caller's own terminal.
const TTY: (u32, u32) = (5, 0);
/// The device that makes pseudo-terminals.
pub const PTMX: (u32, u32) = (5, 2);

impl Devices {
    /// Those of a plan and of its archive.
    ///
    /// `consoles` are the names by which the firmware means its console.
    pub fn new(plan: &Plan, nodes: &[Node], consoles: &BTreeSet<String>, arch: &Arch) -> Self {
        let mut devices = Self::default();
        for (path, numbers) in [
            ("/dev/console", (5, 1)),
            ("/dev/ttyS0", (4, 64)),
            ("/dev/kmsg", (1, 11)),
            ("/dev/net/tun", (10, 200)),
            ("/dev/ppp", (108, 0)),
        ] {
            devices.add_node(path, Device::node(false, numbers, 0o600));
        }
        for number in 0..loops::NODES {
            let node = Device::node(true, (loops::MAJOR, number), 0o660);
            devices.add_node(&loops::path(number), node);
        }
        let control = Device::node(false, loops::CONTROL_NUMBERS, 0o660);
        devices.add_node(loops::CONTROL, control);
        for node in nodes {
            devices.add_node(
                &paths::normalise(&node.path),
                Device::node(node.block, (node.major, node.minor), node.mode),
            );
        }
        for (name, number) in consoles.iter().zip(FIRST_CONSOLE..) {
            devices.add_console(&format!("/dev/{name}"), number);
        }
        for (path, file) in &plan.static_files {
            if let StaticFile::Device {
                block,
                major,
                minor,
                mode,
            } = file
            {
                devices.add_node(
                    &paths::normalise(path),
                    Device::node(*block, (*major, *minor), *mode),
                );
            }
        }
        for (path, contents) in machine::files(plan, arch) {
            let file = Device::file(0o644, Backing::Contents(contents.into_bytes()));
            devices.by_path.insert(path.to_owned(), file);
        }
        let log = Device::file(0o400, Backing::KernelLog);
        devices.by_path.insert("/proc/kmsg".to_owned(), log);
        devices.set_contents(VLAN_TABLE, NO_VLANS.into());
        for (path, file) in &plan.pseudofiles {
            devices.set_model(path, Rc::new(file.clone()));
        }
        devices
    }

    /// All models, by their paths.
    pub fn models(&self) -> &[(String, Rc<Pseudofile>)] {
        &self.models
    }

    /// A model by its number.
    pub fn model(&self, index: usize) -> Option<Rc<Pseudofile>> {
        self.models.get(index).map(|(_, file)| Rc::clone(file))
    }

    /// The model of a path.
    pub fn model_at(&self, path: &str) -> Option<Rc<Pseudofile>> {
        let known = self.models.iter().find(|(known, _)| known == path)?;
        Some(Rc::clone(&known.1))
    }

    /// A path is modelled so from now on.
    pub fn set_model(&mut self, path: &str, file: Rc<Pseudofile>) {
        let path = paths::normalise(path);
        let index = self.models.iter().position(|(known, _)| *known == path);
        let index = index.unwrap_or_else(|| {
            self.models.push((path.clone(), Rc::clone(&file)));
            self.models.len() - 1
        });
        self.add_model(&path, index, &file);
        if let Some((_, known)) = self.models.get_mut(index) {
            *known = file;
        }
    }

    /// Flash memory has these partitions; `as_file`: see [`flash::nodes`].
    pub fn add_flash(&mut self, partitions: Partitions, as_file: bool) {
        for partition in partitions.all() {
            for (path, block, numbers) in flash::nodes(partition.number, as_file) {
                let node = Device::node(block, numbers, 0o660);
                self.by_path.entry(path).or_insert(node);
            }
        }
        for device in self.by_path.values_mut() {
            device.find_flash(&partitions);
        }
        let table = ("/proc/mtd".to_owned(), partitions.table());
        for (path, text) in partitions.descriptions().into_iter().chain([table]) {
            let file = Device::file(0o444, Backing::Contents(text.into_bytes()));
            match self.by_path.get_mut(&path) {
                Some(known) if matches!(known.backing, Backing::Model(_)) => {}
                _ => drop(self.by_path.insert(path, file)),
            }
        }
        self.flash = partitions;
    }

    /// Flash memory.
    pub fn flash(&mut self) -> &mut Partitions {
        &mut self.flash
    }

    /// Put a device at a path, unless `keeps` what is there.
    pub fn replace(&mut self, path: &str, new: Device, keeps: impl Fn(&Device) -> bool) -> bool {
        let known = self.by_path.get(path);
        if known.is_some_and(keeps) {
            return false;
        }
        self.by_path.insert(path.to_owned(), new);
        true
    }

    /// A name of the console, with the numbers of the archive's node where there is one.
    fn add_console(&mut self, path: &str, number: u32) {
        let new = || Device::node(false, (TTY_MAJOR, number), 0o620);
        let device = self.by_path.entry(path.to_owned()).or_insert_with(new);
        if !device.is_block() {
            device.backing = Backing::Console;
        }
    }

    /// The contents of `/proc/modules`, where no model stands in their place.
    pub fn modules(&mut self) -> Option<&mut Vec<u8>> {
        match &mut self.by_path.get_mut("/proc/modules")?.backing {
            Backing::Contents(contents) => Some(contents),
            _ => None,
        }
    }

    /// A file of `/proc` whose contents change; a model stays.
    pub fn set_contents(&mut self, path: &str, contents: Vec<u8>) {
        match self.by_path.get_mut(path) {
            Some(Device {
                backing: Backing::Contents(known),
                ..
            }) => *known = contents,
            Some(_) => {}
            None => {
                let file = Device::file(0o644, Backing::Contents(contents));
                self.by_path.insert(path.to_owned(), file);
            }
        }
    }

    /// Forget the files of `/proc` below a directory whose contents change, unless one `stays`.
    pub fn keep_contents(&mut self, directory: &str, stays: impl Fn(&str) -> bool) {
        self.by_path.retain(|path, device| {
            let changes = matches!(device.backing, Backing::Contents(_));
            !changes || !paths::is_below(path, directory) || stays(path)
        });
    }

    fn add_model(&mut self, path: &str, index: usize, file: &Pseudofile) {
        let size = file.size.unwrap_or(0);
        let (mode, numbers) = match self.by_path.get(path) {
            // The archive's node tells what the device is.
            Some(node) if node.numbers != (0, 0) => (node.mode, node.numbers),
            _ if path.starts_with("/dev/mtdblock") => {
                (libc::S_IFBLK | 0o666, (31, trailing_number(path)))
            }
            _ if path.starts_with("/dev/mtd") => {
                (libc::S_IFCHR | 0o666, (90, 2 * trailing_number(path)))
            }
            _ if paths::is_below(path, "/dev") => (
                libc::S_IFCHR | 0o666,
                (MODEL_MAJOR, u32::try_from(index).unwrap_or(0)),
            ),
            _ => (libc::S_IFREG | 0o644, (0, 0)),
        };
        self.by_path.insert(
            path.to_owned(),
            Device {
                mode,
                numbers,
                size,
                backing: Backing::Model(index),
            },
        );
    }

    /// A device node of the archive, or of the plan.
    fn add_node(&mut self, path: &str, node: Device) {
        // Those of the sandbox work: a terminal is its opener's.
        let sandboxes = matches!(
            (path, node.numbers),
            ("/dev/ptmx", PTMX) | ("/dev/tty", TTY)
        );
        if !sandboxes || node.is_block() {
            self.by_path.insert(path.to_owned(), node);
        }
    }

    /// A file stands for a path, which answers where that file is from now on.
    pub fn place(&mut self, path: &str, file: FileId) {
        if let Some(device) = self.by_path.get(path) {
            self.placed.insert(path.to_owned(), file.0);
            self.by_file.insert(file, (path.to_owned(), device.clone()));
        }
    }

    /// The paths of the kernel's `/proc` that the supervisor answers for, where they stay the same
    /// files: those of settings do not.
    pub fn of_the_kernel(&self) -> Vec<String> {
        let lasting =
            |path: &&String| paths::is_below(path, "/proc") && !paths::is_below(path, "/proc/sys");
        self.by_path.keys().filter(lasting).cloned().collect()
    }

    /// The kernel's file of a path that the supervisor answers for, wherever else it is seen: by a
    /// bind, below another process's root.
    pub fn add_file(&mut self, path: &str, file: FileId) {
        if let Some(device) = self.by_path.get(path) {
            self.by_file.insert(file, (path.to_owned(), device.clone()));
        }
    }

    /// The guest has made a node: a file stands for it. A model of its path answers for it.
    pub fn make(&mut self, path: &str, mut node: Device, file: FileId) {
        node.find_flash(&self.flash);
        if let Some(model) = self.by_path.get(path)
            && matches!(model.backing, Backing::Model(_) | Backing::Nvram)
        {
            node.backing = model.backing.clone();
            node.size = model.size;
        }
        self.by_file.insert(file, (path.to_owned(), node));
    }

    /// Whether no more nodes can be made.
    pub fn is_full(&self) -> bool {
        self.by_file.len() >= FILES_MAX
    }

    /// A file system is gone: its number may come to be another's.
    pub fn forget(&mut self, file_system: u64) {
        self.by_file.retain(|(of, _), _| *of != file_system);
    }

    /// The device that a file stands for, and the path that it was made for.
    pub fn of_file(&self, file: FileId) -> Option<(String, Device)> {
        self.by_file.get(&file).cloned()
    }

    /// What the supervisor answers for a path whatever is there.
    pub fn without_file(&self, path: &str) -> Option<&Device> {
        self.by_path
            .get(path)
            .filter(|_| !self.placed.contains_key(path))
    }

    /// What a configured path answers where its file is out of sight, and the file system that has
    /// that file.
    pub fn hidden(&self, path: &str) -> Option<(&Device, u64)> {
        let device = self.by_path.get(path)?;
        let configured = matches!(
            device.backing,
            Backing::Model(_) | Backing::Flash { .. } | Backing::Nvram
        );
        let file_system = *self.placed.get(path)?;
        configured.then_some((device, file_system))
    }

    /// What the supervisor answers for a path.
    pub fn get(&self, path: &str) -> Option<&Device> {
        self.by_path.get(path)
    }

    /// A directory that the kernel has not, but that a file of ours in `/proc` lies below.
    pub fn directory(&self, path: &str) -> Option<Device> {
        let holds = |(known, device): (&String, &Device)| {
            is_listed(known, device) && paths::is_below(known, path)
        };
        (paths::is_below(path, "/proc") && self.by_path.iter().any(holds)).then_some(Device {
            mode: libc::S_IFDIR | 0o555,
            numbers: (0, 0),
            size: 0,
            backing: Backing::Directory,
        })
    }

    /// The devices that `/sys` shows.
    pub fn in_sys(&self) -> Vec<SysDevice> {
        sys_tree::devices(self.by_path.iter())
    }

    /// The paths that must show in listings, and the permission bits there.
    pub fn placeholders(&self) -> Vec<(String, u32)> {
        let all = self.by_path.keys();
        all.filter_map(|path| self.placeholder(path)).collect()
    }

    /// Where a path shows in listings, and the permission bits there. `/proc` is the kernel's and
    /// takes none: its models are listed elsewhere.
    pub fn placeholder(&self, path: &str) -> Option<(String, u32)> {
        let device = self.by_path.get(path)?;
        let listed = if !paths::is_below(path, "/proc") {
            path.to_owned()
        } else if is_listed(path, device) {
            format!("{LISTINGS}{path}")
        } else {
            return None;
        };
        Some((listed, device.mode))
    }
}

/// Whether the kernel's `/proc` may have no directory for a path.
fn is_listed(path: &str, device: &Device) -> bool {
    matches!(device.backing, Backing::Model(_)) || path == VLAN_TABLE
}

fn trailing_number(path: &str) -> u32 {
    let digits: String = path.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

/// The disks that every machine may have.
fn disk((major, minor): (u32, u32)) -> Backing {
    if major == loops::MAJOR {
        Backing::Loop(minor)
    } else {
        Backing::Nothing
    }
}

#[cfg(test)]
pub(crate) mod tests;
