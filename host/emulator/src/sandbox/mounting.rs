//! The guest's file systems: an overlay over the unpacked firmware, and `/dev`, `/proc` and `/sys`
//! in it.

use std::ffi::CString;
use std::fs;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, MountPropagationFlags};

use crate::files::mounts::HOSTS_OWN;
use crate::files::sys_tree::{self, SysDevice};
use crate::kernel::paths;
use crate::limits::kernel;
use crate::qemu::emulator::Qemu;
use crate::sandbox::confine::Doing;
use crate::sandbox::firmware_dev;

/// Bytes that the guest may write to its files, and how many files it may make; each costs the
/// host's kernel memory.
const DISK: &str = "size=512m,nr_inodes=65536";

/// The overlay over the unpacked root filesystem, which is the current directory: how to reach what
/// it writes to, and it.
///
/// The current directory is used because its parents may be closed to the guest's user.
pub fn mount_root(qemus: &[Qemu]) -> Result<(PathBuf, PathBuf), String> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", private).doing("make mounts private")?;
    // Seen in this mount namespace only: whatever directory is covered stays as it is for the host.
    // The emulators are still needed.
    let covers_qemu = |path: &Path| qemus.iter().any(|qemu| qemu.path.starts_with(path));
    let base = ["/tmp", "/run", "/mnt", "/var"]
        .iter()
        .map(Path::new)
        .find(|path| path.is_dir() && !covers_qemu(path))
        .ok_or("the host has no /tmp, or qemu lies below it; put qemu elsewhere")?;
    let options = CString::new(format!("mode=0755,{DISK}")).doing("name mount options")?;
    rustix::mount::mount(
        "rookery",
        base,
        "tmpfs",
        MountFlags::NOSUID | MountFlags::NODEV,
        options.as_c_str(),
    )
    .doing("mount a tmpfs")?;
    let at = |name: &str| base.join(name);
    for name in ["upper", "work", "root"] {
        fs::create_dir(at(name)).doing("make a directory in the tmpfs")?;
    }
    let layers = format!(
        "lowerdir=.,upperdir={},workdir={}",
        at("upper").display(),
        at("work").display()
    );
    let mut result = Err("no overlay".to_owned());
    // tmpfs takes user attributes since Linux 6.6; without them a directory that replaces one of
    // the firmware's is not opaque.
    for options in [format!("{layers},userxattr"), layers] {
        let options = CString::new(options).doing("name mount options")?;
        result = rustix::mount::mount(
            "rookery",
            at("root"),
            "overlay",
            MountFlags::NOSUID | MountFlags::NODEV,
            options.as_c_str(),
        )
        .doing("mount an overlay over the root filesystem");
        if result.is_ok() {
            break;
        }
    }
    result.map(|()| (base.to_owned(), at("root")))
}

/// A directory that is really one; firmware may ship a link in its place.
pub fn directory(path: &Path) -> Result<(), String> {
    if fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_dir()) {
        fs::remove_file(path).doing("replace a link by a directory")?;
    }
    fs::create_dir_all(path).doing("make a mount point")
}

fn mount_tmpfs(path: &Path, options: &std::ffi::CStr) -> Result<(), String> {
    directory(path)?;
    rustix::mount::mount(
        "rookery",
        path,
        "tmpfs",
        MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC,
        options,
    )
    .doing(&format!("mount a tmpfs on {}", path.display()))
}

pub fn mount_dev(root: &Path, placeholders: &[(String, u32)]) -> Result<(), String> {
    let dev = root.join("dev");
    let kept = if dev.is_symlink() {
        Vec::new()
    } else {
        firmware_dev::take(&dev)
    };
    mount_tmpfs(&dev, c"mode=0755,size=4m,nr_inodes=16384")?;
    for name in ["null", "zero", "full", "random", "urandom", "tty"] {
        let path = dev.join(name);
        fs::write(&path, "").doing("make a device")?;
        rustix::mount::mount_bind(Path::new("/dev").join(name), &path).doing("bind a device")?;
    }
    for name in ["pts", "shm"] {
        fs::create_dir(dev.join(name)).doing("make a directory in /dev")?;
    }
    let options = c"newinstance,ptmxmode=0666,mode=0620";
    if rustix::mount::mount(
        "devpts",
        dev.join("pts"),
        "devpts",
        MountFlags::NOSUID | MountFlags::NOEXEC,
        options,
    )
    .is_ok()
    {
        let _ = symlink("pts/ptmx", dev.join("ptmx"));
    }
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "fd/0"),
        ("stdout", "fd/1"),
        ("stderr", "fd/2"),
    ] {
        let _ = symlink(target, dev.join(name));
    }
    firmware_dev::put_back(kept, &dev);
    for (path, mode) in placeholders
        .iter()
        .filter(|(path, _)| paths::is_below(path, "/dev"))
    {
        place(&root.join(path.trim_start_matches('/')), *mode);
    }
    Ok(())
}

