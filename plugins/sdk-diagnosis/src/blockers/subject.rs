//! What a call that failed was about.

use rookery_plugin::guest::interface_of;
use schemars::JsonSchema;
use serde::Serialize;

use crate::timeline::{Failure, base};

/// What a program lacks. Its name is the firmware's: data, not advice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "name")]
pub enum Subject {
    /// A network interface that is not there.
    Interface(String),
    /// One without an address.
    InterfaceAddress(String),
    /// A path below `/dev`, `/proc` or `/sys`.
    Device(String),
    /// A command that no driver and no model answers: its file and its number.
    Ioctl(String),
    File(String),
    /// A directory that was to be read, or in which a file was to be made.
    Directory(String),
    Library(String),
    Program(String),
    /// An address at which nobody listens.
    Peer(String),
    /// An address that a service cannot have.
    Address(String),
    /// A boot argument or a variable of the boot loader.
    BootArgument(String),
    /// A key of the NVRAM.
    NvramKey(String),
    /// A call that the emulator refuses.
    Call(String),
}

/// `O_CREAT` and `O_DIRECTORY` of the host, whose flags the emulator passes on.
const CREATE: i64 = 0o100;
const DIRECTORY: i64 = 0o200_000;
const ENOENT: i64 = -2;
const ENXIO: i64 = -6;
const ENODEV: i64 = -19;
const ENOTTY: i64 = -25;
const EADDRNOTAVAIL: i64 = -99;
/// `EPERM`, `ENOSYS`, and what the kernel says beyond a limit. Else what is in use tells programs
/// of each other.
const REFUSED: [i64; 4] = [-1, -38, -12, -28];
/// Calls that make the last part of their path.
const MAKES: [&str; 8] = [
    "mkdir",
    "mknod",
    "symlink",
    "link",
    "rename",
    "renameat2",
    "creat",
    "bind",
];

impl Subject {
    /// None where the call says nothing of what is missing.
    pub fn of(failure: &Failure) -> Option<Self> {
        let call = failure.call.strip_prefix("sys_").unwrap_or(&failure.call);
        match call {
            "ioctl" => return Self::of_ioctl(failure),
            "connect" => return some(&failure.path).map(Self::Peer),
            "bind" if !failure.path.starts_with('/') => {
                return some(&failure.path).map(Self::Address);
            }
            "clone" | "clone3" | "fork" | "vfork" | "setsockopt" | "socket" => {
                return Some(Self::Call(call.to_owned()));
            }
            _ if is_system_v(call) => {
                return REFUSED
                    .contains(&failure.errno)
                    .then(|| Self::Call(call.to_owned()));
            }
            _ => {}
        }
        let path = &failure.path;
        if !path.starts_with('/') || !matches!(failure.errno, ENOENT | ENXIO | ENODEV) {
            return None;
        }
        if let Some(name) = interface_of(path) {
            return Some(Self::Interface(name.to_owned()));
        }
        Some(if call.starts_with("execve") {
            Self::Program(path.clone())
        } else if is_machine(path) {
            Self::Device(path.clone())
        } else if makes(call, failure) {
            Self::Directory(directory(path).to_owned())
        } else if wants_directory(call, failure) {
            Self::Directory(path.trim_end_matches('/').to_owned())
        } else if base(path).contains(".so") && call.starts_with("open") {
            Self::Library(path.clone())
        } else {
            Self::File(path.clone())
        })
    }

    fn of_ioctl(failure: &Failure) -> Option<Self> {
        let quoted = |text: &str| {
            let (_, text) = text.split_once("(\"")?;
            text.strip_suffix("\")").map(str::to_owned)
        };
        if let Some(name) = failure.arguments.iter().rev().find_map(|text| quoted(text)) {
            return match failure.errno {
                ENODEV => Some(Self::Interface(name)),
                EADDRNOTAVAIL => Some(Self::InterfaceAddress(name)),
                _ => None,
            };
        }
        let file = failure.arguments.first()?.split_once('(')?.1;
        let file = file.strip_suffix(')')?;
        let command = failure.arguments.get(1)?.strip_prefix("cmd=")?;
        let known = file.starts_with('/') && failure.errno == ENOTTY;
        known.then(|| Self::Ioctl(format!("{file} {command}")))
    }

    /// The text that a script or a message would hold.
    pub fn text(&self) -> &str {
        match self {
            Self::Interface(text)
            | Self::InterfaceAddress(text)
            | Self::Device(text)
            | Self::File(text)
            | Self::Directory(text)
            | Self::Library(text)
            | Self::Program(text)
            | Self::Peer(text)
            | Self::Address(text)
            | Self::BootArgument(text)
            | Self::NvramKey(text)
            | Self::Call(text) => text,
            Self::Ioctl(text) => text.split(' ').next().unwrap_or(text),
        }
    }
}

