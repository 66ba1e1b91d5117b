//! What the guest's processes hold, as the kernel's tables tell: cheap upper bounds first, and
//! exact numbers where these are too much.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::fs::{AtFlags, Dir, Mode, OFlags};

const PAGE: u64 = 4096;
/// More than any file that is read here has.
const TEXT_MAX: u64 = 64 * 1024;
/// Pages of memory that one page of page tables describes.
const PER_TABLE: u64 = 512;

/// What `statm` tells of a process, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// All addresses that it has.
    pub total: u64,
    /// Memory of its own that is not in swap; what it shares with its forks counts for each.
    pub own: u64,
}

impl Size {
    fn parse(statm: &str) -> Option<Self> {
        let mut pages = statm
            .split(' ')
            .map_while(|field| field.parse::<u64>().ok());
        let (total, resident, shared) = (pages.next()?, pages.next()?, pages.next()?);
        Some(Self {
            total: total * PAGE,
            own: resident.saturating_sub(shared) * PAGE,
        })
    }

    /// At most so much is held for it, page tables and all.
    pub fn bound(self) -> u64 {
        self.own + self.total / PER_TABLE
    }
}

/// The `/proc` of the guest.
#[derive(Debug)]
pub struct Processes(OwnedFd);

impl Processes {
    /// Those that `proc` lists.
    pub fn new(proc: OwnedFd) -> Self {
        Self(proc)
    }

    /// Their pids in the guest.
    pub fn pids(&self) -> Vec<u32> {
        let Ok(names) = Dir::read_from(self.0.as_fd()) else {
            return Vec::new();
        };
        names
            .filter_map(|entry| entry.ok()?.file_name().to_str().ok()?.parse().ok())
            .collect()
    }

    /// A file of the kernel's, of which a part is enough.
    pub fn read(&self, path: &str) -> Option<String> {
        // Room for most files at once: each call of the kernel is a part of what a look costs.
        let mut bytes = Vec::with_capacity(1024);
        let file = rustix::fs::openat(
            &self.0,
            path,
            OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
        );
        File::from(file.ok()?)
            .take(TEXT_MAX)
            .read_to_end(&mut bytes)
            .ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Its size.
    pub fn size(&self, pid: u32) -> Option<Size> {
        Size::parse(&self.read(&format!("{pid}/statm"))?)
    }

    /// How long it and those of its children that have ended computed.
    pub fn computed(&self, pid: u32) -> Option<Duration> {
        computed(&self.read(&format!("{pid}/stat"))?)
    }

    /// How many descriptors it has open.
    pub fn descriptors(&self, pid: u32) -> u64 {
        let path = format!("{pid}/fd");
        let told = rustix::fs::statat(&self.0, path.as_str(), AtFlags::empty())
            .map_or(0, |status| status.st_size.unsigned_abs());
        if told > 0 {
            return told;
        }
        // Kernels before 6.2 do not tell, or there are none.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let entries = rustix::fs::openat(&self.0, path, flags, Mode::empty()).and_then(Dir::new);
        entries.map_or(0, |entries| entries.count().saturating_sub(2) as u64)
    }

    /// What is held for it, where what it shares counts for each that shares it: its memory, in
    /// swap or not, and its page tables.
    pub fn held(&self, pid: u32) -> Option<[u64; 2]> {
        let status = self.read(&format!("{pid}/status"))?;
        let field = |name| kilobytes(&status, name).unwrap_or(0);
        Some([field("RssAnon:") + field("VmSwap:"), field("VmPTE:")])
    }

    /// Its part of the memory that it shares with its forks, in swap or not. The kernel walks all
    /// of its pages.
    pub fn part(&self, pid: u32) -> Option<u64> {
        let rollup = self.read(&format!("{pid}/smaps_rollup"))?;
        Some(kilobytes(&rollup, "Pss_Anon:")? + kilobytes(&rollup, "SwapPss:").unwrap_or(0))
    }
}

/// The times of a process and its children in `stat`, which are the 14th to 17th of its fields; the
/// second, its name, may hold anything.
fn computed(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?;
    let times = fields.split_whitespace().skip(11).take(4);
    let ticks = times
        .map(|ticks| ticks.parse::<u64>().ok())
        .sum::<Option<u64>>()?;
    Some(Duration::from_millis(
        ticks.saturating_mul(1000) / rustix::param::clock_ticks_per_second(),
    ))
}

/// `NAME   12 kB`, in bytes.
fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> (Processes, u32) {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let proc = rustix::fs::open("/proc", flags, Mode::empty()).unwrap();
        (Processes::new(proc), std::process::id())
    }

    #[test]
    fn times_are_found_behind_any_name() {
        let stat = "7 (a) b) R 1 2 3 4 5 6 7 8 9 10 150 50 25 25 20 0";
        assert_eq!(computed(stat), Some(Duration::from_millis(2500)));
        assert_eq!(computed("7 (a"), None);
        let (processes, pid) = own();
        let before = processes.computed(pid).unwrap();
        while processes.computed(pid).unwrap() < before + Duration::from_millis(20) {
            std::hint::spin_loop();
        }
    }

    #[test]
    fn no_exact_number_is_above_its_bound() {
        let (processes, pid) = own();
        let memory = std::hint::black_box(vec![1_u8; 32 << 20]);
        assert!(processes.pids().contains(&pid));
        // The kernel counts by CPU and adds up now and then.
        let slack = 4 << 20;
        // Other tests of this process take and free memory between two looks at it.
        let is_bounded = || {
            let size = processes.size(pid).unwrap();
            let [held, tables] = processes.held(pid).unwrap();
            held + slack >= 32 << 20
                && size.bound() + slack >= held + tables
                && processes.part(pid).unwrap() <= held + slack
        };
        assert!((0..50).any(|_| is_bounded()));
        std::hint::black_box(&memory);
        assert!(processes.descriptors(pid) >= 3);
        drop(memory);
    }
}
