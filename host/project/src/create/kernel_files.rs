//! Files below `/dev` and `/proc` that a Linux kernel has by itself.

use std::sync::LazyLock;

use regex::Regex;

/// First parts of paths below `/dev`.
const DEVICES: [&str; 22] = [
    "null", "zero", "full", "random", "urandom", "tty", "console", "ptmx", "pts", "pty", "fd",
    "stdin", "stdout", "stderr", "shm", "log", "mtd", "mtdblock", "mem", "kmem", "kmsg", "loop",
];
/// First parts of paths below `/proc`.
const PROCS: [&str; 52] = [
    "self",
    "sys",
    "net",
    "mounts",
    "cpuinfo",
    "meminfo",
    "cmdline",
    "version",
    "stat",
    "uptime",
    "loadavg",
    "filesystems",
    "modules",
    "mtd",
    "partitions",
    "devices",
    "interrupts",
    "kmsg",
    "kallsyms",
    "kcore",
    "bus",
    "fs",
    "tty",
    "misc",
    "iomem",
    "ioports",
    "slabinfo",
    "diskstats",
    "swaps",
    "vmstat",
    "zoneinfo",
    "crypto",
    "key-users",
    "keys",
    "locks",
    "softirqs",
    "timer_list",
    "config.gz",
    "sysrq-trigger",
    "driver",
    "irq",
    "cgroups",
    "consoles",
    "buddyinfo",
    "execdomains",
    "pagetypeinfo",
    "sched_debug",
    "thread-self",
    "vmallocinfo",
    "vmcore",
    "sysvipc",
    "device-tree",
];

/// Whether the first part of a path is a known name, possibly numbered, or a process.
fn is_known(name: &[u8], known: &[&str]) -> bool {
    let first = name.split(|b| *b == b'/').next().unwrap_or_default();
    let end = first
        .iter()
        .rposition(|b| !b.is_ascii_digit())
        .map_or(0, |last| last + 1);
    let stem = first.get(..end).unwrap_or_default();
    stem.is_empty()
        || stem.starts_with(b"tty")
        || known
            .iter()
            .any(|k| k.as_bytes() == first || k.as_bytes() == stem)
}

/// Whether every Linux system has this file below `/dev`.
pub(super) fn is_device(name: &[u8]) -> bool {
    is_known(name, &DEVICES)
}

/// Whether every Linux system has this file below `/proc`.
pub(super) fn is_proc(name: &[u8]) -> bool {
    is_known(name, &PROCS)
}

/// Drivers of Linux that make nodes: storage, serial lines, clocks, buses and what people touch.
static FAMILY: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let families = concat!(
        r"^(?:[hsv]d[a-z]\d*|(?:mmcblk|nvme\d+n)\d+(?:p\d+)?|spidev\d+\.\d+|pty[a-z][0-9a-f]|",
        r"(?:dm-|sr|md|fb|gpiochip|i2c-|event|mouse|js|ram|vcs|vcsa)\d+|(?:rtc|watchdog|hwrng)\d*|",
        r"autofs|cuse|dsp|fuse|initctl|kvm|mice|mixer|port|ppp|psaux|rfkill|tun|uinput|vhci)$",
    );
    Regex::new(families).ok()
});

/// Whether a node of this path below `/dev` or `/proc` is, where it exists, of a driver of Linux,
/// or lies beneath one, which is not a directory.
pub(super) fn is_of_a_driver(path: &str) -> bool {
    const PROCS: [&str; 4] = [
        "/proc/cpu/alignment",
        "/proc/fb",
        "/proc/scsi/scsi",
        "/proc/scsi/device_info",
    ];
    let Some(name) = path.strip_prefix("/dev/") else {
        return PROCS.contains(&path);
    };
    let is_family = |part: &str| FAMILY.as_ref().is_some_and(|family| family.is_match(part));
    let first = name.split('/').next();
    let last = name.rsplit('/').next();
    first.is_some_and(is_family) || last.is_some_and(is_family)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_driver_of_linux_makes_is_no_vendors_node() {
        for path in [
            "/dev/sda1",
            "/dev/mmcblk0p2",
            "/dev/misc/rtc",
            "/dev/watchdog/x",
            "/dev/gpiochip0",
            "/proc/scsi/scsi",
        ] {
            assert!(is_of_a_driver(path), "{path}");
        }
        for path in [
            "/dev/gpio",
            "/dev/nss/rtc_x",
            "/dev/sdx_io",
            "/proc/rt3052/mii",
        ] {
            assert!(!is_of_a_driver(path), "{path}");
        }
        assert!(is_device(b"null") && is_device(b"ttyS1") && !is_device(b"acos"));
        assert!(is_proc(b"mounts") && is_proc(b"12") && !is_proc(b"simple_config/x"));
    }
}
