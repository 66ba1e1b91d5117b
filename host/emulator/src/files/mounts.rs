//! What the guest believes to be mounted: the kernel's table without the sandbox's own lines, and
//! with the mounts that only seem to be.

use std::collections::HashSet;
use std::fmt::Write as _;

use crate::files::mount_names::{ImageNames, escape};
use crate::kernel::paths;
use crate::kernel::paths::is_machine;

/// Where the sandbox's own mounts are that a machine has, too: they stay, whatever the guest does.
const OWN: &[&str] = &["/", "/proc", "/sys", "/dev", "/dev/pts"];
/// The sandbox's other mounts, which a machine has not.
const HIDDEN: &[&str] = &[
    "/.rookery",
    "/.q",
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
    "/proc/sys/kernel",
    "/proc/sys/fs",
    "/proc/sys/user",
];
/// The source of every file system that the sandbox itself mounts.
const OURS: &str = "rookery";
/// Directories of `/proc` that tell of the host's hardware, drivers and file systems: they are
/// empty.
pub const HOSTS_OWN: &[&str] = &["acpi", "asound", "bus", "driver", "fs", "irq", "scsi"];
/// Below it are directories that list the models of a directory which the kernel's `/proc` has not.
pub const LISTINGS: &str = "/.rookery";
/// Mounts that are kept in mind.
const MOUNTS_MAX: usize = 256;
/// Memory of all file systems together that the guest mounts, and of one that asks for no size.
const MEMORY: u64 = 512 << 20;
const MEMORY_DEFAULT: u64 = 64 << 20;
/// What one counts for at least: it holds files, even where it has no room for their contents.
const MEMORY_MIN: u64 = 4 << 20;
/// The part of that memory in which one file may be had. An empty one costs the host's kernel more
/// than a kilobyte.
const MEMORY_OF_FILE: u64 = 4096;

/// A mount without effect.
#[derive(Debug, Clone)]
struct Faked {
    source: String,
    target: String,
    fstype: String,
    /// The kernel's number of the mount that it seems to lie on.
    on: u64,
}

/// A file system in memory that the guest mounted.
#[derive(Debug)]
struct Memory {
    /// Its device number, by which the kernel's table names it.
    device: u64,
    bytes: u64,
    /// It may live on without being in the table.
    detached: bool,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Mounts {
    faked: Vec<Faked>,
    /// Mounts of the sandbox that the guest believes to have undone.
    undone: HashSet<String>,
    memory: Vec<Memory>,
    /// Places where the guest has bound something, and what.
    bound: Vec<(String, String)>,
    /// The guest has another root than it began with.
    pivoted: bool,
    /// What of the memory is set aside for an image that is being unpacked.
    promised: u64,
    /// What the guest calls images that it has mounted.
    pub images: ImageNames,
}

/// Whether the sandbox keeps a mount at `path`.
pub fn is_own(path: &str) -> bool {
    OWN.contains(&path) || is_hidden(path)
}

fn is_hidden(path: &str) -> bool {
    let hosts = path
        .strip_prefix("/proc/")
        .is_some_and(|name| HOSTS_OWN.contains(&name));
    hosts || paths::is_below(path, "/.rookery") || HIDDEN.contains(&path)
}

/// Whether options, the first of which says it, let nobody write.
fn access(options: &str) -> &'static str {
    match options.split(',').next() {
        Some("ro") => "ro",
        _ => "rw",
    }
}

/// How many files a file system in memory of `bytes` may hold.
pub fn files_in(bytes: u64) -> u64 {
    bytes.max(MEMORY_MIN) / MEMORY_OF_FILE
}

impl Mounts {
    /// The guest mounts where the sandbox has mounted already.
    pub fn redo(&mut self, target: &str) {
        self.undone.remove(target);
    }

    /// Whether no further mount can be kept in mind.
    pub fn is_full(&self) -> bool {
        [self.faked.len(), self.bound.len(), self.memory.len()]
            .into_iter()
            .any(|mounts| mounts >= MOUNTS_MAX)
    }

    /// Take note of a mount without effect, on the mount that has the number `on`.
    pub fn fake(&mut self, source: &str, target: &str, fstype: &str, on: u64) {
        self.faked.push(Faked {
            source: source.to_owned(),
            target: target.to_owned(),
            fstype: fstype.to_owned(),
            on,
        });
    }

