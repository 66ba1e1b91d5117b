//! Whether this machine can run the embedded backend, and what to do where it cannot.

use std::fs;

use crate::kernel::probe;
use crate::kernel::probe::Step;
use crate::qemu::emulator::{COMPLETE, INSTALL, LACKS, Qemu};
use crate::sandbox::filter;
use rookery_runs::backend::{Availability, Check};

/// The backend's name.
pub const NAME: &str = "user";

/// The oldest kernel: `SECCOMP_ADDFD_FLAG_SEND` came with it.
const KERNEL: (u32, u32) = (5, 14);

/// Make every check.
pub fn availability() -> Availability {
    let checks = vec![
        architecture(),
        kernel(),
        namespaces(),
        proc_mount(),
        overlay(),
        notification(),
        qemu(),
        models(),
    ];
    let available = checks.iter().all(|check| check.ok || !check.needed);
    Availability {
        backend: NAME,
        available,
        checks,
    }
}

fn check(name: &str, ok: bool, detail: impl Into<String>, fix: &str) -> Check {
    Check {
        name: name.to_owned(),
        ok,
        needed: true,
        detail: detail.into(),
        fix: (!ok).then(|| fix.to_owned()),
    }
}

fn architecture() -> Check {
    let machine = std::env::consts::ARCH;
    check(
        "processor",
        machine == "x86_64",
        format!("this host is {machine}"),
        "The embedded backend needs an x86-64 host; use --backend penguin elsewhere.",
    )
}

fn kernel() -> Check {
    let release = rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned();
    let mut numbers = release
        .split(['.', '-'])
        .map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    check(
        "kernel",
        version >= KERNEL,
        format!("Linux {release}"),
        "Linux 5.14 or later is needed (Debian 12, Ubuntu 22.04, RHEL 9).",
    )
}

fn namespaces() -> Check {
    match probe::sandbox(Step::Namespaces) {
        Ok(()) => check(
            "user namespaces",
            true,
            "a user, mount, pid, network, IPC and UTS namespace can be made",
            "",
        ),
        Err(error) => check(
            "user namespaces",
            false,
            format!("refused: {error}"),
            &why_no_namespaces(),
        ),
    }
}

/// The usual reasons, the one that holds here first.
fn why_no_namespaces() -> String {
    let setting = |name: &str| {
        fs::read_to_string(format!("/proc/sys/{name}"))
            .ok()
            .map(|text| text.trim().to_owned())
    };
    if setting("user/max_user_namespaces").as_deref() == Some("0") {
        return "Allow them: `sysctl -w user.max_user_namespaces=15000`.".to_owned();
    }
    if setting("kernel/unprivileged_userns_clone").as_deref() == Some("0") {
        return "Allow them: `sysctl -w kernel.unprivileged_userns_clone=1`.".to_owned();
    }
    if setting("kernel/apparmor_restrict_unprivileged_userns").as_deref() == Some("1") {
        return "Ubuntu's AppArmor restricts them: `sysctl -w \
                kernel.apparmor_restrict_unprivileged_userns=0`, or an AppArmor profile with \
                `userns,` for this program, or run as root."
            .to_owned();
    }
    "A container's seccomp profile refuses them: start it with `--security-opt seccomp=unconfined \
     --security-opt apparmor=unconfined`."
        .to_owned()
}

fn proc_mount() -> Check {
    let fix = "A container masks parts of /proc: start it with `--security-opt \
               systempaths=unconfined` (docker) or `--security-opt unmask=ALL` (podman).";
    match probe::sandbox(Step::Proc) {
        Ok(()) => check(
            "proc",
            true,
            "a /proc of the guest's own can be mounted",
            "",
        ),
        Err(error) => check("proc", false, format!("refused: {error}"), fix),
    }
}

fn overlay() -> Check {
    match probe::sandbox(Step::Overlay) {
        Ok(()) => check(
            "overlay",
            true,
            "an overlay can be mounted in a user namespace",
            "",
        ),
        Err(error) => check(
            "overlay",
            false,
            format!("refused: {error}"),
            "Load the module: `modprobe overlay`.",
        ),
    }
}

fn notification() -> Check {
    match probe::listener(filter::allow_all()) {
        Ok(()) => check("seccomp notification", true, "a listener can be made", ""),
        Err(error) => {
            let fix = "The kernel needs CONFIG_SECCOMP_FILTER, and no other seccomp listener may \
                       be active (a container's runtime may have one).";
            check(
                "seccomp notification",
                false,
                format!("refused: {error}"),
                fix,
            )
        }
    }
}

fn qemu() -> Check {
    let all = Qemu::all();
    let found: Vec<&str> = all.iter().map(|qemu| qemu.arch.qemu).collect();
    let version = all.first().and_then(Qemu::installed_version);
    let detail = match version {
        None if found.is_empty() => "no static emulator in the PATH".to_owned(),
        None => found.join(" "),
        Some(version @ (major, minor)) if version < COMPLETE => {
            format!("{major}.{minor} ({LACKS}): {}", found.join(" "))
        }
        Some((major, minor)) => format!("{major}.{minor}: {}", found.join(" ")),
    };
    check("qemu-user", !found.is_empty(), detail, INSTALL)
}

/// Only whether the device can be opened: whether a namespace may mount its file system, a run
/// finds out.
fn models() -> Check {
    let opened = fs::File::options().read(true).write(true).open("/dev/fuse");
    let (ok, detail) = match opened {
        Ok(_) => (true, "device models are a file system (FUSE)".to_owned()),
        Err(error) => (
            false,
            format!(
                "/dev/fuse cannot be opened ({error}): device models that are only written to, \
                 wait, or have no end are sockets, which have no positions and refuse no write; \
                 others are files in memory, which miss epoll, what a shell writes into them by a \
                 descriptor for both, and reads of a sequence beyond the first"
            ),
        ),
    };
    let fix = "Let this user open it: `modprobe fuse; chmod 666 /dev/fuse`, or start a container \
               with `--device /dev/fuse`.";
    Check {
        needed: false,
        ..check("device models", ok, detail, fix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_that_fails_says_what_to_do() {
        let availability = availability();
        assert_eq!(availability.checks.len(), 8);
        for check in &availability.checks {
            assert_eq!(check.ok, check.fix.is_none(), "{check:?}");
            assert!(!check.detail.is_empty());
        }
    }
}
