//! Limits that the kernel itself keeps: those of the guest's namespaces, and those of each of its
//! processes.

use std::fs;
use std::path::Path;

use rustix::process::{Resource, Rlimit};

/// Settings of the guest's namespaces, below `/proc/sys`.
///
/// System V and POSIX IPC is memory that no process has to hold. What is counted by user is counted
/// for the host's user as well, who is the operator where no root is involved: the guest gets a
/// small part of it.
#[rustfmt::skip]
const SETTINGS: &[(&str, &str)] = &[
    ("kernel/shmmax", "67108864"), ("kernel/shmall", "65536"), ("kernel/shmmni", "256"),
    ("kernel/msgmax", "8192"), ("kernel/msgmnb", "16384"), ("kernel/msgmni", "64"),
    ("kernel/sem", "250 4096 100 128"),
    ("fs/mqueue/queues_max", "32"),
    ("user/max_inotify_instances", "32"), ("user/max_inotify_watches", "4096"),
    ("user/max_fanotify_groups", "0"), ("user/max_fanotify_marks", "0"),
    ("user/max_user_namespaces", "0"), ("user/max_pid_namespaces", "0"),
    ("user/max_mnt_namespaces", "16"), ("user/max_net_namespaces", "0"),
    ("user/max_ipc_namespaces", "0"), ("user/max_uts_namespaces", "0"),
    ("user/max_cgroup_namespaces", "0"), ("user/max_time_namespaces", "0"),
];

/// Where these settings are, to be closed to the guest, whose root owns some of them.
pub const DIRECTORIES: &[&str] = &["kernel", "fs", "user"];

/// Make the settings in a `/proc` of the guest's, by a process that has all rights in its
/// namespaces. Gives those that could not be made.
pub fn set(proc: &Path) -> Vec<String> {
    let sys = proc.join("sys");
    let failed = |(name, value): &(&str, &str)| {
        let path = sys.join(name);
        // What this kernel does not have needs no limit.
        let result = if path.exists() {
            fs::write(path, value)
        } else {
            Ok(())
        };
        result
            .err()
            .map(|error| format!("{} ({error})", name.replace('/', ".")))
    };
    SETTINGS.iter().filter_map(failed).collect()
}

/// What each process may have: soft, hard.
///
/// Not its address space: an emulator reserves all of a 32-bit guest's. Its data is what is private
/// and can be written; the stacks of many threads are only reserved.
const PROCESS: &[(Resource, u64, u64)] = &[
    (Resource::Core, 0, 0),
    (Resource::Nofile, 1024, 4096),
    (Resource::Nproc, 1024, 1024),
    (Resource::Fsize, 1 << 30, 1 << 30),
    (Resource::Data, 2 << 30, 2 << 30),
    (Resource::Memlock, 64 << 10, 64 << 10),
    (Resource::Msgqueue, 400_000, 400_000),
    (Resource::Sigpending, 1024, 1024),
];

/// Limit this process and those that it starts.
pub fn limit_process() -> rustix::io::Result<()> {
    PROCESS.iter().try_for_each(|(resource, soft, hard)| {
        let now = rustix::process::getrlimit(*resource).maximum;
        let hard = now.map_or(*hard, |now| now.min(*hard));
        let (current, maximum) = (Some((*soft).min(hard)), Some(hard));
        rustix::process::setrlimit(*resource, Rlimit { current, maximum })
    })
}