    /// The guest unmounts what is at `target`, where the kernel has the mount `on`: whether there
    /// was something that only seemed to be mounted. `None` where the kernel is to be asked.
    pub fn undo(&mut self, target: &str, on: u64) -> Option<bool> {
        let is_last = |faked: &Faked| faked.target == target && faked.on == on;
        if let Some(last) = self.faked.iter().rposition(is_last) {
            self.faked.remove(last);
            return Some(true);
        }
        is_own(target).then(|| !is_hidden(target) && self.undone.insert(target.to_owned()))
    }

    /// What is at `source` can be found at `target`, too.
    pub fn bind(&mut self, target: &str, source: &str) {
        self.bound.push((target.to_owned(), source.to_owned()));
    }

    /// Whether something is bound at `target`.
    pub fn is_bound(&self, target: &str) -> bool {
        self.bound.iter().any(|(bound, _)| bound == target)
    }

    /// Nothing is bound at `target` any more.
    pub fn unbind(&mut self, target: &str) {
        if let Some(last) = self.bound.iter().rposition(|(bound, _)| bound == target) {
            self.bound.remove(last);
        }
    }

    /// `new` becomes the root, and the old root is seen at `aside`. What the sandbox keeps at the
    /// root has come along.
    pub fn pivot(&mut self, new: &str, aside: Option<&str>) {
        self.pivoted = true;
        if aside.is_none() {
            let stays = |path: &str| paths::is_below(path, new) || is_machine(path);
            self.faked.retain(|faked| stays(&faked.target));
            self.bound.retain(|(target, _)| stays(target));
        }
        let aside = aside.unwrap_or_default();
        let moved = |path: &mut String| {
            if !is_own(path) && !is_machine(path) {
                *path = paths::after_pivot(path, new, aside);
            }
        };
        self.faked
            .iter_mut()
            .for_each(|faked| moved(&mut faked.target));
        for (target, source) in &mut self.bound {
            moved(target);
            moved(source);
        }
    }

    /// Whether the guest has another root than it began with.
    pub fn has_pivoted(&self) -> bool {
        self.pivoted
    }

    /// The guest starts anew: what it mounted is gone.
    pub fn forget_start(&mut self) {
        self.faked.clear();
        self.undone.clear();
        self.bound.clear();
    }

    /// The machine's own name for `path`, where it leads to a part of `/dev`, `/proc` or `/sys`.
    pub fn canonical(&self, path: String) -> String {
        if let Some(listed) = path.strip_prefix(LISTINGS)
            && paths::is_below(listed, "/proc")
        {
            return listed.to_owned();
        }
        let of_machine = |(_, source): &&(String, String)| is_machine(source);
        let found = self
            .bound
            .iter()
            .rev()
            .filter(of_machine)
            .find_map(|(target, source)| {
                let rest = path.strip_prefix(target.as_str())?;
                (rest.is_empty() || rest.starts_with('/')).then(|| format!("{source}{rest}"))
            });
        found.unwrap_or(path)
    }

    /// How much memory a new file system may have that asks for `wanted` bytes; `table` is the
    /// guest's `mountinfo`. `None`: there is none left.
    pub fn room(&mut self, wanted: Option<u64>, table: &str) -> Option<u64> {
        let live: HashSet<&str> = table
            .lines()
            .filter_map(|line| line.split(' ').nth(2))
            .collect();
        self.memory.retain(|memory| {
            let (major, minor) = (libc::major(memory.device), libc::minor(memory.device));
            memory.detached || live.contains(format!("{major}:{minor}").as_str())
        });
        let used: u64 = self.reserved();
        let left = MEMORY
            .saturating_sub(used)
            .checked_sub(MEMORY_MIN)
            .map(|left| left + MEMORY_MIN)?;
        // Those that do not ask share what is left, so that there is always some for the next.
        let bytes = wanted.unwrap_or_else(|| MEMORY_DEFAULT.min(left / 4));
        Some(bytes.clamp(4096, left))
    }

    /// What the file systems in memory may hold.
    pub fn reserved(&self) -> u64 {
        let own = self.memory.iter().map(|memory| memory.bytes);
        own.sum::<u64>() + self.promised
    }

    /// Set memory aside for an image that is being unpacked; 0 where none is any more.
    pub fn promise(&mut self, bytes: u64) {
        self.promised = bytes;
    }

    /// What they hold, where `in_use` tells it by a device's number of those that are in the table.
    pub fn held(&self, in_use: impl Fn(u64) -> Option<u64>) -> u64 {
        let of = |memory: &Memory| match in_use(memory.device) {
            Some(bytes) => bytes,
            None if memory.detached => memory.bytes,
            None => 0,
        };
        self.memory.iter().map(of).sum()
    }

