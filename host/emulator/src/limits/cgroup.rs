//! A control group for the guest, where the operator has given this process one of its own: there
//! the kernel itself holds the guest to its memory, also to what it holds unseen, such as tables of
//! mappings and locks.
//!
//! That takes version 2 of control groups, a group that this process may change, and the memory
//! controller handed down to what is below it (`+memory` in its `cgroup.subtree_control`). Where
//! any of that is missing, the supervisor's own counting is all that there is.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::process::Pid;

/// What the kernel allows beyond the budget. The supervisor counts more closely, and its words are
/// better.
const BEYOND: u64 = 256 << 20;
/// More than a guest's processes may have threads.
const TASKS_MAX: u32 = 1200;
/// How groups of guests are called, before the pid of the supervisor.
const NAME: &str = "rookery-guest-";

/// The guest's group, which goes with it.
#[derive(Debug)]
pub struct Group(PathBuf);

impl Group {
    /// A group below this process's own for a guest of `budget` bytes.
    pub fn new(budget: u64) -> Option<Self> {
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
        Self::below(&directory(&own, &mounts)?, budget).ok()
    }

    fn below(parent: &Path, budget: u64) -> io::Result<Self> {
        remove_left_over(parent);
        let path = parent.join(format!("{NAME}{}", std::process::id()));
        fs::create_dir(&path)?;
        let group = Self(path);
        // Without the controller there is no such file, and the group is dropped again.
        group.set("memory.max", &(budget + BEYOND).to_string())?;
        for (file, value) in [
            ("memory.swap.max", "0"),
            ("memory.oom.group", "1"),
            ("pids.max", &TASKS_MAX.to_string()),
        ] {
            let _ = group.set(file, value);
        }
        Ok(group)
    }

    fn set(&self, file: &str, value: &str) -> io::Result<()> {
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).open(self.0.join(file))?;
        io::Write::write_all(&mut file, value.as_bytes())
    }

    /// Put a process into it, with all that it starts from now on.
    pub fn add(&self, process: Pid) -> io::Result<()> {
        self.set("cgroup.procs", &process.as_raw_nonzero().to_string())
    }

    /// Whether the kernel has killed the guest for its memory.
    pub fn was_exceeded(&self) -> bool {
        let events = fs::read_to_string(self.0.join("memory.events")).unwrap_or_default();
        let kills = events
            .lines()
            .find_map(|line| line.strip_prefix("oom_kill "));
        kills.is_some_and(|kills| kills.trim() != "0")
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Fails while a process of it is left; then the next run's supervisor removes it.
        let _ = fs::remove_dir(&self.0);
    }
}

/// The directory of a process's group of version 2.
fn directory(own: &str, mounts: &str) -> Option<PathBuf> {
    let path = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let mut fields = mounts.lines().map(|line| line.split(' '));
    let at = fields.find_map(|mut fields| {
        let at = fields.nth(1)?;
        (fields.next()? == "cgroup2").then_some(at)
    })?;
    Some(Path::new(at).join(path))
}

/// Groups whose supervisors were killed.
fn remove_left_over(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(NAME));
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_made_below_ones_own_only_where_memory_is_controlled() {
        let mounts = "cgroup /sys/fs/cgroup/memory cgroup rw 0 0\n\
                      cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        let own = "4:memory:/x\n0::/user.slice/me\n";
        let expected = Path::new("/sys/fs/cgroup/unified/user.slice/me");
        assert_eq!(directory(own, mounts).as_deref(), Some(expected));
        assert_eq!(directory("4:memory:/x\n", mounts), None);
        assert_eq!(directory(own, "proc /proc proc rw 0 0\n"), None);
        // A directory gets no files by being made, as in a group without the controller.
        let parent = tempfile::tempdir().unwrap();
        let left = parent.path().join(format!("{NAME}4194305"));
        fs::create_dir(&left).unwrap();
        assert!(Group::below(parent.path(), 1 << 30).is_err());
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_guest_that_the_kernel_killed_has_exceeded_its_memory() {
        let directory = tempfile::tempdir().unwrap();
        let group = Group(directory.path().to_owned());
        assert!(!group.was_exceeded());
        for (events, exceeded) in [
            ("max 3\noom 0\noom_kill 0\n", false),
            ("oom 1\noom_kill 2\n", true),
        ] {
            fs::write(directory.path().join("memory.events"), events).unwrap();
            assert_eq!(group.was_exceeded(), exceeded);
        }
    }
}
