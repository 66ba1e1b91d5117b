//! The sandbox's own programs in the guest: the launcher and the emulators.

use std::fs;
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::mount::MountFlags;

use crate::files::mounts::LISTINGS;
use crate::kernel::paths;
use crate::qemu::emulator::Qemu;
use crate::qemu::kept::Changed;
use crate::sandbox::confine::Doing;
use crate::sandbox::mounting;

/// The launcher, as `build.rs` built it.
pub const LAUNCHER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/launcher"));

/// What the path of every guest exec is overwritten with.
pub const LAUNCHER_PATH: &str = "/.q";

/// The guest's own emulator, where the host's is not used as it is.
pub enum Emulator<'a> {
    /// A file that has it. The directories above it may be closed to the guest's user.
    File(OwnedFd),
    /// Its contents.
    Bytes(&'a [u8]),
}

impl<'a> Emulator<'a> {
    /// To be called as the host's user.
    pub fn open(changed: &'a Changed) -> Result<Self, String> {
        match changed {
            Changed::File(path) => {
                let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let file = rustix::fs::open(path, flags, Mode::empty()).doing("open qemu")?;
                Ok(Self::File(file))
            }
            Changed::Bytes(program) => Ok(Self::Bytes(program)),
        }
    }
}

/// The launcher and the emulators, where the guest can execute but not change them.
pub fn place(
    root: &Path,
    qemus: &[Qemu],
    changed: Option<&Emulator>,
    placeholders: &[(String, u32)],
) -> Result<(), String> {
    let hidden = root.join(".rookery");
    mounting::directory(&hidden)?;
    rustix::mount::mount(
        "rookery",
        &hidden,
        "tmpfs",
        MountFlags::NOSUID | MountFlags::NODEV,
        c"mode=0755,size=64m",
    )
    .doing("mount a tmpfs")?;
    let launcher = hidden.join("launcher");
    write_program(&launcher, LAUNCHER).doing("place the launcher")?;
    let mut bound = Vec::new();
    for (i, qemu) in qemus.iter().enumerate() {
        let path = root.join(qemu.guest_path().trim_start_matches('/'));
        let source = match changed.filter(|_| i == 0) {
            Some(Emulator::Bytes(program)) => {
                write_program(&path, program).doing("place qemu")?;
                continue;
            }
            Some(Emulator::File(file)) => format!("/proc/self/fd/{}", file.as_raw_fd()).into(),
            None => qemu.path.clone(),
        };
        fs::write(&path, "").doing("place qemu")?;
        match rustix::mount::mount_bind(&source, &path) {
            Ok(()) => bound.push(path),
            Err(error) if i == 0 => {
                return Err(format!(
                    "cannot reach {} as the guest's user: {error}",
                    qemu.path.display()
                ));
            }
            Err(_) => {}
        }
    }
    let listed = |(path, _): &&(String, u32)| paths::is_below(path, LISTINGS);
    for (path, mode) in placeholders.iter().filter(listed) {
        mounting::place(&root.join(path.trim_start_matches('/')), *mode);
    }
    let link = root.join(LAUNCHER_PATH.trim_start_matches('/'));
    let _ = fs::remove_file(&link);
    fs::write(&link, "").doing("place the launcher")?;
    rustix::mount::mount_bind(&launcher, &link).doing("place the launcher")?;
    bound.extend([link, hidden]);
    bound
        .iter()
        .try_for_each(|path| mounting::make_read_only(path))
}

fn write_program(path: &Path, contents: &[u8]) -> io::Result<()> {
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o755)
        .open(path)?
        .write_all(contents)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_can_be_executed_and_nothing_that_was_there_is_changed() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("launcher");
        write_program(&path, LAUNCHER).unwrap();
        let mode = rustix::fs::stat(&path).unwrap().st_mode;
        assert_eq!(mode & 0o7777, 0o755);
        assert!(write_program(&path, b"other").is_err());
        assert!(fs::read(&path).unwrap().starts_with(b"\x7fELF"));
    }
}
