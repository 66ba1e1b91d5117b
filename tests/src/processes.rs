//! Look at processes as the kernel shows them, and kill one.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Ids of live processes whose command line contains `text`; zombies do not count.
pub fn with_command_line(text: &str) -> Vec<u32> {
    let Ok(all) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    all.flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid: &u32| {
            std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| {
                String::from_utf8_lossy(&line)
                    .replace('\0', " ")
                    .contains(text)
            })
        })
        .collect()
}

/// Ids of live processes that belong to the run of `project`: its supervisor and everything the
/// supervisor started.
pub fn of_run(project: &Path) -> Vec<u32> {
    let name = project
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let marked = |pid: &u32| {
        std::fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environ| {
            String::from_utf8_lossy(&environ).contains(&format!("rookery_project={name}\0"))
        })
    };
    let mut all = with_command_line("supervise");
    all.retain(|pid| {
        std::fs::read(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| String::from_utf8_lossy(&line).contains(&*name))
    });
    let mut guests: Vec<u32> = with_command_line("qemu")
        .into_iter()
        .filter(marked)
        .collect();
    all.append(&mut guests);
    all
}

/// Wait until `done` holds; whether it did within `patience`.
pub fn eventually(patience: Duration, mut done: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + patience;
    while !done() {
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

/// Kill a process.
pub fn kill(pid: u32) -> Result<()> {
    let raw = i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    let pid = raw.context("a process id")?;
    Ok(rustix::process::kill_process(
        pid,
        rustix::process::Signal::KILL,
    )?)
}