    /// A file system in memory has been mounted.
    pub fn took(&mut self, device: u64, bytes: u64) {
        self.memory.push(Memory {
            device,
            bytes: bytes.max(MEMORY_MIN),
            detached: false,
        });
    }

    /// A file system leaves the table while it is in use.
    pub fn detached(&mut self, device: u64) {
        for memory in &mut self.memory {
            memory.detached |= memory.device == device;
        }
    }

    /// The text of `/proc/mounts`, from the kernel's.
    pub fn table(&self, kernels: &str) -> String {
        let mut text = String::new();
        for line in kernels.lines() {
            let mut fields: Vec<&str> = line.split(' ').collect();
            let Some(target) = fields.get(1).copied().filter(|at| self.shows(at)) else {
                continue;
            };
            let fstype = fields.get(2).copied().unwrap_or_default();
            let options = fields.get(3).copied().unwrap_or_default();
            let source = fields.first().copied().unwrap_or_default();
            if let Some((fstype, source)) = self.images.known(source) {
                let access = access(options);
                let _ = writeln!(text, "{source} {target} {fstype} {access},relatime 0 0");
                continue;
            }
            let known = replacement(&self.canonical(target.to_owned()), fstype);
            match (known, fields.first() == Some(&OURS)) {
                (Some(known), true) => {
                    fields = vec![known.0, target, known.1, "rw,relatime", "0", "0"];
                }
                // It came along with something that the guest has bound elsewhere.
                (None, true) => continue,
                (_, false) => {}
            }
            text.push_str(&fields.join(" "));
            text.push('\n');
        }
        for faked in &self.faked {
            let (source, target) = (escape(&faked.source), escape(&faked.target));
            let fstype = escape(&faked.fstype);
            let _ = writeln!(text, "{source} {target} {fstype} rw,relatime 0 0");
        }
        text
    }

    /// The text of `/proc/self/mountinfo`, from the kernel's.
    pub fn info(&self, kernels: &str) -> String {
        let mut text = String::new();
        for line in kernels.lines() {
            let Some(target) = line.split(' ').nth(4).filter(|at| self.shows(at)) else {
                continue;
            };
            let (front, back) = line.split_once(" - ").unwrap_or_default();
            let mut back = back.split(' ');
            let (fstype, source) = (back.next().unwrap_or_default(), back.next());
            if let Some((fstype, source)) = source.and_then(|source| self.images.known(source)) {
                let access = access(front.split(' ').nth(5).unwrap_or_default());
                let _ = writeln!(text, "{front} - {fstype} {source} {access}");
                continue;
            }
            match replacement(&self.canonical(target.to_owned()), fstype) {
                Some((shown, fstype)) if source == Some(OURS) => {
                    let _ = writeln!(text, "{front} - {fstype} {shown} rw");
                }
                None if source == Some(OURS) => {}
                _ => {
                    text.push_str(line);
                    text.push('\n');
                }
            }
        }
        for (index, faked) in self.faked.iter().enumerate() {
            let (source, target) = (escape(&faked.source), escape(&faked.target));
            let (id, minor) = (9000 + index, 200 + index);
            let fstype = escape(&faked.fstype);
            let _ = writeln!(
                text,
                "{id} 1 0:{minor} / {target} rw,relatime - {fstype} {source} rw"
            );
        }
        text
    }

    fn shows(&self, target: &str) -> bool {
        !is_hidden(&self.canonical(target.to_owned())) && !self.undone.contains(target)
    }
}

