//! Memory that processes share without a file: it is held as long as anybody has it mapped, whether
//! or not it is resident anywhere.
//!
//! The kernel's tables of mappings name it, but are long to read. Every call that may make such a
//! mapping comes to the supervisor, so they are read only after such a call, and of processes whose
//! size changed while there is any.

use std::collections::HashMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use crate::kernel::maps::{self, mappings};
use crate::limits::processes::{Processes, Size};

/// For so long after a call that may map shared memory it may not have been carried out.
const UNDER_WAY: Duration = Duration::from_secs(1);

/// How the kernel calls it.
const NAME: &str = "/dev/zero (deleted)";

/// All of the guest's.
#[derive(Debug, Default)]
pub struct Shared {
    /// What each process has mapped: the object's number, and the bytes of it.
    mapped: HashMap<u32, (Size, Vec<(u64, u64)>)>,
    /// A call may be under way until then.
    until: Option<Instant>,
}

impl Shared {
    /// A process is about to map memory that others may share.
    pub fn expected(&mut self) {
        self.until = Some(Instant::now() + UNDER_WAY);
    }

    /// The bytes of all of it, where `sizes` are the processes that there are.
    pub fn bytes(&mut self, processes: &Processes, sizes: &[(u32, Size)]) -> u64 {
        let expected = self.until.is_some();
        if self.until.is_some_and(|until| until < Instant::now()) {
            self.until = None;
        }
        if !expected && self.mapped.is_empty() {
            return 0;
        }
        let mut before = std::mem::take(&mut self.mapped);
        for (pid, size) in sizes {
            let known = before
                .remove(pid)
                .filter(|(at, _)| !expected && at.total == size.total);
            let objects = known.map_or_else(|| objects(processes, *pid), |(_, objects)| objects);
            self.mapped.insert(*pid, (*size, objects));
        }
        if self.mapped.values().all(|(_, objects)| objects.is_empty()) {
            self.mapped.clear();
        }
        self.total()
    }

    /// An object that several have mapped counts once, with what the one has mapped that has most
    /// of it.
    fn total(&self) -> u64 {
        let mut all: HashMap<u64, u64> = HashMap::new();
        for (object, bytes) in self.mapped.values().flat_map(|(_, objects)| objects) {
            let most = all.entry(*object).or_default();
            *most = (*most).max(*bytes);
        }
        all.values().sum()
    }
}

fn objects(processes: &Processes, pid: u32) -> Vec<(u64, u64)> {
    let table = processes.read(&format!("{pid}/{}", maps::FILE));
    in_table(&table.unwrap_or_default())
}

fn in_table(table: &str) -> Vec<(u64, u64)> {
    let mut all: HashMap<u64, u64> = HashMap::new();
    for mapping in mappings(table).filter(|mapping| mapping.name == NAME) {
        let Range { start, end } = mapping.range;
        *all.entry(mapping.inode).or_default() += end.saturating_sub(start);
    }
    all.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_memory_without_a_file_counts_and_each_object_once() {
        let table = "7f00-8f00 rw-s 00000000 00:01 2053   /dev/zero (deleted)\n\
                     8f00-9000 rw-p 00000000 00:00 0 \n\
                     9000-a000 rw-s 00000000 00:01 3 /tmp/x\n\
                     a000-a100 rw-s 00001000 00:01 2053   /dev/zero (deleted)\n";
        assert_eq!(in_table(table), [(2053, 0x1100)]);
        let mut shared = Shared::default();
        let size = Size::default();
        shared.mapped.insert(7, (size, vec![(1, 4096), (2, 4096)]));
        shared.mapped.insert(8, (size, vec![(1, 8192)]));
        assert_eq!(shared.total(), 12288);
    }
}
