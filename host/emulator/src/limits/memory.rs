//! The guest's memory, against its budget: what its processes have of their own, in swap or not,
//! with their page tables; what they share without a file; System V segments; and files in memory,
//! also those without a name.
//!
//! It is looked at the more often the less is left.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use crate::limits::processes::{Processes, Size};
use crate::limits::shared::Shared;

/// Descriptors of all processes together: each is the kernel's memory, and a pipe or a socket has
/// buffers.
const DESCRIPTORS_MAX: u64 = 16 * 1024;
/// Sockets of its network namespace, those included that are on their way in a message and that no
/// process has open, and those by which models are served.
pub const SOCKETS_MAX: u64 = 2048;

/// What a process that shares its memory with many forks may seem to have, as a multiple of the
/// budget, before the kernel is asked to walk its pages: more is taken for too much without.
const SEEMING_MAX: u64 = 8;

/// Bytes that a guest fills where several processors do nothing else.
const FILLED_IN_A_NANOSECOND: u64 = 4;
/// Bounds of how often it is looked at.
const OFTEN: Duration = Duration::from_millis(10);
const SELDOM: Duration = Duration::from_millis(250);
/// Less than this is no growth: the kernel counts by CPU and adds up now and then.
const GROWTH: u64 = 1 << 20;
/// A guest with much left may cost one part in so many of a processor.
const SHARE: u32 = 2000;
const SHARE_NEAR: u32 = 10;
/// However much it costs, it is looked at so often, and also where much is left and it held no more
/// at the last look than at the one before.
const AT_LEAST: Duration = Duration::from_secs(1);

/// The guest's memory.
#[derive(Debug)]
pub struct Memory {
    processes: Processes,
    /// The file systems in memory that the supervisor made for it.
    disks: [OwnedFd; 2],
    segments: Option<File>,
    shared: Shared,
    budget: u64,
    /// What the host had in swap when it began.
    swap_before: u64,
    due: Instant,
    /// What it held at the last look.
    held: u64,
}

/// What there is, in bytes.
#[derive(Debug, Clone, Copy, Default)]
struct Used {
    own: u64,
    shared: u64,
    segments: u64,
    files: u64,
}

impl Used {
    fn total(self) -> u64 {
        self.own + self.shared + self.segments + self.files
    }
}

impl Memory {
    /// Of the processes that `proc` lists.
    pub fn new(proc: OwnedFd, disks: [OwnedFd; 2], segments: Option<File>, budget: u64) -> Self {
        Self {
            processes: Processes::new(proc),
            disks,
            segments,
            shared: Shared::default(),
            budget,
            swap_before: swap_in_use(),
            due: Instant::now(),
            held: 0,
        }
    }

    /// When to look again.
    pub fn due(&self) -> Instant {
        self.due
    }

    /// How long the guest's processes computed, all together.
    pub fn computed(&self) -> Duration {
        let pids = self.processes.pids().into_iter();
        pids.filter_map(|pid| self.processes.computed(pid)).sum()
    }

    /// A process is about to map memory that others may share.
    pub fn shares(&mut self) {
        self.shared.expected();
    }

    /// Where files without a name are made.
    pub fn nameless(&self) -> &OwnedFd {
        &self.disks[1]
    }

    /// What the guest has too much of, in words. `mounted` is what its own mounts may hold, and
    /// gives what they do hold where that matters.
    pub fn excess(&mut self, mounted: u64, exact: impl FnOnce() -> u64) -> Option<String> {
        let begin = processor_time();
        if Instant::now() < self.due {
            return None;
        }
        let (excess, total) = self.look(mounted, exact);
        let cost = processor_time().saturating_sub(begin);
        let before = std::mem::replace(&mut self.held, total);
        self.due = Instant::now() + pause(self.budget, before, total, cost);
        excess
    }

    fn look(&mut self, mounted: u64, exact: impl FnOnce() -> u64) -> (Option<String>, u64) {
        let mut descriptors = 0;
        let mut sizes = Vec::new();
        for pid in self.processes.pids() {
            if let Some(size) = self.processes.size(pid) {
                sizes.push((pid, size));
                descriptors += self.processes.descriptors(pid);
            }
        }
        let too_many = [
            (descriptors, DESCRIPTORS_MAX, "descriptors open"),
            (self.sockets(), SOCKETS_MAX, "sockets"),
        ];
        if let Some((number, most, what)) = too_many.iter().find(|(number, most, _)| number > most)
        {
            let text = format!("the guest had {number} {what}, and at most {most} are allowed");
            return (Some(text), self.budget);
        }
        let mut used = Used {
            own: sizes.iter().map(|(_, size)| size.bound()).sum(),
            shared: self.shared.bytes(&self.processes, &sizes),
            segments: self.segments(),
            files: self.files() + mounted,
        };
        // What is in swap is in no bound.
        if used.total() + self.swapped() > self.budget {
            used.files = self.files() + exact();
            used.own = self.own(&sizes, self.budget.saturating_sub(used.total() - used.own));
        }
        let excess = (used.total() > self.budget).then(|| words(used, self.budget));
        (excess, used.total())
    }

    /// What processes have of their own; exactly, unless that is at most `left`.
    fn own(&self, sizes: &[(u32, Size)], left: u64) -> u64 {
        let held: Vec<_> = sizes
            .iter()
            .filter_map(|(pid, _)| Some((*pid, self.processes.held(*pid)?)))
            .collect();
        let seeming: u64 = held.iter().map(|(_, [own, tables])| own + tables).sum();
        if seeming <= left || seeming > SEEMING_MAX * self.budget {
            return seeming;
        }
        held.iter()
            .map(|(pid, [own, tables])| self.processes.part(*pid).unwrap_or(*own) + tables)
            .sum()
    }