/// What a machine has mounted where the sandbox has something of its own.
fn replacement(target: &str, fstype: &str) -> Option<(&'static str, &'static str)> {
    match (target, fstype) {
        // The guest's first root, wherever it is seen now.
        (_, "overlay") => Some(("rootfs", "rootfs")),
        ("/dev", _) => Some(("devtmpfs", "devtmpfs")),
        ("/sys", _) => Some(("sysfs", "sysfs")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::mount_names::image_source;

    const KERNELS: &str = "rookery / overlay rw,lowerdir=. 0 0\n\
                           rookery /dev tmpfs rw 0 0\n\
                           udev /dev/null devtmpfs rw 0 0\n\
                           devpts /dev/pts devpts rw 0 0\n\
                           rookery /.rookery tmpfs ro 0 0\n\
                           var /var tmpfs rw 0 0\n";

    #[test]
    fn the_table_shows_what_a_machine_would_have_mounted() {
        let mut mounts = Mounts::default();
        mounts.fake("/dev/mtdblock 4", "/data", "jffs2", 1);
        assert_eq!(
            mounts.table(KERNELS),
            "rootfs / rootfs rw,relatime 0 0\n\
             devtmpfs /dev devtmpfs rw,relatime 0 0\n\
             devpts /dev/pts devpts rw 0 0\n\
             var /var tmpfs rw 0 0\n\
             /dev/mtdblock\\0404 /data jffs2 rw,relatime 0 0\n"
        );
        assert_eq!(mounts.undo("/dev", 1), Some(true));
        assert_eq!(mounts.undo("/dev", 1), Some(false));
        // Something else was mounted over it since.
        assert_eq!(mounts.undo("/data", 2), None);
        assert_eq!(mounts.undo("/data", 1), Some(true));
        assert_eq!(mounts.undo("/data", 1), None);
        assert_eq!(
            mounts.table(KERNELS),
            "rootfs / rootfs rw,relatime 0 0\n\
             devpts /dev/pts devpts rw 0 0\n\
             var /var tmpfs rw 0 0\n"
        );
        let info = "21 1 0:30 / / rw - overlay rookery rw,lowerdir=.\n\
                    22 21 0:5 /null /dev/null rw - devtmpfs udev rw\n";
        assert_eq!(mounts.info(info), "21 1 0:30 / / rw - rootfs rootfs rw\n");
    }

    #[test]
    fn an_image_is_shown_as_the_guest_mounted_it() {
        let mut mounts = Mounts::default();
        let image = mounts.images.number();
        mounts.images.name(image, "squashfs", "/dev/loop0");
        let source = image_source(image);
        let kernels = format!("{source} /mnt tmpfs ro,nosuid,nodev,size=4k 0 0\n");
        assert_eq!(
            mounts.table(&kernels),
            "/dev/loop0 /mnt squashfs ro,relatime 0 0\n"
        );
        let info = format!("40 21 0:44 / /mnt rw,nosuid - tmpfs {source} rw,size=4k\n");
        assert_eq!(
            mounts.info(&info),
            "40 21 0:44 / /mnt rw,nosuid - squashfs /dev/loop0 rw\n"
        );
    }

    #[test]
    fn all_file_systems_in_memory_share_one_budget() {
        let mut mounts = Mounts::default();
        let mut table = String::new();
        let (mut total, mut files) = (0, 0);
        for minor in 0..200 {
            let Some(bytes) = mounts.room((minor % 2 == 0).then_some(30 << 20), &table) else {
                break;
            };
            (total, files) = (total + bytes, files + files_in(bytes));
            mounts.took(libc::makedev(0, minor), bytes);
            let _ = writeln!(table, "{minor} 1 0:{minor} / /m rw - tmpfs m rw");
        }
        assert!(
            total <= MEMORY && total > MEMORY - 2 * MEMORY_MIN,
            "{total}"
        );
        assert!(files <= MEMORY / MEMORY_OF_FILE, "{files}");
        assert_eq!(mounts.room(Some(4096), &table), None);
        mounts.detached(libc::makedev(0, 0));
        assert_eq!(mounts.room(Some(4096), ""), Some(4096));
        assert_eq!(files_in(4096), 1024);
        assert_eq!(mounts.memory.len(), 1);
    }

    #[test]
    fn mounts_keep_their_places_when_the_root_changes() {
        let mut mounts = Mounts::default();
        mounts.fake("/dev/mtdblock4", "/mnt/data", "jffs2", 1);
        mounts.fake("/dev/mtdblock5", "/conf", "jffs2", 1);
        mounts.bind("/mnt/jail/dev", "/dev");
        mounts.pivot("/mnt", Some("/initrd"));
        let table = mounts.table("rookery /initrd overlay rw 0 0\nram / tmpfs rw 0 0\n");
        assert_eq!(
            table,
            "rootfs /initrd rootfs rw,relatime 0 0\nram / tmpfs rw 0 0\n\
             /dev/mtdblock4 /data jffs2 rw,relatime 0 0\n\
             /dev/mtdblock5 /initrd/conf jffs2 rw,relatime 0 0\n"
        );
        assert_eq!(mounts.canonical("/jail/dev/x".into()), "/dev/x");
    }

    #[test]
    fn a_path_below_a_bind_is_known_by_the_machines_name() {
        let mut mounts = Mounts::default();
        mounts.bind("/jail/dev", "/dev");
        assert_eq!(mounts.canonical("/jail/dev/x".into()), "/dev/x");
        assert_eq!(mounts.canonical("/jail/device".into()), "/jail/device");
        mounts.unbind("/jail/dev");
        assert_eq!(mounts.canonical("/jail/dev/x".into()), "/jail/dev/x");
    }
}
