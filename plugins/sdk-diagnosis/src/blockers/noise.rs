//! What fails on every healthy boot, too, and is no cause of anything.

use crate::blockers::subject::Subject;
use crate::timeline::{Failure, Process, base};

/// Programs whose exit code is an answer.
const ASKING: [&str; 43] = [
    "[",
    "[[",
    "test",
    "grep",
    "egrep",
    "fgrep",
    "uci",
    "ls",
    "readlink",
    "which",
    "type",
    "expr",
    "killall",
    "kill",
    "pidof",
    "pgrep",
    "pkill",
    "find",
    "cmp",
    "diff",
    "ping",
    "nslookup",
    "umount",
    "rmmod",
    "lsmod",
    "modprobe",
    "insmod",
    "ps",
    "false",
    "stty",
    "tty",
    "mountpoint",
    "ubus",
    "jshn",
    "jsonfilter",
    "wifi",
    "logread",
    "sysctl",
    "hwclock",
    "date",
    "rm",
    "rmdir",
    "mount_root",
];

/// Whether a program's exit code 1 says no more than "no".
pub fn only_asks(process: &Process) -> bool {
    ASKING.contains(&process.name())
}

/// Files that programs look for and do without.
const OPTIONAL: [&str; 22] = [
    "ld.so.preload",
    "ld.so.cache",
    "ld.so.conf",
    "localtime",
    "TZ",
    "nsswitch.conf",
    "host.conf",
    "resolv.conf",
    "hosts",
    "utmp",
    "wtmp",
    "btmp",
    "locale-archive",
    "terminfo",
    ".profile",
    ".bashrc",
    ".ashrc",
    "log",
    "xtables.lock",
    "vmcore",
    "timezone",
    "environment",
];
const OPTIONAL_BELOW: [&str; 12] = [
    "/dev/shm/",
    "/usr/share/locale/",
    "/usr/lib/locale/",
    "/usr/share/zoneinfo/",
    "/usr/lib/gconv/",
    "/lib/tls/",
    "/var/run/nscd/",
    "/proc/self/",
    "/etc/terminfo/",
    "/proc/bus/usb",
    "/etc/ssl/",
    "/sys/devices/virtual/",
];

/// Whether a failure is one without a consequence, whatever its program did then.
pub fn is_noise(process: &Process, failure: &Failure, subject: &Subject) -> bool {
    let call = failure.call.strip_prefix("sys_").unwrap_or(&failure.call);
    if failure.elsewhere
        // What was to go is gone.
        || call.starts_with("unlink")
        || matches!(call, "rmdir" | "umount" | "umount2" | "mount")
    {
        return true;
    }
    let path = &failure.path;
    match subject {
        // It looks for everything that its list names.
        _ if process.name() == "sysctl" => true,
        Subject::Interface(_) | Subject::InterfaceAddress(_) => false,
        // A pattern of a shell that met no file.
        _ if path.contains('*') => true,
        // It asks whether that is a terminal.
        Subject::Ioctl(text) if text.split(' ').nth(1).is_some_and(is_of_terminals) => true,
        // A console of a screen, which `inittab` names for whatever there may be.
        Subject::Device(path) if path.strip_prefix("/dev/tty").is_some_and(starts_with_digit) => {
            true
        }
        // A name in the guest's table of processes comes and goes.
        Subject::Device(path) if path.strip_prefix("/proc/").is_some_and(starts_with_digit) => true,
        _ => {
            OPTIONAL.contains(&base(path))
                || OPTIONAL_BELOW.iter().any(|below| path.starts_with(below))
                // The search path of the loader of musl.
                || base(path).strip_suffix(".path").is_some_and(|name| name.starts_with("ld-"))
        }
    }
}

/// Linux numbers the commands of terminals 0x54xx; MIPS numbers some of them 0x74xx.
fn is_of_terminals(command: &str) -> bool {
    let digits = command.trim_start_matches("0x");
    digits.len() == 4 && (digits.starts_with("54") || digits.starts_with("74"))
}

fn starts_with_digit(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}

/// Programs that wait for somebody to type, which is how a boot ends well.
pub fn waits_for_a_person(process: &Process) -> bool {
    matches!(
        process.name(),
        "getty" | "login" | "askfirst" | "cttyhack" | "sulogin" | "sleep" | "init" | "cat"
    ) || process.is_shell() && process.script().is_none()
}

/// Programs that make keys, which takes them long where there is no chance of speeding them up.
pub fn makes_keys(process: &Process) -> bool {
    matches!(
        process.name(),
        "dropbearkey" | "ssh-keygen" | "openssl" | "px5g" | "dhparam" | "certtool"
    )
}

/// Programs that are what a device is reached by.
pub fn serves(process: &Process) -> bool {
    const NAMES: [&str; 24] = [
        "httpd",
        "uhttpd",
        "mini_httpd",
        "mini_httpds",
        "thttpd",
        "lighttpd",
        "nginx",
        "boa",
        "goahead",
        "webs",
        "web",
        "miniweb",
        "alphapd",
        "telnetd",
        "utelnetd",
        "dropbear",
        "sshd",
        "ftpd",
        "vsftpd",
        "tftpd",
        "inetd",
        "xinetd",
        "cwmpd",
        "jjhttpd",
    ];
    let name = process.name();
    process.script().is_none() && (NAMES.contains(&name) || name.contains("http"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_boot_looks_for_is_no_cause() {
        let failed = |call: &str, path: &str, elsewhere| {
            let failure = Failure {
                call: format!("sys_{call}"),
                errno: -2,
                path: path.into(),
                elsewhere,
                ..Failure::default()
            };
            let subject = Subject::of(&failure).unwrap();
            is_noise(&Process::default(), &failure, &subject)
        };
        assert!(failed("openat", "/etc/ld.so.preload", false));
        assert!(failed("unlink", "/var/run/httpd.pid", false));
        assert!(failed("openat", "/usr/lib/libcrypt.so.0", true));
        assert!(failed("openat", "/proc/412/stat", false));
        assert!(failed("stat", "/dev/tty3", false) && !failed("stat", "/dev/ttyS1", false));
        assert!(failed("connect", "/dev/log", false));
        assert!(!failed("openat", "/etc/shop.conf", false));
        assert!(!failed("openat", "/proc/nvram", false));
    }
}