/// An empty file where nothing is.
pub fn place(path: &Path, mode: u32) {
    if let Some(parent) = path.parent() {
        let _ = fs::create_dir_all(parent);
    }
    let _ = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode & 0o777)
        .open(path);
}

pub fn mount_proc_and_sys(
    root: &Path,
    netdevs: &[String],
    devices: &[SysDevice],
) -> Result<(), String> {
    let proc = root.join("proc");
    directory(&proc)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    rustix::mount::mount("proc", &proc, "proc", flags, None::<&std::ffi::CStr>)
        .doing("mount /proc (a container that masks parts of /proc forbids it)")?;
    for name in HOSTS_OWN {
        hide(&proc.join(name))?;
    }
    // The kernel refuses a real sysfs here; firmware looks for its interfaces and devices.
    let sys = root.join("sys");
    mount_tmpfs(&sys, c"mode=0755,size=4m,nr_inodes=16384")?;
    let names = ["lo"].into_iter().chain(netdevs.iter().map(String::as_str));
    sys_tree::make(&sys, devices, names).doing("fill /sys")
}

/// Cover a directory with an empty one, where it is there.
fn hide(path: &Path) -> Result<(), String> {
    if !path.is_dir() {
        return Ok(());
    }
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC | MountFlags::RDONLY;
    rustix::mount::mount(
        "rookery",
        path,
        "tmpfs",
        flags,
        c"mode=0555,size=4k,nr_inodes=2",
    )
    .doing(&format!("cover {}", path.display()))
}

/// The guest's root owns settings that limit it.
pub fn close_settings(sys: &Path) -> Result<(), String> {
    for name in kernel::DIRECTORIES {
        let path = sys.join(name);
        if path.is_dir() {
            rustix::mount::mount_bind(&path, &path).doing("bind settings of the kernel")?;
            make_read_only(&path)?;
        }
    }
    Ok(())
}

/// Flags that came from the host cannot be dropped, so they are kept.
pub fn make_read_only(path: &Path) -> Result<(), String> {
    let now = rustix::fs::statvfs(path)
        .doing("look at a mount")?
        .f_flag
        .bits();
    let kept = MountFlags::from_bits_truncate(u32::try_from(now).unwrap_or(0))
        & (MountFlags::NODEV
            | MountFlags::NOEXEC
            | MountFlags::NOATIME
            | MountFlags::NODIRATIME
            | MountFlags::RELATIME);
    let flags = kept | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::BIND;
    rustix::mount::mount_remount(path, flags, c"")
        .doing(&format!("make {} read-only", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_where_a_mount_point_must_be_is_replaced_and_not_followed() {
        let root = tempfile::tempdir().unwrap();
        let (elsewhere, dev) = (root.path().join("elsewhere"), root.path().join("dev"));
        fs::create_dir(&elsewhere).unwrap();
        symlink(&elsewhere, &dev).unwrap();
        directory(&dev).unwrap();
        assert!(dev.is_dir() && !dev.is_symlink() && elsewhere.is_dir());
        directory(&dev).unwrap();
    }

    #[test]
    fn a_placeholder_stands_only_where_nothing_is() {
        let root = tempfile::tempdir().unwrap();
        let (there, new) = (root.path().join("there"), root.path().join("a/b/new"));
        fs::write(&there, "firmware").unwrap();
        place(&there, 0o600);
        place(&new, libc::S_IFCHR | 0o640);
        assert_eq!(fs::read(&there).unwrap(), b"firmware");
        let mode = rustix::fs::stat(&new).unwrap().st_mode;
        assert_eq!(mode & libc::S_IFMT, libc::S_IFREG);
    }

    #[test]
    fn a_step_that_fails_says_what_could_not_be_done() {
        let refused = make_read_only(Path::new("/no/such/place")).unwrap_err();
        assert!(refused.starts_with("cannot look at a mount: "), "{refused}");
    }
}