    /// What the host has put into swap since the guest began.
    fn swapped(&self) -> u64 {
        swap_in_use().saturating_sub(self.swap_before)
    }

    fn files(&self) -> u64 {
        self.disks.iter().map(in_use).sum()
    }

    fn sockets(&self) -> u64 {
        // Of the namespace of its init.
        let table = self.processes.read("1/net/sockstat").unwrap_or_default();
        let first = table.lines().next().unwrap_or_default();
        let number = first.strip_prefix("sockets: used ");
        number
            .and_then(|number| number.trim().parse().ok())
            .unwrap_or(0)
    }

    /// What System V segments hold, in swap or not.
    fn segments(&self) -> u64 {
        let Some(file) = &self.segments else {
            return 0;
        };
        let mut text = vec![0_u8; 64 * 1024];
        let length = file.read_at(&mut text, 0).unwrap_or(0);
        let text = String::from_utf8_lossy(text.get(..length).unwrap_or_default());
        text.lines().skip(1).filter_map(segment).sum()
    }
}

/// The last two fields of a line: what is resident, what is in swap.
fn segment(line: &str) -> Option<u64> {
    let mut fields = line.split_ascii_whitespace().rev();
    let (swap, resident): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(swap + resident)
}

/// What a file system holds.
pub fn in_use(file_system: &OwnedFd) -> u64 {
    rustix::fs::fstatfs(file_system).map_or(0, |status| {
        let blocks = status.f_blocks.saturating_sub(status.f_bfree);
        blocks * status.f_bsize.unsigned_abs()
    })
}

/// How long not to look at a guest that used so much `before` and now, where a look took `cost`.
fn pause(budget: u64, before: u64, used: u64, cost: Duration) -> Duration {
    let left = budget.saturating_sub(used);
    let filled = Duration::from_nanos(left / FILLED_IN_A_NANOSECOND);
    let (pause, share) = if left > budget / 2 {
        let is_quiet = used <= before.saturating_add(GROWTH);
        (if is_quiet { AT_LEAST } else { SELDOM }, SHARE)
    } else {
        (filled.clamp(OFTEN, SELDOM), SHARE_NEAR)
    };
    pause.max((cost * share).min(AT_LEAST))
}

fn swap_in_use() -> u64 {
    let host = rustix::system::sysinfo();
    host.totalswap.saturating_sub(host.freeswap) * u64::from(host.mem_unit)
}

fn processor_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(
        now.tv_sec.unsigned_abs(),
        now.tv_nsec.try_into().unwrap_or(0),
    )
}

fn words(used: Used, budget: u64) -> String {
    let parts = [
        (used.own, "of its processes"),
        (used.shared, "that they share"),
        (used.segments, "in System V segments"),
        (used.files, "in files"),
    ];
    let parts: Vec<_> = parts
        .iter()
        .filter(|(bytes, _)| *bytes >= 1 << 20)
        .map(|(bytes, what)| format!("{} MiB {what}", bytes >> 20))
        .collect();
    format!(
        "the guest used {} MiB of memory ({}), and at most {} MiB are allowed; the operator can \
         allow more with --guest-memory, or in the policy under [serve]: guest_memory_mib = {}",
        used.total() >> 20,
        parts.join(", "),
        budget >> 20,
        budget >> 19
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: u64 = 1 << 30;

    #[test]
    fn the_less_is_left_the_sooner_it_is_looked_at() {
        let cheap = Duration::from_micros(100);
        let pauses =
            [0, 600 << 20, 900 << 20, BUDGET, 2 * BUDGET].map(|used| pause(BUDGET, 0, used, cheap));
        assert!(pauses.is_sorted_by(|one, other| one >= other), "{pauses:?}");
        assert_eq!((pauses[0], pauses[4]), (AT_LEAST, OFTEN));
        // One that grows is looked at sooner, and so is any that has little left.
        for (before, used, expected) in [
            (50 << 20, 100 << 20, SELDOM),
            (100 << 20, 100 << 20, AT_LEAST),
            (900 << 20, 900 << 20, pauses[2]),
        ] {
            assert_eq!(pause(BUDGET, before, used, cheap), expected);
        }
        // A look is a small part of what there is, and a guest with thousands of processes is still
        // looked at.
        let dear = Duration::from_millis(1);
        assert_eq!(pause(BUDGET, 0, 0, dear), AT_LEAST);
        assert_eq!(pause(BUDGET, 0, BUDGET, dear), dear * SHARE_NEAR);
    }

    #[test]
    fn the_kernels_table_of_segments_is_added_up() {
        let table = "key shmid perms size cpid lpid nattch uid gid cuid cgid atime dtime ctime \
                     rss swap\n\
                     0 0 666 8192 5 0 0 0 0 0 0 0 0 1785000000 4096 8192\n";
        assert_eq!(
            table.lines().skip(1).filter_map(segment).sum::<u64>(),
            12288
        );
        let words = words(
            Used {
                own: 900 << 20,
                files: 200 << 20,
                ..Used::default()
            },
            BUDGET,
        );
        assert!(
            words.starts_with(
                "the guest used 1100 MiB of memory (900 MiB of its processes, 200 MiB in files), \
                 and at most 1024 MiB are allowed"
            ),
            "{words}"
        );
    }
}