fn is_system_v(call: &str) -> bool {
    ["shm", "sem", "msg"]
        .iter()
        .any(|begin| call.starts_with(begin))
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn is_machine(path: &str) -> bool {
    ["/dev/", "/proc/", "/sys/"]
        .iter()
        .any(|root| path.starts_with(root))
        && !path.starts_with("/dev/shm/")
}

fn makes(call: &str, failure: &Failure) -> bool {
    let call = call.strip_suffix("at").unwrap_or(call);
    MAKES.contains(&call) || opens_with(CREATE, call, failure)
}

/// Whether what is missing is a directory itself: by what the call does, or by a name that only
/// directories have (`/etc/init.d`).
fn wants_directory(call: &str, failure: &Failure) -> bool {
    let path = &failure.path;
    let named = path.ends_with('/') || base(path).split('.').next_back() == Some("d");
    named || matches!(call, "chdir" | "chroot") || opens_with(DIRECTORY, call, failure)
}

fn opens_with(flag: i64, call: &str, failure: &Failure) -> bool {
    let has_flag = |text: &String| {
        let number = text.strip_prefix("flags=0x");
        let flags = number.and_then(|number| i64::from_str_radix(number, 16).ok());
        flags.is_some_and(|flags| flags & flag != 0)
    };
    call.starts_with("open") && failure.arguments.iter().any(has_flag)
}

fn directory(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some(("", _)) | None => "/",
        Some((directory, _)) => directory,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(call: &str, errno: i64, path: &str, arguments: &[&str]) -> Option<Subject> {
        Subject::of(&Failure {
            call: format!("sys_{call}"),
            errno,
            path: path.into(),
            arguments: arguments.iter().map(|text| (*text).to_owned()).collect(),
            ..Failure::default()
        })
    }

    #[test]
    fn a_call_tells_what_is_missing() {
        let path = |call: &str, path: &str| failed(call, ENOENT, path, &[]);
        let name = str::to_owned;
        for (found, wanted) in [
            (
                path("openat", "/sys/class/net/ra0/address"),
                Subject::Interface(name("ra0")),
            ),
            (
                path("open", "/dev/gpio"),
                Subject::Device(name("/dev/gpio")),
            ),
            (
                path("mkdir", "/var/run/x"),
                Subject::Directory(name("/var/run")),
            ),
            (
                path("bind", "/var/x.sock"),
                Subject::Directory(name("/var")),
            ),
            (
                path("execve", "/sbin/cfgd"),
                Subject::Program(name("/sbin/cfgd")),
            ),
            (
                path("openat", "/lib/libx.so.1"),
                Subject::Library(name("/lib/libx.so.1")),
            ),
            (
                path("stat", "/etc/a.conf"),
                Subject::File(name("/etc/a.conf")),
            ),
            (
                failed(
                    "openat",
                    ENOENT,
                    "/a/b",
                    &["dfd=0x0", "filename=0x0(\"/a/b\")", "flags=0x241"],
                ),
                Subject::Directory(name("/a")),
            ),
            (
                failed("openat", ENOENT, "/etc/ppp", &["dfd=0x0", "flags=0x90800"]),
                Subject::Directory(name("/etc/ppp")),
            ),
            (
                path("stat", "/etc/init.d"),
                Subject::Directory(name("/etc/init.d")),
            ),
            (
                failed("semget", -38, "", &["key=0x1"]),
                Subject::Call(name("semget")),
            ),
            (path("chdir", "/var/x/"), Subject::Directory(name("/var/x"))),
            (
                failed("connect", -111, "127.0.0.1:80", &[]),
                Subject::Peer(name("127.0.0.1:80")),
            ),
            (
                failed(
                    "ioctl",
                    ENODEV,
                    "",
                    &["fd=0xffffffff([???])", "cmd=0x8915", "arg=0x0(\"br0\")"],
                ),
                Subject::Interface(name("br0")),
            ),
            (
                failed(
                    "ioctl",
                    -99,
                    "",
                    &["fd=0xffffffff([???])", "cmd=0x8915", "arg=0x0(\"br0\")"],
                ),
                Subject::InterfaceAddress(name("br0")),
            ),
            (
                failed(
                    "ioctl",
                    ENOTTY,
                    "",
                    &["fd=0xffffffff(/dev/gpio)", "cmd=0x4001", "arg=0x0"],
                ),
                Subject::Ioctl(name("/dev/gpio 0x4001")),
            ),
        ] {
            assert_eq!(found, Some(wanted));
        }
    }

    #[test]
    fn what_is_there_and_refused_is_not_missing() {
        assert_eq!(failed("mkdir", -17, "/tmp", &[]), None);
        assert_eq!(failed("readlink", -22, "/etc/x", &[]), None);
        assert_eq!(failed("semget", -17, "", &["key=0x1"]), None);
        let tty = ["fd=0xffffffff([???])", "cmd=0x5401", "arg=0x0"];
        assert_eq!(failed("ioctl", ENOTTY, "", &tty), None);
    }
}
