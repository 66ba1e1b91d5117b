//! The qemu-user binaries of this machine.

use std::path::{Path, PathBuf};

use rookery_project::{Error, Result};

use crate::qemu::arch::{ARCHES, Arch};

/// What `uname -r` says where the plan names no kernel.
pub const DEFAULT_KERNEL_RELEASE: &str = "4.10.0";

/// Where 32-bit guests see address 0, so that the supervisor can translate their pointers.
pub const GUEST_BASE: u64 = 0x1_0000_0000;

/// What qemu is told about its log: a path that only the supervisor answers.
pub const LOG_PATH: &str = "/.rookery/log";

/// One emulator.
#[derive(Debug, Clone)]
pub struct Qemu {
    /// What it emulates.
    pub arch: &'static Arch,
    /// Where it is on the host.
    pub path: PathBuf,
}

impl Qemu {
    /// The emulator for `arch`, if this machine has one that works without the host's libraries.
    pub fn find(arch: &'static Arch) -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut directories: Vec<PathBuf> = std::env::split_paths(&path)
            .filter(|dir| dir.is_absolute())
            .collect();
        directories.extend(["/usr/bin", "/usr/local/bin"].map(PathBuf::from));
        [
            format!("qemu-{}-static", arch.qemu),
            format!("qemu-{}", arch.qemu),
        ]
        .iter()
        .flat_map(|name| directories.iter().map(move |dir| dir.join(name)))
        .find(|path| is_static(path))
        .map(|path| Self { arch, path })
    }

    /// All that this machine has.
    pub fn all() -> Vec<Self> {
        ARCHES.iter().filter_map(Self::find).collect()
    }

    /// The emulator for a plan's architecture, or what to install.
    pub fn for_plan(name: &str) -> Result<Self> {
        let arch = Arch::by_name(name).ok_or_else(|| {
            let known: Vec<&str> = ARCHES
                .iter()
                .filter_map(|arch| arch.penguin.first().copied())
                .collect();
            Error::InvalidArgument(format!(
                "core.arch is {name:?}, which the embedded backend cannot run; it runs {}",
                known.join(", ")
            ))
        })?;
        Self::find(arch).ok_or_else(|| {
            Error::unavailable(
                format!("qemu-{}", arch.qemu),
                format!(
                    "neither a static qemu-{0}-static nor a static qemu-{0} is in the PATH",
                    arch.qemu
                ),
                INSTALL,
            )
        })
    }

    /// Its version, as its file says it.
    pub fn installed_version(&self) -> Option<(u32, u32)> {
        self.version(&std::fs::read(&self.path).ok()?)
    }

    /// The version that `program`, its file, says: `qemu-arm version 10.0.13 (…)`.
    pub fn version(&self, program: &[u8]) -> Option<(u32, u32)> {
        let words = format!("qemu-{} version ", self.arch.qemu);
        let at = memchr::memmem::find(program, words.as_bytes())? + words.len();
        let number = program.get(at..at + 16)?;
        let number = number
            .split(|byte| !byte.is_ascii_digit() && *byte != b'.')
            .next()?;
        let mut parts = std::str::from_utf8(number).ok()?.split('.');
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    }

    /// Whether `program`, its file, has a processor of this name among its own.
    pub fn has_cpu(program: &[u8], name: &str) -> bool {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_.+-".contains(&byte);
        let plain = !name.is_empty() && name.bytes().all(is_name);
        // Its tables have names as strings of C; one may be the end of another: `arm,cortex-a9`.
        let string = [name.as_bytes(), &[0]].concat();
        let begins = |at: usize| matches!(program.get(at.wrapping_sub(1)), Some(0 | b','));
        plain && memchr::memmem::find_iter(program, &string).any(begins)
    }

    /// Its name inside the guest.
    pub fn guest_path(&self) -> String {
        format!("/.rookery/qemu-{}", self.arch.qemu)
    }
}

/// How to get qemu-user.
pub const INSTALL: &str = "Install it: `apt-get install qemu-user-static` (Debian 12, Ubuntu) or \
                           `apt-get install qemu-user` (Debian 13 and later).";

/// The first version that does what [`LACKS`] says.
pub const COMPLETE: (u32, u32) = (9, 0);

/// What older versions lack, and what to do about it.
pub const LACKS: &str = "qemu-user before 9.0 has fewer socket options (without IP_MULTICAST_IF \
                         and SO_MARK); where your mirrors have Debian's backports, `apt-get \
                         install -t bookworm-backports qemu-user` installs a newer one";

/// Whether an executable needs no loader, which the guest's root does not have.
fn is_static(path: &Path) -> bool {
    let Ok(mut file) = std::fs::File::open(path) else {
        return false;
    };
    let mut head = [0_u8; 4096];
    let Ok(length) = std::io::Read::read(&mut file, &mut head) else {
        return false;
    };
    head.get(..length)
        .is_some_and(|head| head.starts_with(b"\x7fELF") && !names_interpreter(head))
}

/// Whether a 64-bit little-endian ELF has a `PT_INTERP` among its program headers.
fn names_interpreter(head: &[u8]) -> bool {
    let half = |at: usize| {
        head.get(at..at + 2)
            .and_then(|b| b.try_into().ok())
            .map(u16::from_le_bytes)
    };
    let offset = head
        .get(32..40)
        .and_then(|b| b.try_into().ok())
        .map_or(0, u64::from_le_bytes);
    let (Ok(offset), Some(size), Some(count)) = (usize::try_from(offset), half(54), half(56))
    else {
        return true;
    };
    (0..usize::from(count)).any(|i| {
        let at = offset.saturating_add(i * usize::from(size));
        head.get(at..at.saturating_add(4))
            .is_none_or(|kind| kind == 3_u32.to_le_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_static_programs_are_taken() {
        assert!(
            !is_static(Path::new("/proc/self/exe")),
            "this test is dynamic"
        );
        assert!(!is_static(Path::new("/etc/passwd")));
        assert!(!is_static(Path::new("/nonexistent")));
    }

    #[test]
    fn a_processor_is_one_of_the_emulators_own() {
        for (arch, cpu, there) in [
            ("mipsel", "74Kf", true),
            ("mips64el", "Octeon68XX", true),
            ("arm", "cortex-a9", true),
            ("arm", "74Kf", false),
            ("arm", "ortex-a9", false),
            ("arm", "", false),
            ("arm", "cortex-a9\0", false),
        ] {
            let all = Qemu::all();
            let qemu = all.iter().find(|qemu| qemu.arch.qemu == arch);
            let Some(qemu) = qemu else { continue };
            let program = std::fs::read(&qemu.path).unwrap();
            assert_eq!(Qemu::has_cpu(&program, cpu), there, "{arch} {cpu:?}");
        }
    }
}
